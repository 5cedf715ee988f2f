"""Figure 1 of the cross-system audit: metrics against test scores, one row of panels a score."""

import math
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Series:
    """Models of one task that were scored by one measure; `name` for the legend."""

    task: Task
    measure: Measure
    pairs: list[Pair]

    @property
    def name(self) -> str:
        """The task within its system, and the test where it is not the task's first."""
        name = self.task.name.partition(", ")[2] or self.task.name
        test = self.measure.label.partition(", ")[2] or self.measure.label
        return name if self.measure == self.task.measures[0] else f"{name} on {test}"


def rows_of(found: Joined) -> dict[tuple[str, str], list[Series]]:
    """Models with a score, by system and the first measure that each has: one row each.

    Measures with one name but of different tests, such as word error rates, share a row.
    """
    rows: dict[tuple[str, str], list[Series]] = {}
    for task, pairs in found:
        for measure in task.measures:
            scored = [
                pair
                for pair in pairs
                if pair.measured(task) == measure and not math.isnan(pair.scores[measure.label])
            ]
            if scored:
                kind = f"{task.name.partition(',')[0]}: {measure.label.partition(',')[0]}"
                row = rows.setdefault((task.system, kind), [])
                row.append(Series(task, measure, scored))
    return rows


def draw(axes: Axes, row: list[Series], metric: str) -> str:
    """One metric against one kind of score, a colour a series; better models stand higher.

    Ticks below mark the metric of untrained weights. Returns the numbers of models.
    """
    counts = []
    for k, series in enumerate(row):
        points = [(p.metric(metric), p.scores[series.measure.label]) for p in series.pairs]
        points = [point for point in points if not math.isnan(point[0])]
        counts.append(len(points))
        axes.plot(
            [x for x, _ in points],
            [y for _, y in points],
            linestyle="none",
            label=literal(f"{series.name}, n = {len(points)}"),
            **look(k),
        )
        for pair in series.pairs:
            value = pair.untrained.metrics.get(metric) if pair.untrained else None
            if value is not None:
                axes.axvline(value, ymax=0.06, color=look(k)["color"], linewidth=1)
    if row[0].measure.better == "lower":
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
        for number, ((system, kind), row) in enumerate(rows.items()):
            for column, metric in enumerate(METRICS):
                panel = axes[number * len(METRICS) + column]
                counts = draw(panel, row, metric)
                better = row[0].measure.better
                headline(panel, SYSTEMS[system], kind)
                panel.set_ylabel(f"{better} is better, drawn upwards" if not column else "")
                if not column:
                    panel.legend(
                        loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize=7
                    )
                    told.append(f"{SYSTEMS[system]}, {kind}: models by series {counts}.")
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
