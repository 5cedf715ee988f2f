"""Table 1 of the WaBERT paper: errors of word boundaries."""

from hearsay.paper.command import run_command
from hearsay.paper.wabert_alignment import table_command

STEP = "hearsay.paper.wabert_table1"

main = table_command(STEP, "1")

if __name__ == "__main__":
    run_command(main)
