"""The run that made a file which does not hold its run's id."""

from pathlib import Path

from hearsay.lineage import SUFFIX, read_record


def run_beside(path: Path) -> str:
    """Id of the run that made `path`, from the record beside it; empty where there is none."""
    record = path.with_suffix(SUFFIX)
    return read_record(record).id if record.is_file() else ""
