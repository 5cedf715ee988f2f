"""Table 5 of the QuartzNet transfer paper: fine-tuning on African American speech."""

from hearsay.paper.asr_command import table_command
from hearsay.paper.command import run_command

STEP = "hearsay.paper.asr_table5"

main = table_command(STEP, "5")

if __name__ == "__main__":
    run_command(main)
