"""The table of experiments: which recogniser is trained on what, from what, and tested on what.

Light: imports neither torch nor NeMo.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hearsay.errors import InputError
from hearsay.experiments import (
    SpeechSet,
    check_name,
    check_sets,
    parse_sets,
    read_table,
    recipe_of_row,
    seeds_of,
)
from hearsay.settings.asr import RecogniserRecipe

COLUMNS = [
    "language",
    "run",
    "source",
    "corpora",
    "validation",
    "tests",
    "seeds",
    "tables",
    "note",
]
_REQUIRED = ["language", "run", "corpora", "validation", "tests", "seeds"]


@dataclass(frozen=True)
class Experiment:
    """One row: a recogniser.

    Attributes
    ----------
    language, run : together unique.
    source : ``language/run`` of the recogniser that it starts from, or the name of a pretrained
        model, or empty for training from scratch.
    corpora : what it is trained on.
    validation : after every epoch.
    tests : what it is tested on at the end.
    seeds : one training each. A source with the same seed is taken, else its first.
    tables : published row by number of a table, empty where a row of our own is shown.
    note : what a reader of the tables must know, such as `stand-in: …`.
    """

    language: str
    run: str
    source: str
    corpora: tuple[SpeechSet, ...]
    validation: SpeechSet
    tests: tuple[SpeechSet, ...]
    seeds: tuple[int, ...]
    tables: Mapping[str, str]
    note: str
    recipe: RecogniserRecipe

    @property
    def sets(self) -> list[SpeechSet]:
        """All parts of corpora that it needs."""
        return [*self.corpora, self.validation, *self.tests]


def read_experiments(path: Path | str) -> list[Experiment]:
    """Read the table of experiments (`hearsay.experiments`).

    Columns: language; run; source; corpora, parts of corpora with spaces between, such as
    ``cv-de/train librispeech/train*0.5``; validation; tests; seeds; tables, such as
    ``3=5D; 4=5D; 6``; note; and any keys of `RecogniserRecipe`.

    Raises
    ------
    InputError
        naming file, line and column.
    """
    return read_table(
        path,
        _experiment,
        columns=COLUMNS,
        recipe=RecogniserRecipe,
        required=_REQUIRED,
        within="language",
    )


def check_experiments(
    experiments: Iterable[Experiment],
    corpora: Mapping[str, tuple[str, Iterable[str], Iterable[str]]],
    models: Iterable[str],
    labels: Callable[[str], Sequence[str]],
) -> None:
    """Refuse a table that names what there is not, or what does not go together.

    Parameters
    ----------
    corpora : language of every corpus, its parts, and those of them that are for training.
    models : names of pretrained models.
    labels : characters of a language.

    Raises
    ------
    InputError
        for an unknown corpus, part or source, a corpus of another language, training on a part
        that is not for training, a run that would start from itself, and one that would start from
        a run of other blocks, or with the decoder of one of another alphabet.
    """
    by_name = {f"{e.language}/{e.run}": e for e in experiments}
    known = [*by_name, *models]
    parts = {corpus: own for corpus, (_, own, _) in corpora.items()}
    for name, experiment in by_name.items():
        where = f"asr.experiments, run {experiment.run!r} of {experiment.language}"
        check_sets(where, experiment.sets, parts)
        for each in experiment.sets:
            if (language := corpora[each.corpus][0]) != experiment.language:
                raise InputError(f"{where}: {each.corpus} is in {language}")
        for each in experiment.corpora:
            if each.part not in corpora[each.corpus][2]:
                raise InputError(
                    f"{where}: is trained on {each.name}, from which no clip is left out that is "
                    "too long, or too short for CTC to learn its text: add "
                    f"{each.part!r} to speech_corpora.{each.corpus}.training"
                )
        seen = [name]
        while source := by_name[seen[-1]].source:
            if source not in known:
                raise InputError(
                    f"{where}: no source {source!r}: neither a run (language/run) nor a model; "
                    f"there are: {', '.join(known)}"
                )
            if source in seen:
                raise InputError(f"{where}: starts from itself, by way of {' < '.join(seen)}")
            if source not in by_name:
                break
            seen.append(source)
        if experiment.source in by_name:
            _check_source(where, experiment, by_name[experiment.source], labels)


def _check_source(
    where: str,
    experiment: Experiment,
    source: Experiment,
    labels: Callable[[str], Sequence[str]],
) -> None:
    """Refuse a source whose encoder, or whose decoder where that is kept, does not fit."""
    blocks, theirs = experiment.recipe.blocks, source.recipe.blocks
    if blocks != theirs:
        raise InputError(
            f"{where}: blocks = {blocks!r}, but its source {experiment.source} has {theirs!r}: "
            "they must be the same"
        )
    kept = experiment.recipe.decoder == "same-alphabet"
    if kept and list(labels(experiment.language)) != list(labels(source.language)):
        raise InputError(
            f"{where}: decoder = 'same-alphabet', but its source {experiment.source} has the "
            f"alphabet of {source.language}: set decoder to fresh"
        )


def _experiment(where: str, row: Mapping[str, str]) -> Experiment:
    for key in ("language", "run"):
        check_name(where, key, row[key])
    keys = {key: value for key, value in row.items() if key not in COLUMNS and value}
    recipe = recipe_of_row(where, RecogniserRecipe, keys)
    source = row.get("source", "")
    corpora = parse_sets(where, "corpora", row["corpora"])
    if not corpora and recipe.epochs:
        raise InputError(f"{where}: corpora is empty, but there are {recipe.epochs} epochs")
    if not recipe.epochs and not source:
        raise InputError(f"{where}: neither epochs nor a source: there would be nothing to test")
    if corpora and not recipe.epochs:
        raise InputError(
            f"{where}: epochs = 0, so that nothing would be trained on {row['corpora']}: leave "
            "corpora empty"
        )
    if not recipe.epochs and recipe.decoder == "fresh":
        raise InputError(
            f"{where}: epochs = 0, so that the new decoder of decoder = 'fresh' would be tested as "
            "it is drawn: set decoder to same-alphabet"
        )
    if not source and recipe.decoder == "same-alphabet":
        raise InputError(f"{where}: decoder = 'same-alphabet' asks for a source to take it from")
    if recipe.blank_bias is not None and recipe.decoder == "same-alphabet":
        raise InputError(
            f"{where}: blank_bias = {recipe.blank_bias}: decoder = 'same-alphabet' keeps the "
            "source's own; leave the cell empty"
        )
    if recipe.patience is not None and recipe.keep != "best":
        raise InputError(f"{where}: patience = {recipe.patience} asks for keep = 'best'")
    validation = parse_sets(where, "validation", row["validation"])
    if len(validation) != 1:
        raise InputError(f"{where}: validation: name one part, not {len(validation)}")
    tests = parse_sets(where, "tests", row["tests"])
    if not tests:
        raise InputError(f"{where}: tests is empty: name at least one part")
    return Experiment(
        row["language"],
        row["run"],
        source,
        corpora,
        validation[0],
        tests,
        seeds_of(where, row["seeds"]),
        _tables(where, row.get("tables", "")),
        row.get("note", ""),
        recipe,
    )


def _tables(where: str, text: str) -> dict[str, str]:
    """``3=5D; 6`` as {"3": "5D", "6": ""}."""
    found = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        number, _, row = (each.strip() for each in part.partition("="))
        if number not in ("3", "4", "5", "6") or number in found:
            raise InputError(
                f"{where}: tables = {text!r}: numbers 3 to 6, each once, with the published row "
                "behind an equals sign if there is one, parted by semicolons"
            )
        found[number] = row
    return found
