"""Figure 1 of the cross-system audit: metrics against test scores, one row of panels a score."""

import math
from pathlib import Path
from typing import Annotated

import typer
from matplotlib.axes import Axes

from hearsay.paper.audit import SYSTEMS, Measure, Pair, Task
from hearsay.paper.audit_command import Audits, Joined, Scores, Tasks, read_joined, run_of
from hearsay.paper.command import run_command
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

STEP = "hearsay.paper.audit_figure1"
METRICS = {
    "alpha": "mean α",
    "alpha_hat": "mean α̂",
    "log_spectral_norm": "mean log₁₀ λmax",
    "log_frobenius_norm": "mean log₁₀ ‖W‖²",
}
NOTHING = "No model has an audit and a score."


def rows_of(found: Joined) -> dict[tuple[str, str], list[tuple[Task, Measure, list[Pair]]]]:
    """Tasks with a model that has a score, by system and label of their first score: one row each.

    Scores with one name but of different tests, such as word error rates, share a row.
    """
    rows: dict[tuple[str, str], list[tuple[Task, Measure, list[Pair]]]] = {}
    for task, pairs in found:
        first = task.measures[0]
        scored = [pair for pair in pairs if not math.isnan(pair.scores[first.label])]
        if scored:
            kind = f"{task.name.partition(',')[0]}: {first.label.partition(',')[0]}"
            rows.setdefault((task.system, kind), []).append((task, first, scored))
    return rows


def draw(axes: Axes, tasks: list[tuple[Task, Measure, list[Pair]]], metric: str) -> str:
    """One metric against one kind of score, a colour a task; better models stand higher.

    Ticks below mark the metric of untrained weights. Returns the numbers of models.
    """
    counts = []
    for k, (task, measure, pairs) in enumerate(tasks):
        points = [(p.metric(metric), p.scores[measure.label]) for p in pairs]
        points = [point for point in points if not math.isnan(point[0])]
        counts.append(len(points))
        name = task.name.partition(", ")[2] or task.name
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            linestyle="none",
            label=literal(f"{name}, n = {len(points)}"),
            **look(k),
        )
        for pair in pairs:
            value = pair.untrained.metrics.get(metric) if pair.untrained else None
            if value is not None:
                axes.axvline(value, ymax=0.06, color=look(k)["color"], linewidth=1)
    if tasks[0][1].better == "lower":
        axes.invert_yaxis()
    axes.set_xlabel(typeset(METRICS[metric]))
    axes.grid(color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    return ", ".join(map(str, counts))


def main(
    tasks: Tasks,
    audit: Audits,
    scores: Scores,
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
) -> None:
    """Draw Figure 1: α, α̂ and norms of the models trained here against their test scores."""
    found, inputs = read_joined(tasks, audit, scores)
    record = run_of(STEP, found, inputs)
    rows = rows_of(found)
    told = []
    with figure_style():
        size = (PANEL[0] * 0.9, PANEL[1])
        figure, axes = panels(len(METRICS), max(1, len(rows)), size)
        for row, ((system, kind), members) in enumerate(rows.items()):
            for column, metric in enumerate(METRICS):
                panel = axes[row * len(METRICS) + column]
                counts = draw(panel, members, metric)
                better = members[0][1].better
                headline(panel, SYSTEMS[system], kind)
                panel.set_ylabel(f"{better} is better, drawn upwards" if not column else "")
                if not column:
                    panel.legend(
                        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7
                    )
                    told.append(f"{SYSTEMS[system]}, {kind}: models by task {counts}.")
        if not rows:
            for panel in axes:
                panel.set_axis_off()
            say(axes[0], NOTHING)
        description = " ".join(told) or NOTHING
        title = "Metrics of the weights of every model trained here against its test score"
        save_figure(figure, svg, png, title=title, description=description)
    record.write(run, drawn=told)


if __name__ == "__main__":
    run_command(main)
