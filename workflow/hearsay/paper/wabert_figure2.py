"""Figure 2 of the WaBERT paper: similarity of speech and text, before and after training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from matplotlib.axes import Axes

from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.command import run_command
from hearsay.paper.style import figure_style, headline, panels, save_figure
from hearsay.paper.wabert_states import Utterance, chosen, on_diagonal, read_runs, similarity
from hearsay.provenance import Run

STEP = "hearsay.paper.wabert_figure2"
PANEL = (3.3, 3.3)  # inches, square inside
MOST = 24  # word pieces whose names fit


def matrices(runs: Mapping[str, Utterance]) -> dict[str, np.ndarray]:
    """Cosines [speech, text] by panel: before any training, then of each run."""
    first = next(iter(runs.values()))
    found = {"before training": similarity(first.before, first.text)}
    return found | {name: similarity(each.after, each.text) for name, each in runs.items()}


def draw(axes: Axes, cosines: np.ndarray, pieces: list[str]) -> None:
    """A heat map with the word pieces along both sides; one scale for all, below 0 as 0."""
    # Cells as paths: the page takes no images inside figures.
    places = np.arange(len(cosines) + 1)
    axes.pcolormesh(places, places, cosines, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    middles = places[:-1] + 0.5
    if len(pieces) <= MOST:
        axes.set_xticks(middles, pieces, rotation=90)
        axes.set_yticks(middles, pieces)
    axes.set_xlabel("text")
    axes.set_ylabel("speech")


def finding(runs: Mapping[str, Mapping[str, Utterance]]) -> Told:
    """Shares of the diagonal over all utterances, and whether training has made it."""
    first = next(iter(runs.values()))
    before = np.mean([on_diagonal(similarity(u.before, u.text)) for u in first.values()])
    cases = []
    for name, utterances in runs.items():
        after = np.mean([on_diagonal(similarity(u.after, u.text)) for u in utterances.values()])
        cases.append(Case(bool(after > before), f"{name} {100 * after:.1f} %"))
    told = (
        f"{len(first)} utterances: before training {100 * before:.1f} % of word pieces are most "
        "alike to their own token of speech or it to them."
    )
    return together([told, verdict("Training makes that more", cases)])


def main(
    states: Annotated[list[str], typer.Option(help="run=states.npz; once for each run")],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    utterance: Annotated[
        str, typer.Option(help="id of the one that is shown; else the first")
    ] = "",
) -> None:
    """Draw Figure 2: cosines of tokens of speech and word pieces of one utterance."""
    runs, paths = read_runs(states)
    record = Run(STEP, settings={"runs": list(runs), "utterance": utterance}, inputs=paths)
    ids = [utterance] if utterance else []
    shown = {name: chosen(found, ids, 1)[0] for name, found in runs.items()}
    drawn = matrices(shown)
    pieces = next(iter(shown.values())).pieces
    told = []
    with figure_style():
        figure, axes = panels(len(drawn), 1, PANEL)
        for ax, (name, cosines) in zip(axes, drawn.items(), strict=True):
            draw(ax, cosines, pieces)
            share = f"{100 * on_diagonal(cosines):.0f} % on the diagonal"
            headline(ax, name, share)
            told.append(f"{name}: {share}")
        save_figure(
            figure,
            svg,
            png,
            title="Similarity of tokens of speech and word pieces",
            description=f"{next(iter(shown.values())).transcript}. {'; '.join(told)}.",
        )
    record.write(run, findings=[finding(runs).about("Figure 2")])


if __name__ == "__main__":
    run_command(main)
