"""Score one subject's decodings of the test story against what was heard, and against controls.

Every setting, input and protocol: BLEU-1, METEOR, BERTScore and word error rate with block-aware
intervals, the length of what was decoded, and how many outputs differ. For the model's own decoding
also the probability that it is no better than each control.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import typer

from hearsay.brain.pair_scores import DECODING, Key, PairScores, Scored, score_protocol
from hearsay.brain.protocols import (
    CONTROLS,
    PROTOCOLS,
    TRAINED_CONTROL,
    Decoded,
    Protocol,
    read_decoded,
    rows_without_hypothesis,
    training_documents,
)
from hearsay.brain.stories import read_stories, test_story_of
from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.metrics.bertscore import BertScore
from hearsay.metrics.resampling import (
    block_bootstrap_interval,
    circular_shift_p,
    conjunction_p,
    paired_permutation_p,
)
from hearsay.metrics.scores import write_scores
from hearsay.metrics.text import Meteor
from hearsay.metrics.wordnet import WordNet, find_wordnet
from hearsay.provenance import Run
from hearsay.training.devices import device_of

STEP = "hearsay.brain.score_story"
SYSTEM = "brain"
LESS_IS_BETTER = {"wer"}
WINDOW_COLUMNS = ["setting", "input", "draw", "protocol", "window", "measure", "value"]


def rivals_of(
    setting: str, scored: dict[Key, Scored], controls: dict[str, str | None]
) -> dict[str, Scored]:
    """What a setting's decoding is compared with, by name of the control."""
    rivals = {kind: scored[setting, kind] for kind in CONTROLS if (setting, kind) in scored}
    if control := controls.get(setting):
        rivals[TRAINED_CONTROL] = scored[control, DECODING]
    return rivals


def protocol_rows(
    protocol: Protocol,
    scored: dict[Key, Scored],
    controls: dict[str, str | None],
    resamples: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Experiment, model, metric, value and n of every score of one protocol."""
    options = {"block": protocol.block, "resamples": resamples, "seed": seed}
    for (setting, kind), result in scored.items():
        base = {"experiment": setting, "model": kind, "n": len(result.windows)}

        def row(metric: str, value: float, base: dict[str, Any] = base) -> dict[str, Any]:
            return {**base, "metric": f"{protocol.name}/{metric}", "value": float(value)}

        yield row("length-ratio", result.length_ratio)
        yield row("distinct-outputs", result.distinct)
        rivals = rivals_of(setting, scored, controls) if kind == DECODING else {}
        complete = set(CONTROLS) <= set(rivals)
        for measure in result.values:
            mine = result.per_window(measure)
            low, high = block_bootstrap_interval(mine, **options)
            yield row(measure, mine.mean())
            yield row(f"{measure}/ci-low", low)
            yield row(f"{measure}/ci-high", high)
            sign = -1.0 if measure in LESS_IS_BETTER else 1.0
            probabilities = []
            for name, rival in rivals.items():
                difference = mine - rival.per_window(measure)
                probabilities.append(paired_permutation_p(sign * difference, **options))
                yield row(f"{measure}/difference-vs-{name}", difference.mean())
                yield row(f"{measure}/p-vs-{name}", probabilities[-1])
            if result.mismatch:
                probabilities.append(circular_shift_p(sign * result.mismatch[measure]))
                yield row(f"{measure}/p-mismatch", probabilities[-1])
            if complete:
                yield row(f"{measure}/p", conjunction_p(probabilities))


def window_rows(protocol: Protocol, scored: dict[Key, Scored]) -> Iterator[pd.DataFrame]:
    """Scores of single windows, tables with `WINDOW_COLUMNS`."""
    for (setting, kind), result in scored.items():
        for measure, values in result.values.items():
            draws, n = values.shape
            yield pd.DataFrame(
                {
                    "setting": setting,
                    "input": kind,
                    "draw": np.repeat(np.arange(draws), n),
                    "protocol": protocol.name,
                    "window": np.tile(result.windows, draws),
                    "measure": measure,
                    "value": values.ravel(),
                },
                columns=WINDOW_COLUMNS,
            )


def check_controls(
    decoded: dict[str, Decoded], files: dict[str, Path], controls: dict[str, str | None]
) -> None:
    """Raise InputError where a setting with controls lacks one, or the two cannot be compared."""
    for setting, draws in decoded.items():
        if (DECODING, 0) not in draws:
            raise InputError(
                f"{files[setting]}: no input {DECODING!r}, draw 0; decode setting {setting!r} again"
            )
    for setting, trained in controls.items():
        for name in (setting, trained):
            if name is not None and name not in decoded:
                raise InputError(
                    f"controls: setting {name!r} was not decoded; give --decoded {name}=FILE"
                )
        kinds = {kind for kind, _ in decoded[setting]}
        if missing := [kind for kind in CONTROLS if kind not in kinds]:
            raise InputError(
                f"{files[setting]}: no input {missing[0]!r}, which setting {setting!r} is to be "
                "compared with; decode it with its controls"
            )
        if trained is None:
            continue
        mine, theirs = decoded[setting][DECODING, 0], decoded[trained][DECODING, 0]
        if list(mine["window"]) != list(theirs["window"]):
            raise InputError(
                f"{files[trained]}: has other windows than {files[setting]}, with which it is to "
                "be compared; decode both again"
            )


def decoded_files(arguments: list[str]) -> dict[str, Path]:
    """Files by setting, from arguments ``SETTING=PATH``."""
    files = {}
    for argument in arguments:
        setting, separator, path = argument.partition("=")
        if not setting or not separator or setting in files:
            raise InputError(f"--decoded {argument}: give SETTING=PATH, each setting once")
        files[setting] = Path(path)
    return files


def main(
    subject: str = typer.Option(help="name of the subject"),
    windows: Path = typer.Option(help="the subject's prepared stories"),
    decoded: list[str] = typer.Option(help="SETTING=PATH of decoded windows; once a setting"),
    settings: str = typer.Option(
        help="protocols, controls, tang_controls, bertscore_layer, wordnet, resamples, seed and "
        "device as JSON"
    ),
    bertscore: Path = typer.Option(help="folder of BERTScore's model"),
    out: Path = typer.Option(help="score file to write"),
    window_scores: Path = typer.Option(help="CSV to write, one row a window and measure"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """BLEU-1, METEOR, BERTScore and word error rate of the test story, with their statistics."""
    options = json.loads(settings)
    seed, controls = options["seed"], dict(options["controls"])
    if unknown := [name for name in options["protocols"] if name not in PROTOCOLS]:
        raise InputError(f"protocols: no {unknown[0]!r}; there are {', '.join(PROTOCOLS)}")
    files = decoded_files(decoded)
    stories = read_stories(windows, ("train", "test"))
    if stories.subject != subject:
        raise InputError(f"{windows}: prepared for {stories.subject}, not for {subject}")
    story = test_story_of(stories, windows)
    tables = {setting: read_decoded(path, story.name) for setting, path in files.items()}
    check_controls(tables, files, controls)

    database = find_wordnet(options["wordnet"])
    inputs = [windows, *files.values(), bertscore, *([database] if database else [])]
    run = Run(STEP, settings=options, inputs=inputs, seed=seed)
    meteor = Meteor(WordNet(database) if database else None)
    device = device_of(options["device"]).type
    model = BertScore(bertscore, options["bertscore_layer"], device=device)
    rows: list[dict[str, Any]] = []
    single: list[pd.DataFrame] = []
    counts: dict[str, int] = {}
    for name in options["protocols"]:
        protocol = PROTOCOLS[name]
        weights = None
        if protocol.weighted:
            documents = training_documents(stories.of("train"))
            weights = model.inverse_document_frequencies(documents)
        with_controls = name != "tang" or options.get("tang_controls", True)
        score = PairScores(protocol, meteor, model, weights)
        scored = score_protocol(protocol, score, story, tables, with_controls)
        comparable = controls if with_controls else {}
        rows += protocol_rows(protocol, scored, comparable, options["resamples"], seed)
        single += window_rows(protocol, scored)
        counts[name] = max(len(result.windows) for result in scored.values())
    base = {"system": SYSTEM, "subject_or_language": subject, "seed": seed, "run": run.id}
    write_scores(out, [{**base, **row} for row in rows])
    with whole_file(window_scores) as temporary:
        pd.concat(single).to_csv(temporary, index=False)
    run.write(
        record,
        windows=counts,
        rows_without_hypothesis=rows_without_hypothesis(
            next(iter(tables.values()))[DECODING, 0], story
        ),
        synonyms=database is not None,
    )


if __name__ == "__main__":
    typer.run(main)
