"""Table 3 of the QuartzNet transfer paper: fine-tuning on Singapore English."""

from hearsay.paper.asr_command import table_command
from hearsay.paper.command import run_command

STEP = "hearsay.paper.asr_table3"

main = table_command(STEP, "3")

if __name__ == "__main__":
    run_command(main)
