"""Table 2 of the EGRU paper: language models on WikiText-2."""

from hearsay.paper.command import run_command
from hearsay.paper.egru_command import table_command

STEP = "hearsay.paper.egru_table2"

main = table_command(STEP, "2")

if __name__ == "__main__":
    run_command(main)
