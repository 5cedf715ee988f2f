"""The table of aligners: which is trained on what, and how.

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
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu.recipes import PRESETS, checked

COLUMNS = ["run", "preset", "corpora", "validation", "seeds", "speech", "text", "published", "note"]
_REQUIRED = ["run", "preset", "corpora", "seeds"]


@dataclass(frozen=True)
class AlignerExperiment:
    """One row: an aligner.

    Attributes
    ----------
    run : its name.
    preset : the recipe that the row's own keys are laid over.
    corpora : parts of corpora that it is trained on.
    validation : after every epoch; None: nothing is.
    seeds : one training each.
    speech, text : models that it starts from; empty: those of the settings.
    published : the row of the paper's Tables 1 and 2 beside which it stands; empty for a row of our
        own.
    note : what a reader of the tables must know, such as `stand-in: …`.
    """

    run: str
    preset: str
    corpora: tuple[SpeechSet, ...]
    validation: SpeechSet | None
    seeds: tuple[int, ...]
    speech: str
    text: str
    published: str
    note: str
    recipe: AlignerRecipe

    @property
    def sets(self) -> list[SpeechSet]:
        """All parts of corpora that its training reads."""
        return [*self.corpora, *([self.validation] if self.validation else [])]


def read_aligners(path: Path | str) -> list[AlignerExperiment]:
    """Read the table (`hearsay.experiments`).

    Columns: run; preset, one of `hearsay.slu.recipes.PRESETS`; corpora, parts of corpora with
    spaces between, such as ``librispeech/train-clean-100 librispeech/train-other-500``; validation;
    seeds; speech; text; published; note; and any keys of `AlignerRecipe`.

    Raises
    ------
    InputError
        naming file, line and column.
    """
    return read_table(path, _experiment, columns=COLUMNS, recipe=AlignerRecipe, required=_REQUIRED)


def _experiment(where: str, row: Mapping[str, str]) -> AlignerExperiment:
    check_name(where, "run", row["run"])
    if row["preset"] not in PRESETS:
        raise InputError(f"{where}: preset = {row['preset']!r}: none of {', '.join(PRESETS)}")
    keys = {key: value for key, value in row.items() if key not in COLUMNS and value}
    recipe = recipe_of_row(where, AlignerRecipe, PRESETS[row["preset"]] | keys)
    try:
        checked(recipe)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    corpora = parse_sets(where, "corpora", row["corpora"])
    if not corpora:
        raise InputError(f"{where}: corpora is empty: name at least one part")
    if weighted := [each for each in corpora if each.weight != 1]:
        raise InputError(
            f"{where}: corpora: {weighted[0].name}*{weighted[0].weight:g}: aligners see every clip "
            "once in an epoch; leave the weight out"
        )
    validation = parse_sets(where, "validation", row.get("validation", ""))
    if len(validation) > 1:
        raise InputError(f"{where}: validation: name one part, not {len(validation)}")
    if recipe.keep == "best" and not validation:
        raise InputError(f"{where}: keep = 'best' asks for a validation part to choose on")
    return AlignerExperiment(
        run=row["run"],
        preset=row["preset"],
        corpora=corpora,
        validation=validation[0] if validation else None,
        seeds=seeds_of(where, row["seeds"]),
        recipe=recipe,
        **{key: row.get(key, "") for key in ("speech", "text", "published", "note")},
    )
