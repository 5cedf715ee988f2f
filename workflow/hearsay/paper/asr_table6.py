"""Table 6 of the QuartzNet transfer paper: transfer to German, Spanish and Russian."""

from hearsay.paper.asr_command import table_command
from hearsay.paper.command import run_command

STEP = "hearsay.paper.asr_table6"

main = table_command(STEP, "6")

if __name__ == "__main__":
    run_command(main)
