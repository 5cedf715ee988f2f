"""Table III of the BP-GPT paper: decoding from fMRI with and without contrastive learning."""

from hearsay.paper.bpgpt_claims import Claim
from hearsay.paper.bpgpt_command import PaperTable, table_command
from hearsay.paper.bpgpt_rows import Block
from hearsay.paper.command import run_command

STEP = "hearsay.paper.bpgpt_table3"

NAMES = {
    "wr-no-contrast": "WR(∅)",
    "wr": "WR",
    "bpgpt-no-contrast": "BP-GPT(∅)",
    "bpgpt": "BP-GPT",
}
TABLE = PaperTable(
    "III",
    [
        Block("WR(∅): word rate, not contrastive", "wr-no-contrast", published="wr-no-contrast"),
        Block("WR: word rate, contrastive", "wr", published="wr"),
        Block(
            "BP-GPT(∅): alignment tokens, not contrastive",
            "bpgpt-no-contrast",
            published="bpgpt-no-contrast",
        ),
        Block("BP-GPT: alignment tokens, contrastive", "bpgpt", published="bpgpt"),
    ],
    [
        Claim(
            "Contrastive learning raises every measure",
            [("wr", "wr-no-contrast"), ("bpgpt", "bpgpt-no-contrast")],
            NAMES,
        )
    ],
    ["A difference between two settings says nothing where neither beats its controls (p)."],
)

main = table_command(
    STEP,
    TABLE,
    "Write Table III: with and without contrastive learning, measured beside published.",
)

if __name__ == "__main__":
    run_command(main)
