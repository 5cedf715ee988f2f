"""Which listed utterances a part begins with: their texts normalised, every removal counted."""

import csv
import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hearsay.corpora.alphabets import Alphabet, Normalised, normalise
from hearsay.corpora.speech_source import Listing, Recording, Rejected
from hearsay.files import whole_file

REMOVED_COLUMNS = ("character", "name", "count", "utterances", "example", "kind")
REJECTED_COLUMNS = ("id", "reason", "detail")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A listed utterance with its place in the listing and its normalised text."""

    index: int
    recording: Recording
    text: str

    @property
    def needed(self) -> int:
        """Frames that CTC needs at least: one a label, and a blank between equal neighbours."""
        return len(self.text) + sum(a == b for a, b in itertools.pairwise(self.text))


@dataclass
class Removal:
    """How often a character went, from how many utterances, and the first of these."""

    count: int = 0
    utterances: int = 0
    example: str = ""


@dataclass
class Removals:
    """Characters that went from the texts of a part, by character and by what was done."""

    found: dict[tuple[str, str], Removal] = field(default_factory=dict)

    def add(self, utterance: str, normalised: Normalised) -> None:
        """Count what was removed from one utterance."""
        outside = "dropped" if normalised.dropped else "removed"
        for kind, characters in (
            (outside, normalised.removed),
            ("transliterated", normalised.replaced),
            ("punctuation", normalised.punctuation),
        ):
            for character, count in characters.items():
                row = self.found.setdefault((character, kind), Removal(example=utterance))
                row.count += count
                row.utterances += 1

    def totals(self) -> dict[str, int]:
        """Characters by what was done."""
        totals: Counter[str] = Counter()
        for (_, kind), row in self.found.items():
            totals[kind] += row.count
        return dict(sorted(totals.items()))

    def write(self, path: Path) -> None:
        """Write one row a character, letters before punctuation and the most frequent first."""
        ordered = sorted(
            self.found.items(),
            key=lambda item: (item[0][1] == "punctuation", -item[1].count, item[0]),
        )
        with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as f:
            writer = csv.writer(f, lineterminator="\n")
            writer.writerow(REMOVED_COLUMNS)
            for (character, kind), row in ordered:
                name = unicodedata.name(character, f"U+{ord(character):04X}")
                writer.writerow([character, name, row.count, row.utterances, row.example, kind])


@dataclass
class Chosen:
    """What a part begins with.

    Attributes
    ----------
    total : rows considered; each is in `utterances` or in `rejected`.
    rejected : place in the listing (-1 for rows that could not be listed), and why.
    """

    total: int
    utterances: list[Utterance] = field(default_factory=list)
    rejected: list[tuple[int, Rejected]] = field(default_factory=list)
    removals: Removals = field(default_factory=Removals)


def choose(listing: Listing, alphabet: Alphabet, policy: str, limit: int | None) -> Chosen:
    """Normalise the texts of the first `limit` recordings; empty and forbidden ones are rejected.

    Raises
    ------
    InputError
        for an unknown policy.
    """
    recordings = listing.recordings[:limit]
    chosen = Chosen(len(recordings) + len(listing.rejected))
    chosen.rejected += [(-1, rejected) for rejected in listing.rejected]
    seen: set[str] = set()
    for index, recording in enumerate(recordings):
        normalised = normalise(recording.text, alphabet, policy)
        if recording.id in seen:
            why = ("duplicate-id", "an utterance of this id came before")
        elif normalised.dropped:
            why = ("outside-alphabet", f"holds {_listed(normalised.removed)}")
        elif not normalised.text:
            why = ("empty-text", f"nothing of {recording.text[:40]!r} is in the alphabet")
        else:
            why = None
        if recording.id not in seen:
            chosen.removals.add(recording.id, normalised)
        seen.add(recording.id)
        if why is None:
            chosen.utterances.append(Utterance(index, recording, normalised.text))
        else:
            chosen.rejected.append((index, Rejected(recording.id, *why)))
    return chosen


def _listed(characters: Iterable[str]) -> str:
    return ", ".join(repr(character) for character in sorted(characters))


def write_rejected(path: Path, rejected: Iterable[Rejected]) -> None:
    """Write id, reason and detail of each; a header alone if there are none."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(REJECTED_COLUMNS)
        writer.writerows((each.id, each.reason, each.detail) for each in rejected)
