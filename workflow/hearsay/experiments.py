"""Tables of experiments: what is trained, a row each, as tab-separated text.

Lines that begin with ``#`` are comments; the first other line names the columns; an empty cell
leaves a default. Light: imports neither torch nor numpy.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from hearsay.errors import InputError

Recipe = TypeVar("Recipe", bound=BaseModel)
Experiment = TypeVar("Experiment")

_SET = re.compile(r"([A-Za-z0-9._-]+)/([A-Za-z0-9._-]+)(?:\*([0-9.]+))?")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class SpeechSet:
    """A part of a corpus.

    Attributes
    ----------
    weight : how often each clip is seen in an epoch; with 0.5 a random half of them is, anew every
        epoch.
    """

    corpus: str
    part: str
    weight: float = 1.0

    @property
    def name(self) -> str:
        """As in transcripts and scores: ``corpus/part``."""
        return f"{self.corpus}/{self.part}"


def read_rows(
    path: Path | str, *, known: Sequence[str], required: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    """Rows of a table: where each stands (file and line, for messages), and its cells by column.

    Parameters
    ----------
    known : columns that a table may have.
    required : columns that it must have.

    Raises
    ------
    InputError
        naming file, line and column.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: table of experiments: {error}") from None
    kept = [(k, line) for k, line in enumerate(lines, 1) if line.strip() and line[0] != "#"]
    if not kept:
        raise InputError(f"{path}: no experiments; its first line names the columns")
    header = kept[0][1].split("\t")
    wrong = [name for name in header if name not in known]
    missing = [name for name in required if name not in header]
    if wrong or missing or len(set(header)) < len(header):
        raise InputError(
            f"{path}, line {kept[0][0]}: unknown columns: {', '.join(wrong) or 'none'}; missing: "
            f"{', '.join(missing) or 'none'}; there are: {', '.join(known)}"
        )
    for number, line in kept[1:]:
        cells = next(csv.reader([line], delimiter="\t", quoting=csv.QUOTE_NONE))
        if len(cells) > len(header):
            raise InputError(
                f"{path}, line {number}: {len(cells)} cells, but {len(header)} columns"
            )
        cells += [""] * (len(header) - len(cells))
        row = dict(zip(header, (cell.strip() for cell in cells), strict=True))
        yield f"{path}, line {number}", row


def read_table(
    path: Path | str,
    of_row: Callable[[str, dict[str, str]], Experiment],
    *,
    columns: Sequence[str],
    recipe: type[BaseModel],
    required: Sequence[str],
    within: str = "",
) -> list[Experiment]:
    """The experiments of a table, one a row.

    Parameters
    ----------
    of_row : makes one of where it stands and its cells, as `read_rows` gives them.
    columns : that the table may have besides the keys of `recipe`.
    required : columns that it must have, ``run`` among them.
    within : column within which runs have names of their own; none: in the whole table.

    Raises
    ------
    InputError
        as `read_rows`, and for a run that stands there twice.
    """
    known = [*columns, *recipe.model_fields]
    found = {}
    for where, row in read_rows(path, known=known, required=required):
        experiment, name = of_row(where, row), (row.get(within, ""), row["run"])
        if name in found:
            of = f" of {name[0]}" if within else ""
            raise InputError(f"{where}: run {name[1]!r}{of} stands there twice")
        found[name] = experiment
    return list(found.values())


def seeds_of(where: str, text: str) -> tuple[int, ...]:
    """``0,1,2`` as numbers."""
    try:
        seeds = tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise InputError(
            f"{where}: seeds = {text!r}: whole numbers with commas between, such as 0,1,2"
        ) from None
    if min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise InputError(f"{where}: seeds = {text!r}: none below zero, and none twice")
    return seeds


def recipe_of_row(where: str, kind: type[Recipe], values: Mapping[str, Any]) -> Recipe:
    """A recipe of the keys of a row and what they are laid over."""
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"{where}: {first['loc'][0]} = {first['input']!r}: {first['msg'].lower()}"
        ) from None


def check_name(where: str, key: str, name: str) -> None:
    """Refuse what cannot be a folder's name, or would mean something in a path's pattern."""
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{where}: {key} = {name!r}: letters, digits and ._+- only; it becomes a folder's name"
        )


def parse_sets(where: str, key: str, text: str) -> tuple[SpeechSet, ...]:
    """``cv-de/train librispeech/dev*0.5`` as parts of corpora with their weights."""
    found = []
    for word in text.split():
        match = _SET.fullmatch(word)
        weight = _number(match[3]) if match else None
        if match is None or weight is None or not 0 < weight <= 100:
            raise InputError(
                f"{where}: {key}: {word!r} is not corpus/part, or corpus/part*weight with a "
                "weight above 0 and up to 100"
            )
        found.append(SpeechSet(match[1], match[2], weight))
    if len({each.name for each in found}) < len(found):
        raise InputError(f"{where}: {key}: {text!r} names a part twice")
    return tuple(found)


def check_sets(where: str, sets: Iterable[SpeechSet], corpora: Mapping[str, Iterable[str]]) -> None:
    """Refuse parts of corpora that there are not.

    Parameters
    ----------
    corpora : parts of every corpus.

    Raises
    ------
    InputError
        naming what there is.
    """
    for each in sets:
        if each.corpus not in corpora:
            raise InputError(
                f"{where}: no corpus {each.corpus!r} in speech_corpora; there are: "
                f"{', '.join(corpora) or 'none'}"
            )
        if each.part not in corpora[each.corpus]:
            raise InputError(
                f"{where}: {each.corpus} has no part {each.part!r}; there are: "
                f"{', '.join(corpora[each.corpus])}"
            )


def _number(text: str | None) -> float | None:
    try:
        return 1.0 if text is None else float(text)
    except ValueError:
        return None
