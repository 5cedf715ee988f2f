"""Errors of word boundaries of all aligners, and of those that hear nothing, on every part."""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import typer

from hearsay.corpora.manifest import Clip, read_audio, read_manifest
from hearsay.corpora.word_times import WordTime, read_word_times
from hearsay.errors import InputError
from hearsay.metrics.scores import write_scores
from hearsay.provenance import Run
from hearsay.slu.bert_layers import load_tokeniser
from hearsay.slu.boundary_errors import BoundaryErrors, boundary_errors
from hearsay.slu.compare_aligners import bootstrap_interval, paired_difference
from hearsay.slu.trivial_aligners import trivial_alignments

STEP = "hearsay.slu.score_alignment"
FLOORS = (
    "characters, oracle span",
    "perfect tiling",
    "perfect tiling, whole audio",
    "rounded to frames",
)
REFERENCES = ("constant alpha", "characters, energy")  # that every aligner is compared with

Times = dict[str, list[WordTime]]
Row = dict[str, Any]


def regrouped(found: list[WordTime], gold: list[WordTime], name: str) -> list[WordTime]:
    """Times of the reference's words, some of which are several of the transcript's.

    Raises
    ------
    InputError
        naming the clip, for other words.
    """
    left = iter(found)
    merged = []
    for word in gold:
        taken = [next(left, None) for _ in word.word.split()]
        parts = [part for part in taken if part is not None]
        said = [part.word for part in parts]
        if said != word.word.split():
            raise InputError(
                f"{name}: {' '.join(said)!r} was aligned where the reference has {word.word!r}; "
                "align the prepared part again"
            )
        merged.append(WordTime(word.word, parts[0].start_s, parts[-1].end_s))
    if next(left, None) is not None:
        raise InputError(f"{name}: more words were aligned than the reference has; align it again")
    return merged


def pieces_of(words: list[WordTime], tokeniser: Any) -> list[int]:
    """Number of word pieces of each word."""
    counts = []
    for word in words:
        split = word.word.split()
        numbers = tokeniser(split, is_split_into_words=True).word_ids()
        counts.append(sum(number is not None for number in numbers))
    return counts


def trivial_times(
    clips: Mapping[str, Clip], gold: Times, tokeniser: Any
) -> dict[str, dict[str, np.ndarray]]:
    """Of each trivial aligner and floor, the times [words, 2] by clip.

    Raises
    ------
    InputError
        naming the clip: for audio that cannot be read, and a word without pieces.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for name, words in gold.items():
        times = np.array([[word.start_s, word.end_s] for word in words])
        audio = read_audio(clips[name])
        try:
            aligned = trivial_alignments(
                [word.word for word in words], pieces_of(words, tokeniser), audio, times
            )
        except InputError as error:
            raise InputError(f"clip {name}: {error}") from None
        for row, each in aligned.items():
            found.setdefault(row, {})[name] = each
    return found


def errors_of(found: Times, gold: Times, what: str) -> BoundaryErrors:
    """Errors of what was aligned by one aligner."""
    if lacking := [name for name in gold if name not in found]:
        raise InputError(
            f"{what}: {len(lacking)} of {len(gold)} clips were not aligned, such as {lacking[0]!r}"
        )
    return boundary_errors(gold, {n: regrouped(found[n], words, n) for n, words in gold.items()})


def measured(errors: BoundaryErrors, resamples: int) -> dict[str, float]:
    """All measures of an aligner, with the mean's interval."""
    low, high = bootstrap_interval(errors, resamples=resamples)
    return {**errors.summary(), "mae_low": low, "mae_high": high, "missing": errors.missing}


def compared(
    errors: BoundaryErrors, references: Mapping[str, BoundaryErrors], resamples: int
) -> Iterator[tuple[str, float]]:
    """An aligner's mean error less that of each reference, on the same boundaries."""
    for name, reference in references.items():
        found = paired_difference(errors, reference, resamples=resamples)
        yield f"mae less {name}", found.value
        yield f"mae less {name} low", found.low
        yield f"mae less {name} high", found.high
        yield f"p against {name}", found.p
        yield f"p_sign against {name}", found.p_sign


def rows_of_part(
    part: Mapping[str, Any],
    aligned: list[dict[str, Any]],
    forced: list[dict[str, Any]],
    tokeniser: Any,
    resamples: int,
) -> Iterator[Row]:
    """Score rows of one part."""
    gold = read_word_times(part["words"])
    clips = {clip.id: clip for clip in read_manifest(part["manifest"])}
    if lacking := [name for name in gold if name not in clips]:
        raise InputError(f"{part['words']}: {lacking[0]!r} is no clip of {part['manifest']}")
    shared = {"system": "slu", "subject_or_language": part["part"], "n": len(gold)}
    trivial = {
        name: boundary_errors(gold, _as_words(times, gold))
        for name, times in trivial_times(clips, gold, tokeniser).items()
    }
    for name, errors in trivial.items():
        kind = "floor" if name in FLOORS else "trivial"
        for metric, value in measured(errors, resamples).items():
            row = {"experiment": f"{kind}: {name}", "model": kind, "seed": 0}
            yield {**shared, **row, "metric": metric, "value": value}
    references = {name: trivial[name] for name in REFERENCES}
    for each in [*aligned, *forced]:
        if each["part"] != part["part"]:
            continue
        errors = errors_of(read_word_times(each["times"]), gold, each["times"])
        values = measured(errors, resamples) | dict(compared(errors, references, resamples))
        row = {"experiment": each["run"], "model": each["preset"], "seed": each["seed"]}
        for metric, value in values.items():
            yield {**shared, **row, "metric": metric, "value": value}


def _as_words(times: Mapping[str, np.ndarray], gold: Times) -> Times:
    return {
        name: [
            WordTime(word.word, float(left), float(right))
            for word, (left, right) in zip(gold[name], each, strict=True)
        ]
        for name, each in times.items()
    }


def main(
    part: list[str] = typer.Option(help='JSON of each: {"part", "manifest", "words"}'),
    aligned: list[str] = typer.Option(
        help='JSON of each aligner and part: {"run", "seed", "preset", "part", "times"}'
    ),
    forced: list[str] = typer.Option([], help='JSON of each: {"model", "part", "times"}'),
    text: Path = typer.Option(help="folder of the text encoder, for its word pieces"),
    settings: str = typer.Option(help="resamples as JSON"),
    out: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Judge all aligners on all parts."""
    options = json.loads(settings)
    parts, found, others = ([json.loads(t) for t in each] for each in (part, aligned, forced))
    references = [
        {"run": f"forced: {each['model']}", "preset": "forced", "seed": 0, **each}
        for each in others
    ]
    inputs = [Path(each[key]) for each in parts for key in ("manifest", "words")]
    inputs += [Path(each["times"]) for each in [*found, *others]]
    kept = Run(
        STEP,
        settings={**options, "runs": [f"{e['run']}/{e['seed']}" for e in found]},
        inputs=[*inputs, text],
    )
    tokeniser = load_tokeniser(text)
    rows: list[Row] = []
    for each in parts:
        rows += rows_of_part(each, found, references, tokeniser, options["resamples"])
    write_scores(out, [{**row, "run": kept.id} for row in rows])
    kept.write(record, values=len(rows))
    print(f"{len(parts)} parts, {len(found)} alignments, {len(rows)} values", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
