"""Figure 2: activity and backward sparsity of every layer over training, one panel a run."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.errors import InputError
from hearsay.paper import histories as curves
from hearsay.paper.command import run_command
from hearsay.paper.histories import Histories
from hearsay.paper.runs import read_paths
from hearsay.paper.style import FAINT, figure_style, headline, look, panels, save_figure, say
from hearsay.provenance import Run

STEP = "hearsay.paper.egru_figure2"
QUANTITIES = {"activity_sparsity": ("activity", "-"), "backward_sparsity": ("backward", "--")}
SIZE = (3.6, 3.1)  # inches a panel
MOST_COLUMNS = 3


def read_history(path: Path) -> pd.DataFrame:
    """Read the sparsities of ``history.csv``: one row an epoch, indexed by it; some may be NaN."""
    frame = curves.read_history(path, lambda name: "_sparsity" in name)
    if ((frame < 0) | (frame > 1)).any(axis=None):
        raise InputError(f"{path}: a sparsity is a fraction from 0 to 1")
    return frame


def layers_of(histories: Histories, quantity: str) -> list[str]:
    """Columns of `quantity`, layer 1 first; where there is none by layer, that over all."""
    names = set().union(*(frame.columns for frame in histories))
    found: list[str] = []
    while (name := f"{quantity}_layer{len(found) + 1}") in names:
        found.append(name)
    return found or [name for name in [quantity] if name in names]


def over_seeds(histories: Histories, column: str) -> pd.DataFrame:
    """Percent by epoch: columns mean, low, high over the seeds that have the epoch."""
    return 100 * curves.over_seeds(histories, column)


def draw_run(axes: Axes, name: str, histories: Histories) -> None:
    """Activity sparsity as full lines, backward sparsity as dashed, a colour a layer.

    With several seeds a line is their mean, and its band reaches from the smallest to the largest.
    """
    for quantity, (words, dashes) in QUANTITIES.items():
        for k, column in enumerate(layers_of(histories, quantity)):
            band = over_seeds(histories, column)
            colour = look(k)["color"]
            label = f"layer {k + 1}, {words}" if "_layer" in column else words
            short = "" if len(band) > 1 else look(k)["marker"]  # one epoch makes no line
            axes.plot(band.index, band["mean"], dashes, marker=short, color=colour, label=label)
            if len(histories) > 1:
                axes.fill_between(
                    band.index, band["low"], band["high"], color=colour, alpha=0.18, linewidth=0
                )
    axes.set_ylim(0, 100)
    axes.set_xlabel("epoch")
    axes.set_ylabel("sparsity, %")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    seeds = len(histories)
    headline(axes, name, f"{seeds} seeds, mean and range" if seeds > 1 else "one seed")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, columnspacing=1.2, handlelength=1.8
    )


def finding(histories: Histories) -> str:
    """Both sparsities in the first and the last epoch, by layer."""
    parts = []
    for quantity, (words, _) in QUANTITIES.items():
        ends = []
        for column in layers_of(histories, quantity):
            means = over_seeds(histories, column)["mean"]
            if len(means):
                ends.append(f"{means.iloc[0]:.1f} to {means.iloc[-1]:.1f} %")
        if ends:
            parts.append(f"{words} sparsity by layer {', '.join(ends)}")
    last = max(frame.index.max() for frame in histories)
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]} (first epoch to epoch {last:g})."


def sparse_only(named: Mapping[str, Histories]) -> dict[str, Histories]:
    """The runs that recorded a sparsity; dense models have none."""
    return {
        name: histories
        for name, histories in named.items()
        if any(layers_of(histories, quantity) for quantity in QUANTITIES)
    }


def main(
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    history: Annotated[
        list[str] | None,
        typer.Option(help="run=history.csv; once for each run and seed, seeds of one run alike"),
    ] = None,
) -> None:
    """Draw Figure 2: sparsity of every layer over training."""
    paths = read_paths(history or [], "--history")
    named: dict[str, Histories] = {}
    for name, path in paths:
        named.setdefault(name, []).append(read_history(path))
    record = Run(STEP, settings={"runs": [name for name, _ in paths]}, inputs=[p for _, p in paths])
    drawn = sparse_only(named)
    found = {name: finding(histories) for name, histories in drawn.items()}
    with figure_style():
        columns = min(MOST_COLUMNS, max(1, len(drawn)))
        figure, axes = panels(columns, max(1, math.ceil(len(drawn) / columns)), SIZE)
        for spare in axes[len(drawn) :]:
            spare.set_visible(False)
        for panel, (name, histories) in zip(axes, drawn.items(), strict=False):
            draw_run(panel, name, histories)
        if not drawn:
            say(axes[0], "No run recorded a sparsity.")
        told = " ".join(f"{name}: {text}" for name, text in found.items())
        save_figure(
            figure,
            svg,
            png,
            title="Activity and backward sparsity of every layer over training",
            description=told or "No run recorded a sparsity.",
        )
    record.write(
        run,
        findings=[{"subject": f"Figure 2, {name}", "text": text} for name, text in found.items()],
        without_events=[name for name in named if name not in drawn],
    )


if __name__ == "__main__":
    run_command(main)
