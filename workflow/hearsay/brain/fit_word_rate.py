"""Fit the word-rate model of one subject and predict the words per TR of every story.

Fitted to training stories alone, its penalty chosen among them; the predictions of these are no
measure of it.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import typer

from hearsay.brain.stories import Story, read_stories
from hearsay.brain.word_rate import WordRate, fit_word_rate, word_rate, words_heard
from hearsay.files import whole_file
from hearsay.provenance import Run

STEP = "hearsay.brain.fit_word_rate"


def correlation(model: WordRate, stories: Sequence[Story]) -> float | None:
    """Of predicted and filtered word rate over all rows of `stories`; None where undefined."""
    if not stories:
        return None
    truth = np.concatenate([word_rate(s.words, len(s.responses)) for s in stories])
    predicted = np.concatenate([model(s.responses) for s in stories])
    if truth.std() == 0.0 or predicted.std() == 0.0:
        return None
    return round(float(np.corrcoef(truth, predicted)[0, 1]), 6)


def main(
    windows: Path = typer.Option(help="the subject's prepared stories"),
    settings: str = typer.Option(help="delays, alphas and folds as JSON"),
    out: Path = typer.Option(help="CSV to write: story, row, words, predicted"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Fit, then predict story by story."""
    options = json.loads(settings)
    run = Run(STEP, settings=options, inputs=[windows])
    # The test story is not even read until the model is fixed.
    known = read_stories(windows, splits=("train", "validation"))
    model = fit_word_rate(known.of("train"), options["alphas"], options["delays"], options["folds"])
    validation = correlation(model, known.of("validation"))
    tested = read_stories(windows, splits=("test",))
    tables = []
    for name, story in sorted({**known.stories, **tested.stories}.items()):
        rows = len(story.responses)
        table = {"story": name, "row": np.arange(rows), "words": words_heard(story.words, rows)}
        tables.append(pd.DataFrame({**table, "predicted": model(story.responses)}))
    with whole_file(out) as temporary:
        pd.concat(tables).to_csv(temporary, index=False)
    run.write(
        record,
        subject=known.subject,
        alpha=model.alpha,
        alpha_at_edge=model.alpha in (min(options["alphas"]), max(options["alphas"])),
        mean=model.mean,
        errors={f"{alpha:g}": error for alpha, error in model.errors.items()},
        validation_correlation=validation,
    )
    print(
        f"{known.subject}: {model.mean:.2f} words a TR, alpha {model.alpha:g}, "
        f"validation correlation {validation}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
