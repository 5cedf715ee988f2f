"""Panels of a metric against accuracy, one series each; figures 2 and 3 of the capacity paper."""

import math
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from hearsay.metrics.correlation import Correlation, kendall
from hearsay.paper.capacity import (
    accuracies,
    metric_of,
    read_models,
    read_published,
    read_summary,
    series_of,
)
from hearsay.paper.style import (
    PointNames,
    figure_style,
    headline,
    label_points,
    look,
    panels,
    save_figure,
    say,
    typeset,
)
from hearsay.provenance import Run

FEWEST_MODELS = 2  # one point says nothing


def draw_metric(
    axes: Axes, series: str, k: int, values: pd.Series, accuracy: pd.Series, label: str
) -> tuple[Correlation, PointNames]:
    """`values` against `accuracy` (both indexed by model), with τ, n and p above.

    Returns the correlation, and the names for `label_points`.
    """
    found = kendall(values, accuracy)
    both = values.index[values.notna() & accuracy.notna()]
    axes.plot(values[both], accuracy[both], linestyle="none", **look(k))
    axes.set_xlabel(typeset(label))
    axes.set_ylabel("accuracy, %")
    if (values[both] % 1 == 0).all():
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    headline(axes, series, correlation_text(found))
    return found, PointNames(axes, list(values[both]), list(accuracy[both]), list(both))


def correlation_text(found: Correlation) -> str:
    """``τ = −0.93, n = 8, p = 0.0004``, or why there is no τ."""
    if math.isnan(found.tau):
        return f"τ not defined: {found.reason}"
    tau = f"{found.tau:+.2f}".replace("-", "−")
    return f"τ = {tau}, n = {found.n}, p = {found.p:.2g}"


def draw_scatter_figure(
    step: str,
    metrics: dict[str, str],
    *,
    columns: int,
    title: str,
    summary: Path,
    published: Path,
    models: str,
    svg: Path,
    png: Path,
    run: Path,
) -> None:
    """Draw a panel for each series with two accuracies or more and each metric (name: label)."""
    audited = read_models(models)
    scores = read_summary(summary, audited)
    accuracy = accuracies(scores, read_published(published))["accuracy"]
    record = Run(
        step,
        settings={"models": [asdict(model) for model in audited]},
        inputs=[summary, published],
    )
    series = series_of(scores)
    known = {name: int(accuracy[scores["series"] == name].notna().sum()) for name in series}
    drawn = [name for name in series if known[name] >= FEWEST_MODELS]
    correlations, names = [], []
    with figure_style():
        count = max(1, len(drawn) * len(metrics))
        figure, axes = panels(min(columns, count), math.ceil(count / columns))
        for spare in axes[len(drawn) * len(metrics) :]:
            spare.set_visible(False)
        for row, name in enumerate(drawn):
            members = scores.index[scores["series"] == name]
            for column, (metric, label) in enumerate(metrics.items()):
                found, points = draw_metric(
                    axes[row * len(metrics) + column],
                    name,
                    series.index(name),
                    metric_of(scores, metric)[members],
                    accuracy[members],
                    label,
                )
                names.append(points)
                correlations.append(f"{name}, {label}: {correlation_text(found)}.")
        if not drawn:
            say(axes[0], "No series has two models\nwith a known accuracy.")
        label_points(figure, names)
        absent = [
            f"{name}: not drawn, {count} with a known accuracy."
            for name, count in known.items()
            if name not in drawn
        ]
        save_figure(figure, svg, png, title=title, description=" ".join(correlations + absent))
    record.write(run, correlations=correlations, not_drawn=absent)
