"""The QuartzNet transfer paper's own word error rates, and the columns of its tables."""

from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError
from hearsay.paper.published import ASR, read_lines
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "asr.csv"
KEYS = ["row", "language", "model", "train", "fine_tune", "source"]
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
        for what `read_lines` refuses, a column that the table does not have, and a row not named
        ``model train -> fine_tune``.
    """
    tables: dict[str, dict[str, Published]] = {}
    for line, row in read_lines(path, ASR):
        number, column = row["table"], row["column"]
        if column not in HEADINGS.get(number, {}):
            raise InputError(f"{path}: line {line}: Table {number} has no column {column}")
        name = f"{row['model']} {row['train']}"
        name += f" -> {row['fine_tune']}" if row["fine_tune"] else ""
        if row["row"] != name:
            raise InputError(f"{path}: line {line}: the row is {name!r}, not {row['row']!r}")
        of = {key: row[key] for key in KEYS}
        rows = tables.setdefault(number, {})
        rows.setdefault(name, Published(**of, values={})).values[column] = float(row["value"])
    return tables
