"""Table IV of the BP-GPT paper: decoding from fMRI by inference strategy.

Its (∅) stands for GPT-2 without fine-tuning, unlike that of Table III.
"""

from hearsay.paper.bpgpt_claims import Claim
from hearsay.paper.bpgpt_command import PaperTable, table_command
from hearsay.paper.bpgpt_rows import Block
from hearsay.paper.command import run_command

STEP = "hearsay.paper.bpgpt_table4"

NAMES = {
    "wr-frozen": "WR(∅)",
    "wr": "WR",
    "bpgpt-frozen": "BP-GPT(∅)",
    "bpgpt": "BP-GPT",
}
TABLE = PaperTable(
    "IV",
    [
        Block("WR(∅): word rate, GPT-2 frozen", "wr-frozen", published="wr-frozen"),
        Block("WR: word rate, GPT-2 fine-tuned", "wr", published="wr"),
        Block(
            "BP-GPT(∅): alignment tokens, GPT-2 frozen", "bpgpt-frozen", published="bpgpt-frozen"
        ),
        Block("BP-GPT: alignment tokens, GPT-2 fine-tuned", "bpgpt", published="bpgpt"),
    ],
    [
        Claim(
            "Alignment tokens do better than the word rate by every measure",
            [("bpgpt", "wr"), ("bpgpt-frozen", "wr-frozen")],
            NAMES,
        ),
        Claim(
            "Fine-tuning GPT-2 raises every measure",
            [("wr", "wr-frozen"), ("bpgpt", "bpgpt-frozen")],
            NAMES,
        ),
    ],
    ["A difference between two settings says nothing where neither beats its controls (p)."],
)

main = table_command(
    STEP,
    TABLE,
    "Write Table IV: by inference strategy, measured beside published.",
)

if __name__ == "__main__":
    run_command(main)
