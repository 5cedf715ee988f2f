"""Figure 2 of the cross-system audit: metrics and validation score over training.

One row of panels a system whose trainings leave snapshots, one line a training, one colour a task.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator, ScalarFormatter

from hearsay.errors import InputError
from hearsay.paper.audit import SYSTEMS, Pair, Task
from hearsay.paper.audit_command import Audits, Joined, Scores, Tasks, read_joined, run_of
from hearsay.paper.claims import counted, listed
from hearsay.paper.command import run_command
from hearsay.paper.histories import read_history
from hearsay.paper.runs import read_paths
from hearsay.paper.style import (
    FAINT,
    PANEL,
    figure_style,
    headline,
    literal,
    look,
    panels,
    save_figure,
    say,
    typeset,
)

STEP = "hearsay.paper.audit_figure2"
VALIDATION = {"lm": "validation_perplexity", "asr": "validation_wer"}
METRICS = {
    "alpha": "mean α",
    "alpha_hat": "mean α̂",
    "log_frobenius_norm": "mean log₁₀ ‖W‖²",
}
NOTHING = "No training left a snapshot."


@dataclass(frozen=True)
class Trajectory:
    """One training: its task's number, its snapshots' audits by epoch, its validation scores."""

    task: int
    pair: Pair
    scores: pd.Series

    def metric(self, name: str) -> pd.Series:
        """A metric by epoch, 0 the untrained network; snapshots without a fit are left out."""
        audits = sorted(self.pair.snapshots.items())
        found = {epoch: audit.metrics.get(name, math.nan) for epoch, audit in audits}
        return pd.Series(found, dtype=float).dropna()

    def score(self) -> pd.Series:
        """The validation score at every snapshot but the untrained one, which nobody judged."""
        return self.scores.reindex([e for e in sorted(self.pair.snapshots) if e > 0]).dropna()


def trajectories(
    found: Joined, histories: Mapping[str, Path]
) -> dict[str, tuple[list[Task], list[Trajectory]]]:
    """By system, its tasks and the trainings of them that left snapshots.

    Raises
    ------
    InputError
        for a training with snapshots whose history is not given.
    """
    systems: dict[str, tuple[list[Task], list[Trajectory]]] = {}
    for task, pairs in found:
        kept = [pair for pair in pairs if pair.snapshots and task.system in VALIDATION]
        if not kept:
            continue
        tasks, lines = systems.setdefault(task.system, ([], []))
        column = VALIDATION[task.system]
        for pair in kept:
            if pair.model not in histories:
                raise InputError(f"--history: none is named {pair.model}, which has snapshots")
            path = histories[pair.model]
            frame = read_history(path, column.__eq__)
            scores = frame[column] if column in frame else pd.Series(dtype=float)
            lines.append(Trajectory(len(tasks), pair, scores))
        tasks.append(task)
    return systems


def draw(axes: Axes, tasks: list[Task], lines: list[tuple[Trajectory, pd.Series]]) -> None:
    """A value over epochs, one line a training; a task is named once."""
    named = set()
    for line, values in lines:
        task = tasks[line.task].name.partition(", ")[2]
        label = "" if line.task in named or values.empty else literal(task)
        axes.plot(values.index, values, linewidth=1, markersize=3.5, label=label, **look(line.task))
        if label:
            named.add(line.task)
    epochs = sorted({int(epoch) for _, values in lines for epoch in values.index})
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    axes.set_xticks(apart(epochs))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("epochs")
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)


def apart(epochs: list[int]) -> list[int]:
    """Epochs, of the sorted ones, whose numbers have room on a logarithmic axis, and the last."""
    kept: list[int] = []
    for epoch in reversed(epochs):
        if not kept or kept[-1] >= 1.4 * epoch:
            kept.append(epoch)
    return kept[::-1]


def finding(lines: list[Trajectory]) -> str:
    """Which way each metric goes from the untrained network to the last snapshot; no test of it."""
    parts = []
    for metric, label in METRICS.items():
        ends = [line.metric(metric) for line in lines]
        ends = [values for values in ends if len(values) > 1 and values.index[0] == 0]
        if ends:
            falls = sum(values.iloc[-1] < values.iloc[0] for values in ends)
            parts.append(f"{label} falls in {falls} of {counted(len(ends), 'training')}")
    if not parts:
        return "No training has a fit before and after."
    return (
        f"From the untrained network to the last snapshot {listed(parts)}. Snapshots of one "
        "training depend on each other: this is a description, not a test."
    )


def main(
    tasks: Tasks,
    audit: Audits,
    scores: Scores,
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    history: Annotated[
        list[str] | None, typer.Option(help="model=history.csv, of every training with snapshots")
    ] = None,
) -> None:
    """Draw Figure 2: validation score, α, α̂ and a norm over training."""
    found, inputs = read_joined(tasks, audit, scores)
    paths = dict(read_paths(history or [], "--history"))
    record = run_of(STEP, found, [*inputs, *paths.values()])
    systems = trajectories(found, paths)
    told = {system: finding(lines) for system, (_, lines) in systems.items()}
    columns = 1 + len(METRICS)
    with figure_style():
        size = (PANEL[0] * 0.9, PANEL[1])
        figure, axes = panels(columns, max(1, len(systems)), size)
        for row, (system, (named, lines)) in enumerate(systems.items()):
            label = VALIDATION[system].replace("_", " ").replace("wer", "WER")
            shown = {label: [(line, line.score()) for line in lines]}
            for metric, name in METRICS.items():
                shown[name] = [(line, line.metric(metric)) for line in lines]
            for panel, (name, values) in zip(axes[row * columns :], shown.items(), strict=False):
                draw(panel, named, values)
                panel.set_ylabel(typeset(name))
                headline(panel, SYSTEMS[system], counted(len(lines), "training"))
            first = axes[row * columns]
            first.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7)
        if not systems:
            for panel in axes:
                panel.set_axis_off()
            say(axes[0], NOTHING)
        description = " ".join(f"{SYSTEMS[system]}: {text}" for system, text in told.items())
        title = "Metrics of the weights and validation score over training"
        save_figure(figure, svg, png, title=title, description=description or NOTHING)
    findings = [
        {"subject": f"Weights over training, {SYSTEMS[system]}", "text": text}
        for system, text in told.items()
    ]
    record.write(run, findings=findings)


if __name__ == "__main__":
    run_command(main)
