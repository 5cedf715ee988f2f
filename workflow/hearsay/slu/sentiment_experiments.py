"""The table of classifiers of sentiment: which is trained on what, and how.

Light: imports neither torch nor transformers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError
from hearsay.experiments import (
    SpeechSet,
    check_name,
    parse_sets,
    read_table,
    recipe_of_row,
    seeds_of,
)
from hearsay.settings.slu import SentimentRecipe

KINDS = ("text", "speech", "graft")
COLUMNS = [
    "run",
    "kind",
    "aligner",
    "corpora",
    "validation",
    "tests",
    "seeds",
    "speech",
    "text",
    "published",
    "note",
]
# Columns without meaning for a kind: models and keys of the recipe that its training never reads.
UNREAD = {
    "text": ("speech", "lengths", "frozen_speech"),
    "speech": ("text", "pooling", "lengths", "frozen_text"),
    "graft": ("speech", "text"),
}
_REQUIRED = ["run", "kind", "corpora", "validation", "tests", "seeds"]


@dataclass(frozen=True)
class SentimentExperiment:
    """One row: a classifier.

    Attributes
    ----------
    kind : ``text`` reads the transcript by BERT, ``speech`` hears by the speech encoder, ``graft``
        hears by an aligner that goes on through BERT's upper layers.
    aligner : run of the aligner of a graft; that of the same seed is taken, else its first.
    corpora, validation, tests : parts of corpora of kind ``slue``.
    speech, text : models to start from; empty: those of the settings. A graft has its aligner's.
    published : row of the paper's Table 3 beside which it stands; empty for a row of our own.
    note : what a reader of the table must know.
    """

    run: str
    kind: str
    aligner: str
    corpora: tuple[SpeechSet, ...]
    validation: SpeechSet
    tests: tuple[SpeechSet, ...]
    seeds: tuple[int, ...]
    speech: str
    text: str
    published: str
    note: str
    recipe: SentimentRecipe

    @property
    def sets(self) -> list[SpeechSet]:
        """All parts of corpora that it needs."""
        return [*self.corpora, self.validation, *self.tests]


def read_sentiment(path: Path | str) -> list[SentimentExperiment]:
    """Read the table (`hearsay.experiments`); columns as the fields, and keys of `SentimentRecipe`.

    Raises
    ------
    InputError
        naming file, line and column.
    """
    return read_table(
        path, _experiment, columns=COLUMNS, recipe=SentimentRecipe, required=_REQUIRED
    )


def _experiment(where: str, row: Mapping[str, str]) -> SentimentExperiment:
    check_name(where, "run", row["run"])
    kind, aligner = row["kind"], row.get("aligner", "")
    if kind not in KINDS:
        raise InputError(f"{where}: kind = {kind!r}: none of {', '.join(KINDS)}")
    if (kind == "graft") != bool(aligner):
        what = "name the aligner to graft" if kind == "graft" else f"kind {kind} has none"
        raise InputError(f"{where}: aligner = {aligner!r}: {what}")
    if given := [key for key in UNREAD[kind] if row.get(key)]:
        why = f"kind {kind} does not read it"
        if kind == "graft":
            why = "a graft has those of its aligner"
        raise InputError(f"{where}: {given[0]} = {row[given[0]]!r}: {why}; leave the cell empty")
    recipe = recipe_of_row(
        where,
        SentimentRecipe,
        {key: value for key, value in row.items() if key not in COLUMNS and value},
    )
    if recipe.batch_size % recipe.micro_batch and recipe.batch_size > recipe.micro_batch:
        raise InputError(
            f"{where}: batch_size = {recipe.batch_size} is no multiple of micro_batch = "
            f"{recipe.micro_batch}"
        )
    corpora, validation, tests = (
        parse_sets(where, key, row[key]) for key in ("corpora", "validation", "tests")
    )
    if weighted := [each for each in [*corpora, *validation, *tests] if each.weight != 1]:
        raise InputError(f"{where}: {weighted[0].name}: no weights here; leave it out")
    if not corpora or len(validation) != 1 or not tests:
        raise InputError(
            f"{where}: name at least one part as corpora, one as validation, and at least one as "
            "tests"
        )
    return SentimentExperiment(
        run=row["run"],
        kind=kind,
        aligner=aligner,
        corpora=corpora,
        validation=validation[0],
        tests=tests,
        seeds=seeds_of(where, row["seeds"]),
        recipe=recipe,
        **{key: row.get(key, "") for key in ("speech", "text", "published", "note")},
    )
