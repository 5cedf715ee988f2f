"""Run the two races of speech recognition one after the other, each with its own record.

    python benchmarks/asr.py            preparation and loading; some minutes on a quiet machine
    python benchmarks/asr.py --quick    small sizes, only prints

`asr_preparation.py`: hours of 48 kHz MP3 a minute, against a plain librosa loop. `asr_loading.py`:
batches with and without groups by length, against NeMo's loader.
"""

import argparse
import subprocess
import sys
from pathlib import Path

RACES = ("asr_preparation.py", "asr_loading.py")


def main() -> None:
    """Run both; the first that fails ends it with its status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes; only prints")
    options = parser.parse_args()
    for race in RACES:
        command = [sys.executable, str(Path(__file__).with_name(race))]
        done = subprocess.run([*command, *(["--quick"] if options.quick else [])])
        if done.returncode:
            sys.exit(done.returncode)


if __name__ == "__main__":
    main()
