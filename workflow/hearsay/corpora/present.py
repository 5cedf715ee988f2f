"""The list of what is there of one subject (``present.tsv``), as `fetch_subject` leaves it.

Tab-separated, one row a file: ``kind`` (responses, textgrid, raw, mask or respdict), ``story``
(empty where it belongs to none), ``path`` relative to the clone, ``key`` of git-annex, ``bytes``.
"""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError

KINDS = ("responses", "textgrid", "raw", "mask", "respdict")
COLUMNS = ["kind", "story", "path", "key", "bytes"]


@dataclass(frozen=True)
class PresentFile:
    """One file of a dataset: what it is, of which story, and where in the clone."""

    kind: str
    story: str
    path: str


def read_present(path: Path | str) -> list[PresentFile]:
    """All rows of a list.

    Raises
    ------
    InputError
        for a list that is missing, lacks a column, or has a kind that nobody knows.
    """
    try:
        with Path(path).open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, delimiter="\t")
            rows = list(reader)
            names = reader.fieldnames or []
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; fetch the subject first") from None
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: no list of files ({error}); fetch the subject again") from None
    if missing := [name for name in COLUMNS[:3] if name not in names]:
        raise InputError(f"{path}: no column {', '.join(missing)}; fetch the subject again")
    files = [PresentFile(row["kind"], row["story"] or "", row["path"] or "") for row in rows]
    if unknown := sorted({file.kind for file in files} - set(KINDS)):
        raise InputError(
            f"{path}: unknown kind {', '.join(map(repr, unknown))}; there are {', '.join(KINDS)}"
        )
    return files


def stories_of(files: list[PresentFile], kind: str, clone: Path) -> dict[str, Path]:
    """The file of each story of one kind, under `clone`; the last one where there are several."""
    return {file.story: clone / file.path for file in files if file.kind == kind}


def the_one(files: list[PresentFile], kind: str, clone: Path, present: Path | str) -> Path:
    """The only file of a kind that belongs to no story.

    Raises
    ------
    InputError
        where there is none, or more than one.
    """
    found = [clone / file.path for file in files if file.kind == kind]
    if len(found) != 1:
        raise InputError(
            f"{present}: {len(found)} files of kind {kind!r} where one is needed; "
            "fetch the subject again"
        )
    return found[0]


def read_respdict(path: Path | str) -> dict[str, int]:
    """TRs of each story's run, from ``respdict.json``.

    Raises
    ------
    InputError
        for a file that is missing or does not map stories to whole numbers.
    """
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({error}); clone again") from None
    if not isinstance(table, dict) or not all(type(trs) is int for trs in table.values()):
        raise InputError(f"{path}: does not map stories to numbers of TRs; clone again")
    return table
