"""Training histories of scratch and fine-tuned runs, by panel, for the transfer paper's figures."""

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hearsay.errors import InputError
from hearsay.paper.asr import LANGUAGES
from hearsay.paper.histories import Histories, read_history
from hearsay.paper.runs import read_paths
from hearsay.paper.style import FAINT, headline, look, panels, say

SIZE = (3.8, 3.2)  # inches a panel
MOST_COLUMNS = 3
SCRATCH = "scratch"  # in the name of the one run of a panel that began untrained

Panel = dict[str, Histories]  # histories of the seeds by run, the scratch run first


def read_panels(options: list[str], column: str) -> tuple[dict[str, Panel], list[Path]]:
    """Histories by panel and run, and their paths, of ``panel, run=history.csv`` options.

    What stands before the first comma is the panel, such as ``de`` or ``German``; a name without a
    comma is a run of the only panel. Seeds of one run are named alike. A history without any value
    of `column` is refused.
    """
    paths = read_paths(options, "--history")
    found: dict[str, Panel] = {}
    for name, path in paths:
        panel, comma, run = name.partition(",")
        panel, run = (panel.strip(), run.strip()) if comma else ("", name.strip())
        panel = LANGUAGES.get(panel, panel)
        if not run:
            raise InputError(f"--history: {name!r} names no run after its panel")
        if re.fullmatch(r"seed \d+", run):
            raise InputError(f"--history: {name!r} names a seed; seeds of one run are named alike")
        frame = read_history(path, lambda one: one in (column, "seconds"), [column])
        if not frame[column].map(math.isfinite).any():
            raise InputError(f"{path}: no epoch has a {column}")
        found.setdefault(panel, {}).setdefault(run, []).append(frame)
    for panel, runs in found.items():
        if len(scratch := [run for run in runs if SCRATCH in run]) > 1:
            raise InputError(
                f"--history: {panel or 'the figure'} has more than one run from scratch "
                f"({', '.join(scratch)}); give each its own panel"
            )
    ordered = {
        panel: dict(sorted(runs.items(), key=lambda pair: SCRATCH not in pair[0]))
        for panel, runs in found.items()
    }
    return ordered, [path for _, path in paths]


def draw_panels(
    drawn: Mapping[str, Panel],
    nothing: str,
    draw: Callable[[Axes, Panel], None],
) -> Figure:
    """One panel each; `nothing` is written where there is none."""
    columns = min(MOST_COLUMNS, max(1, len(drawn)))
    figure, axes = panels(columns, max(1, math.ceil(len(drawn) / columns)), SIZE)
    for spare in axes[len(drawn) :]:
        spare.set_visible(False)
    for panel, (name, runs) in zip(axes, drawn.items(), strict=False):
        draw(panel, runs)
        panel.set_xlabel("epoch")
        panel.grid(axis="y", color=FAINT, linewidth=0.5)
        panel.set_axisbelow(True)
        headline(panel, name, seeds_of(runs))
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2, columnspacing=1.2)
    if not drawn:
        say(axes[0], nothing)
    return figure


def seeds_of(runs: Panel) -> str:
    """How many seeds the lines of a panel are over."""
    counts = sorted({len(histories) for histories in runs.values()})
    if counts == [1]:
        return "one seed"
    return f"{'–'.join(map(str, (counts[0], counts[-1])[: len(counts)]))} seeds, mean and range"


def draw_band(axes: Axes, k: int, name: str, band: pd.DataFrame) -> None:
    """The k-th run as its mean, and as a band from the smallest to the largest seed."""
    colour = look(k)["color"]
    short = "" if len(band) > 1 else look(k)["marker"]  # one epoch makes no line
    dashes = ["-", "-."][k % 2]
    label = name.replace("$", r"\$")
    axes.plot(band.index, band["mean"], dashes, marker=short, color=colour, label=label)
    if (band["high"] > band["low"]).any():
        axes.fill_between(
            band.index, band["low"], band["high"], color=colour, alpha=0.18, linewidth=0
        )
