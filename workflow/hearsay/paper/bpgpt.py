"""What the tables of the BP-GPT paper read: score files and published values.

Paper: Chen, Du, Liu, Wang and He, "BP-GPT: Auditory Neural Decoding Using fMRI-prompted LLM".
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.paper.plans import refuse_twice
from hearsay.paper.published import BPGPT, read_lines
from hearsay.provenance import ROOT

# In git, with the code that reads it; the rules enter its content into their code digests.
PUBLISHED = ROOT / "resources" / "published" / "bpgpt.csv"
MEASURES = {"bleu-1": "BLEU-1", "meteor": "METEOR", "bertscore": "BERTScore"}
NO_SYNONYMS = "meteor-no-synonyms"
CONTROLS = {
    "shuffled": "shuffled fMRI",
    "zero": "zero fMRI",
    "noise": "noise for fMRI",
    "noise-trained": "trained on noise",
    "null": "language model alone",
}


@dataclass(frozen=True)
class Measured:
    """Scores of one setting, subject and input: fractions and counts by metric, and their run."""

    values: dict[str, float]
    counts: dict[str, int]
    run: str


@dataclass(frozen=True)
class Measurements:
    """All scores of a configuration.

    Attributes
    ----------
    by : (setting, subject, input) to its scores; inputs as in ``decoded.csv``.
    subjects : in the order in which they are shown.
    meteor : the METEOR that was measured: ``"meteor"``, or without synonyms.
    """

    by: Mapping[tuple[str, str, str], Measured]
    subjects: list[str]
    meteor: str = "meteor"

    def find(self, setting: str, subject: str, model: str) -> Measured | None:
        """Scores, or None where this configuration has none.

        The control that was trained on noise may be listed as a setting of its own.
        """
        if model == "noise-trained" and (setting, subject, model) not in self.by:
            setting, model = f"{setting}-noise", "fmri"
        return self.by.get((setting, subject, model))

    def metric(self, protocol: str, measure: str, what: str = "") -> str:
        """Name of a metric in a score file."""
        name = self.meteor if measure == "meteor" else measure
        return "/".join(filter(None, (protocol, name, what)))


def read_subjects(text: str) -> list[str]:
    """Read ``["UTS01", …]``, in the order in which subjects are shown."""
    try:
        subjects = json.loads(text)
    except ValueError as error:
        raise InputError(f"--subjects: not a JSON list of names: {error}") from None
    if not (isinstance(subjects, list) and subjects and all(isinstance(s, str) for s in subjects)):
        raise InputError(f"--subjects: must be a JSON list of names, not {text}")
    refuse_twice(subjects, "--subjects")
    return subjects


def read_published(path: Path | str) -> pd.DataFrame:
    """Read the published values (percent): the columns of `BPGPT`; errors as `read_lines`."""
    rows = [row for _, row in read_lines(path, BPGPT)]
    return pd.DataFrame(rows, columns=list(BPGPT.columns)).astype({"value": float})


def read_measurements(paths: list[Path], subjects: list[str]) -> Measurements:
    """Read the subjects' ``scores.csv``.

    Raises
    ------
    InputError
        if a file holds another system or subject, a subject has no scores, one metric has two
        values, or METEOR was measured with synonyms in one place and without in another.
    """
    by: dict[tuple[str, str, str], Measured] = {}
    for path in paths:
        frame = read_scores(path)
        if other := sorted(set(frame["system"]) - {"brain"}):
            raise InputError(f"{path}: holds scores of {', '.join(other)}, not of brain alone")
        if unknown := sorted(set(frame["subject_or_language"]) - set(subjects)):
            raise InputError(f"{path}: holds {', '.join(unknown)}, which --subjects does not name")
        keys = ["experiment", "subject_or_language", "model"]
        for (setting, subject, model), rows in frame.groupby(keys, sort=False):
            repeated = rows["metric"][rows["metric"].duplicated()].tolist()
            if repeated or (setting, subject, model) in by:
                what = repeated[0] if repeated else "all metrics"
                raise InputError(
                    f"{path}: more than one value of {what} for {setting} {subject} {model}"
                )
            counted = rows[rows["n"].notna()]
            by[str(setting), str(subject), str(model)] = Measured(
                dict(zip(rows["metric"], rows["value"].astype(float), strict=True)),
                dict(zip(counted["metric"], counted["n"].astype(int), strict=True)),
                rows["run"].iloc[0],
            )
    if absent := [name for name in subjects if name not in {subject for _, subject, _ in by}]:
        raise InputError(f"--scores: no scores of {', '.join(absent)}; score them first")
    parts = {name.split("/")[1] for one in by.values() for name in one.values if "/" in name}
    meteors = parts & {"meteor", NO_SYNONYMS}
    if len(meteors) > 1:
        raise InputError(
            "--scores: METEOR with and without synonyms; give WordNet to every scoring or to none"
        )
    return Measurements(by, subjects, meteors.pop() if meteors else "meteor")
