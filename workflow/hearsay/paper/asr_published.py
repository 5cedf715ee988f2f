"""The QuartzNet transfer paper's own word error rates, and the columns of its tables."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "asr.csv"
KEYS = ["table", "row", "language", "model", "train", "fine_tune"]
PUBLISHED_COLUMNS = [*KEYS, "column", "value", "source"]
HEADINGS = {  # of each column with word error rates, by table
    "3": {
        "dev-clean": "LibriSpeech dev-clean, WER %",
        "dev-other": "LibriSpeech dev-other, WER %",
        "NSC1": "NSC1, WER %",
    },
    "4": {"NSC1": "NSC1, WER %", "NSC2": "NSC2, WER %"},
    "5": {
        "dev-93": "WSJ dev-93, WER %",
        "eval-92": "WSJ eval-92, WER %",
        "CORAAL": "CORAAL, WER %",
        # Not the paper's: the source of what is trained where WSJ is not at hand.
        "dev-clean": "LibriSpeech dev-clean, WER %",
        "dev-other": "LibriSpeech dev-other, WER %",
    },
    "6": {"WER": "WER, %"},
}


@dataclass(frozen=True)
class Published:
    """One row of the paper: word error rates in percent by column."""

    row: str
    language: str
    model: str
    train: str
    fine_tune: str
    source: str
    values: dict[str, float]


def read_published(path: Path | str) -> dict[str, dict[str, Published]]:
    """Read the published values (percent): rows by table and name, in the paper's order.

    Raises
    ------
    InputError
        for other columns than `PUBLISHED_COLUMNS`, an empty or repeated value, a column that the
        table does not have, and a row not named ``model train -> fine_tune``.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        if list(frame.columns) != PUBLISHED_COLUMNS:
            raise InputError(f"{path}: its columns must be {', '.join(PUBLISHED_COLUMNS)}")
        frame["value"] = pd.to_numeric(frame["value"].replace("", None)).astype(float)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    tables: dict[str, dict[str, Published]] = {}
    for line, row in enumerate(frame.to_dict("records"), start=2):
        empty = [name for name, value in row.items() if value in ("", None) or value != value]
        if lacking := [name for name in empty if name != "fine_tune"]:
            raise InputError(f"{path}: line {line} lacks {lacking[0]}")
        number, column = row["table"], row["column"]
        if column not in HEADINGS.get(number, {}):
            raise InputError(f"{path}: line {line}: Table {number} has no column {column}")
        name = f"{row['model']} {row['train']}"
        name += f" -> {row['fine_tune']}" if row["fine_tune"] else ""
        if row["row"] != name:
            raise InputError(f"{path}: line {line}: the row is {name!r}, not {row['row']!r}")
        rows = tables.setdefault(number, {})
        of = {key: row[key] for key in (*KEYS[1:], "source")}
        values = rows.setdefault(name, Published(**of, values={})).values
        if column in values:
            raise InputError(f"{path}: line {line}: more than one {column} of {name}")
        values[column] = row["value"]
    return tables
