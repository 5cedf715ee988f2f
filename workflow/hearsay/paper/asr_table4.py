"""Table 4 of the QuartzNet transfer paper: fine-tuning on two parts of the Singapore corpus."""

from hearsay.paper.asr_command import table_command
from hearsay.paper.command import run_command

STEP = "hearsay.paper.asr_table4"

main = table_command(STEP, "4")

if __name__ == "__main__":
    run_command(main)
