"""Table 1 of the EGRU paper: language models on Penn Treebank."""

from hearsay.paper.command import run_command
from hearsay.paper.egru_command import table_command

STEP = "hearsay.paper.egru_table1"

main = table_command(STEP, "1")

if __name__ == "__main__":
    run_command(main)
