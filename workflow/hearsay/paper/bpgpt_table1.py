"""Table I of the BP-GPT paper: text decoded from the text prompt.

The text prompt is made from the very text that is to be decoded: an upper bound for decoding from
fMRI, and no result about the brain.
"""

from hearsay.paper.bpgpt_claims import Claim
from hearsay.paper.bpgpt_command import PaperTable, table_command
from hearsay.paper.bpgpt_rows import Block
from hearsay.paper.command import run_command

STEP = "hearsay.paper.bpgpt_table1"

NAMES = {
    "wr-frozen": "WR(F)",
    "wr": "WR",
    "bpgpt-frozen": "Our(F)",
    "bpgpt": "Our",
}
TABLE = PaperTable(
    "I",
    [
        Block("WR(F): word rate, GPT-2 frozen", "wr-frozen", "text", published="wr-frozen"),
        Block("WR: word rate, GPT-2 fine-tuned", "wr", "text", published="wr"),
        Block(
            "Our(F): alignment tokens, GPT-2 frozen",
            "bpgpt-frozen",
            "text",
            published="bpgpt-frozen",
        ),
        Block("Our: alignment tokens, GPT-2 fine-tuned", "bpgpt", "text", published="bpgpt"),
    ],
    [
        Claim(
            "Fine-tuning GPT-2 raises every measure",
            [("wr", "wr-frozen"), ("bpgpt", "bpgpt-frozen")],
            NAMES,
            model="text",
        ),
        Claim(
            "Alignment tokens do better than the word rate by every measure",
            [("bpgpt", "wr"), ("bpgpt-frozen", "wr-frozen")],
            NAMES,
            model="text",
        ),
    ],
    ["Input is the text prompt, which is made from the text itself: no brain takes part."],
)

main = table_command(
    STEP,
    TABLE,
    "Write Table I: decoding from the text prompt, measured beside published.",
)

if __name__ == "__main__":
    run_command(main)
