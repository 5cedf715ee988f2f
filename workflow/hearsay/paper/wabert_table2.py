"""Table 2 of the WaBERT paper: word boundaries within tolerances."""

from hearsay.paper.command import run_command
from hearsay.paper.wabert_alignment import table_command

STEP = "hearsay.paper.wabert_table2"

main = table_command(STEP, "2")

if __name__ == "__main__":
    run_command(main)
