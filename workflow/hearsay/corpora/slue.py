"""SLUE-VoxCeleb: utterances of interviews with a sentiment each.

``slue-voxceleb_{fine-tune,dev,test}.tsv`` names each utterance, its text, sentiment, speaker, and
where it lies in ``{part}_raw/{id}.flac``; ``{part}/{id}.flac`` is cut already and taken where there
is no raw file. Two marks stand where annotators did not agree on one sentiment; these rows are left
out, as SLUE's own baselines do, and listed.

Source: S. Shon et al., "SLUE", ICASSP 2022, and the toolkit's release notes.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import Table, check_count, read_table
from hearsay.errors import InputError
from hearsay.files import whole_file

LABELS = ("Negative", "Neutral", "Positive")
"""Sentiments, in the order of their numbers 0, 1, 2."""

DROPPED = {"<mixed>": "mixed", "Disagreement": "disagreement"}
"""Marks that are no sentiment, with the reason that their rows are listed under."""

_TRAIN = {"Negative": 227, "Neutral": 4223, "Positive": 1279, "<mixed>": 48}
RELEASES: dict[str, dict[str, dict[str, int]]] = {
    "v0.1": {"fine-tune": {"rows": 5777, **_TRAIN}, "dev": {"rows": 955}, "test": {"rows": 4052}},
    "v0.2": {
        "fine-tune": {"rows": 5777, **_TRAIN},
        "dev": {
            "rows": 1454, "Negative": 51, "Neutral": 1124, "Positive": 262,
            "<mixed>": 3, "Disagreement": 14,
        },
        "test": {"rows": 3553},
    },
}  # fmt: skip
"""Rows of each part by release, and by sentiment where that is known. v0.2 redrew dev and test."""

LABELS_COLUMNS = ("id", "label", "sentiment", "speaker")
_NEEDED = ["id", "normalized_text", "sentiment", "start_second", "end_second"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """An utterance and its sentiment, one of `LABELS`."""

    recording: Recording
    sentiment: str


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances with a sentiment, in the order of the tables; as `list_labelled`, which see."""
    labelled, rejected = list_labelled(source, parts, options)
    return Listing([each.recording for each in labelled], rejected)


def list_labelled(
    source: Source, parts: Sequence[str], options: Mapping[str, Any]
) -> tuple[list[Labelled], list[Rejected]]:
    """Utterances with their sentiments, and rows that are left out.

    Parameters
    ----------
    source : folder or archive with the tables and the audio.
    parts : ``fine-tune``, ``dev``, ``test``.
    options : ``release`` is ``v0.1`` or ``v0.2`` to have the numbers of rows and of sentiments
        checked; ``counts`` has numbers of rows that parts must have.

    Raises
    ------
    InputError
        for a part without a table or without its sentiments (``test_blind``), a sentiment that is
        none, a release that is unknown, and other numbers than the release or ``counts`` has.
    """
    release = options.get("release")
    if release is not None and release not in RELEASES:
        raise InputError(f"options.release: {release!r} is none of {', '.join(RELEASES)}")
    labelled: list[Labelled] = []
    rejected: list[Rejected] = []
    for part in parts:
        table = _table(source, part)
        place = f"{source.path} ({table.name})"
        check_count(place, part, len(table.lines), options.get("counts") or {})
        found: Counter[str] = Counter(rows=len(table.lines))
        for row in _rows(table, source, part):
            if isinstance(row, Rejected):
                rejected.append(row)
                continue
            found[row.sentiment] += 1
            if row.sentiment in DROPPED:
                why = f"its sentiment is {row.sentiment}"
                rejected.append(Rejected(row.recording.id, DROPPED[row.sentiment], why))
            else:
                labelled.append(row)
        if release is not None:
            _check_release(place, part, found, release)
    return labelled, rejected


def _table(source: Source, part: str) -> Table:
    names = source.names()
    for last in (f"slue-voxceleb_{part}.tsv", f"slue-voxceleb_{part}_blind.tsv"):
        found = [name for name in names if f"/{name}".endswith(f"/{last}")]
        if len(found) > 1:
            raise InputError(
                f"{source.path}: {len(found)} tables are named {last} ({found[0]}, {found[1]}); "
                "name the folder of one as path"
            )
        if not found:
            continue
        table = read_table(source, found[0], [c for c in _NEEDED if c != "sentiment"])
        if "sentiment" not in table.columns:
            raise InputError(
                f"{source.path} ({found[0]}): its first line has no column 'sentiment'; get the "
                "release with labels (those of test are public since January 2024)"
            )
        return table
    there = ", ".join(name for name in names if name.endswith(".tsv"))[:200] or "none"
    raise InputError(
        f"{source.path}: holds no slue-voxceleb_{part}.tsv (tables there: {there}); name the "
        "folder or archive of SLUE-VoxCeleb, and its parts fine-tune, dev or test"
    )


def _rows(table: Table, source: Source, part: str) -> Iterator[Labelled | Rejected]:
    folder = table.name.rpartition("/")[0]
    last = table.name.rpartition("/")[2]
    for (number, _), row in zip(table.lines, table.rows(), strict=True):
        if isinstance(row, Rejected):
            yield row
            continue
        place = f"{last}, line {number}"
        name, sentiment = row["id"].strip(), row["sentiment"].strip()
        if sentiment not in LABELS and sentiment not in DROPPED:
            raise InputError(
                f"{source.path} ({place}): the sentiment of {name!r} is {sentiment!r}, none of "
                f"{', '.join(LABELS)} (nor of {', '.join(DROPPED)}, which are left out); correct it"
            )
        try:
            start, end = float(row["start_second"]), float(row["end_second"])
            if not 0 <= start < end < math.inf:
                raise ValueError
        except ValueError:
            times = f"{row['start_second']!r} to {row['end_second']!r}"
            yield Rejected(name, "bad-row", f"{place}: {times} is no stretch of seconds")
            continue
        recording = _recording(source, folder, part, row, start, end)
        yield Labelled(recording, sentiment)


def _recording(
    source: Source, folder: str, part: str, row: Mapping[str, str], start: float, end: float
) -> Recording:
    """The raw file with its times, or the one that is cut; the raw one if neither is there."""
    name = row["id"].strip()
    within = f"{folder}/" if folder else ""
    raw, cut = f"{within}{part}_raw/{name}.flac", f"{within}{part}/{name}.flac"
    text, speaker = row["normalized_text"], row.get("speaker_id", "").strip()
    if raw not in source and cut in source:
        return Recording(name, text, speaker, cut, duration=end - start)
    return Recording(name, text, speaker, raw, start=start, end=end)


def _check_release(place: str, part: str, found: Mapping[str, int], release: str) -> None:
    expected = RELEASES[release].get(part)
    if expected is None:
        known = ", ".join(RELEASES[release])
        raise InputError(f"{place}: {release} has no part {part!r}; it has {known}")
    for what, count in expected.items():
        if found.get(what, 0) != count:
            of = "" if what == "rows" else "of "
            raise InputError(
                f"{place}: {part} has {found.get(what, 0)} {of}{what}, but {release} has {count}; "
                "get that release, or correct options.release"
            )


def write_labels(path: Path | str, rows: Iterable[Labelled]) -> None:
    """Write id, number and name of the sentiment, and speaker of each utterance as CSV."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(LABELS_COLUMNS)
        for each in rows:
            number = LABELS.index(each.sentiment)
            writer.writerow([each.recording.id, number, each.sentiment, each.recording.speaker])


def read_labels(path: Path | str) -> dict[str, int]:
    """Number of the sentiment (place in `LABELS`) by id, in the order of the file.

    Raises
    ------
    InputError
        for a table that is missing or of another form, a row whose number and name are not those of
        one sentiment, and an id that came before.
    """
    path = Path(path)
    labels: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream)
            if tuple(header := next(rows, [])) != LABELS_COLUMNS:
                raise InputError(
                    f"{path}: its first line is {','.join(header)[:80]!r}, not "
                    f"{','.join(LABELS_COLUMNS)!r}; remove it and make it anew"
                )
            for row in rows:
                place = f"{path}, line {rows.line_num}"
                if len(row) != 4 or row[1:3] not in [[str(k), s] for k, s in enumerate(LABELS)]:
                    known = ", ".join(f"{k} {s}" for k, s in enumerate(LABELS))
                    raise InputError(
                        f"{place}: {','.join(row)[:60]!r} has none of the labels {known}; correct "
                        "it, or remove the file and make it anew"
                    )
                if row[0] in labels:
                    raise InputError(f"{place}: the id {row[0]!r} came before; make the file anew")
                labels[row[0]] = int(row[1])
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); prepare_slue makes it") from None
    return labels
