"""Times of the words of prepared clips, from what a corpus has of them.

Words are brought into the alphabet as the clips' texts were; joined by spaces they are the text of
the clip, always. A word whose times cannot be those of the clip's audio keeps its place without
times, and is listed; so are words without letters, which go, and utterances that have no words with
times or other ones than their text.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from hearsay.corpora import table_word_times, timit
from hearsay.corpora.alphabets import Alphabet, alphabet_of, normalise
from hearsay.corpora.manifest import Clip, read_manifest
from hearsay.corpora.speech_source import Rejected, open_source
from hearsay.corpora.speech_texts import write_rejected
from hearsay.corpora.word_times import WordListing, WordTime, check_times, write_word_times
from hearsay.errors import InputError
from hearsay.provenance import Run

STEP = "hearsay.corpora.prepare_word_times"

READERS: dict[str, Callable[..., WordListing]] = {
    "timit": timit.word_times_of,
    "table": table_word_times.word_times_of,
}
"""By kind of the corpus, who gives words with times by id: ``(source, parts, options)``."""


@dataclass
class Prepared:
    """Words by id of the clip; what is listed; and words by what became of them."""

    words: dict[str, list[WordTime]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def prepare(
    clips: Sequence[Clip],
    listing: WordListing,
    alphabet: Alphabet,
    policy: str,
    place: str,
) -> Prepared:
    """Bring the words of a corpus to its prepared clips; of every clip there is a row or a reason.

    Parameters
    ----------
    clips : of a manifest.
    listing : what the corpus has, by the same ids.
    alphabet, policy : with which the clips' texts were normalised.
    place : name of the corpus's source, for messages.

    Raises
    ------
    InputError
        if no clip gets times.
    """
    why = {each.id: each for each in listing.rejected}
    prepared = Prepared()
    for clip in clips:
        if clip.id not in listing.words:
            missing = Rejected(clip.id, "missing", "the corpus has no word times of it")
            prepared.rejected.append(why.get(clip.id, missing))
            continue
        words, without = _normalised(listing.words[clip.id], clip, alphabet, policy)
        if words is None:
            said = " ".join(word.word for word in listing.words[clip.id])
            what = f"words with times are {said[:80]!r}, the text is {clip.text[:80]!r}"
            prepared.rejected.append(Rejected(clip.id, "text-differs", what))
            continue
        words, faults = check_times(words, clip.duration)
        _list_words(prepared, clip.id, without, "no-letters")
        for fault in faults:
            _list_words(prepared, clip.id, [fault.detail], fault.reason)
        if len(faults) == len(words):
            what = f"none of its {len(words)} words has times that can be"
            prepared.rejected.append(Rejected(clip.id, "no-times", what))
            continue
        prepared.words[clip.id] = words
        prepared.counts["timed"] += len(words) - len(faults)
    if not prepared.words:
        first = prepared.rejected[0]
        raise InputError(
            f"{place}: none of {len(clips)} clips has word times; such as {first.id}: "
            f"{first.detail}"
        )
    return prepared


def _list_words(prepared: Prepared, name: str, details: Sequence[str], reason: str) -> None:
    prepared.counts[reason] += len(details)
    prepared.rejected += [Rejected(name, f"word-{reason}", detail) for detail in details]


def _normalised(
    words: Sequence[WordTime], clip: Clip, alphabet: Alphabet, policy: str
) -> tuple[list[WordTime] | None, list[str]]:
    """Words as they stand in the clip's text (None if they do not), and words without letters."""
    kept, without = [], []
    for index, word in enumerate(words):
        text = normalise(word.word, alphabet, policy).text
        if text:
            kept.append(WordTime(text, word.start_s, word.end_s))
        else:
            without.append(f"word {index + 1}, {word.word!r}, has no letters")
    if " ".join(word.word for word in kept) == clip.text:
        return kept, without
    # Of quotation marks around several words it takes the whole text to tell.
    tokens = iter(clip.text.split())
    renamed = []
    for word in kept:
        own = [next(tokens, "") for _ in word.word.split()]
        if [_bare(token) for token in own] != [_bare(token) for token in word.word.split()]:
            return None, without
        renamed.append(WordTime(" ".join(own), word.start_s, word.end_s))
    return (None if next(tokens, None) else renamed), without


def _bare(token: str) -> str:
    return token.strip("'")


def _counts(clips: Sequence[Clip], prepared: Prepared) -> dict[str, Any]:
    kept = len(prepared.words)
    reasons = Counter(e.reason for e in prepared.rejected if not e.reason.startswith("word-"))
    assert kept + reasons.total() == len(clips), "an utterance is neither kept nor listed"
    return {
        "total": len(clips),
        "kept": kept,
        "rejected": dict(sorted(reasons.items())),
        "words": dict(sorted(prepared.counts.items())),
    }


def _told(counts: Mapping[str, Any]) -> str:
    listed = {**counts["rejected"], **{f"words {k}": n for k, n in counts["words"].items() if n}}
    what = ", ".join(f"{name} {count:,}" for name, count in listed.items())
    return f"{counts['total']:,} clips, {counts['kept']:,} with word times ({what})"


def main(
    corpus: str = typer.Option(help="name of the corpus in the configuration"),
    part: str = typer.Option(help="name of the part"),
    source: Path = typer.Option(help="folder or archive of the corpus"),
    manifest: Path = typer.Option(help="manifest that prepare_speech made of the part"),
    settings: str = typer.Option(
        help="kind (timit, table), language, parts, policy, counts, options and, for a language "
        "that is not built in, alphabet as JSON"
    ),
    words: Path = typer.Option(help="CSV to write: id, word, start_s, end_s"),
    rejected: Path = typer.Option(help="CSV to write: what has no times, and why"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Read the word times of a part's clips, check them, and write them."""
    options = json.loads(settings)
    if options["kind"] not in READERS:
        raise InputError(
            f"speech_corpora.{corpus}: word times are read of the kinds {', '.join(READERS)}, not "
            f"{options['kind']!r}; put them into a words.csv and make it a table"
        )
    named = {**options, "corpus": corpus, "part": part}
    run = Run(STEP, settings=named, inputs=[manifest])
    clips = read_manifest(manifest)
    told = {"counts": options["counts"], **options["options"]}
    try:
        files = open_source(source, options["parts"])
        listing = READERS[options["kind"]](files, options["parts"], told)
        alphabet = alphabet_of(options["language"], options)
        prepared = prepare(clips, listing, alphabet, options["policy"], str(source))
    except InputError as error:
        raise InputError(f"speech_corpora.{corpus}: {part}: {error}") from None
    write_word_times(words, prepared.words)
    write_rejected(rejected, prepared.rejected)
    counts = _counts(clips, prepared)
    run.write(record, source=str(source), counts=counts)
    print(f"{corpus}, {part}: {_told(counts)}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
