"""Table IV of the BP-GPT paper: decoding from fMRI by inference strategy.

Its (∅) stands for GPT-2 without fine-tuning, unlike that of Table III.
"""

from hearsay.paper.bpgpt import PUBLISHED
from hearsay.paper.bpgpt_claims import Claim
from hearsay.paper.bpgpt_command import (
    Csv,
    Json,
    Markdown,
    PaperTable,
    Published,
    RunRecord,
    Scores,
    Subjects,
    Tex,
    run_table,
)
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


def main(
    scores: Scores,
    subjects: Subjects,
    csv: Csv,
    markdown: Markdown,
    tex: Tex,
    json: Json,
    run: RunRecord,
    published: Published = PUBLISHED,
) -> None:
    """Write Table IV: by inference strategy, measured beside published."""
    outputs = {"csv": csv, "markdown": markdown, "tex": tex, "json": json, "run": run}
    run_table(STEP, TABLE, scores=scores, subjects=subjects, published=published, **outputs)


if __name__ == "__main__":
    run_command(main)
