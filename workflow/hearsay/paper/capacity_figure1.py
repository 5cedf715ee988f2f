"""Figure 1 of the capacity paper: all exponents, and mean α against the test error.

Shaded is the range [2, 5] in which the paper says that nearly all exponents lie. Its error is that
of the top 5 classes; the accuracies known here are top-1.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.errors import InputError
from hearsay.paper.capacity import (
    FITTED,
    PUBLISHED,
    accuracies,
    metric_of,
    read_audit,
    read_models,
    read_published,
    read_summary,
)
from hearsay.paper.command import run_command
from hearsay.paper.style import (
    MUTED,
    SERIES,
    figure_style,
    headline,
    literal,
    look,
    panels,
    save_figure,
)
from hearsay.provenance import Run

UNIVERSAL = (2.0, 5.0)  # the paper's range of exponents
LAST_EDGE = 10.0  # exponents above go into one bar at the end
BIN = 0.25


def draw_histogram(axes: Axes, exponents: pd.DataFrame) -> None:
    """Histogram of α: columns ``alpha``, ``status``; fits with a small tail on top, lighter."""
    edges = np.arange(1.0, LAST_EDGE + BIN / 2, BIN)
    beyond = LAST_EDGE + 2 * BIN
    place = exponents["alpha"].where(exponents["alpha"] < LAST_EDGE, beyond + BIN / 2)
    edges = np.append(edges, [beyond, beyond + BIN])
    sure = exponents["status"] == "ok"
    axes.axvspan(*UNIVERSAL, color=MUTED, alpha=0.13, linewidth=0)
    axes.hist(
        [place[sure], place[~sure]],
        bins=edges.tolist(),
        stacked=True,
        color=[SERIES[0], SERIES[1]],
        label=["tail of 20 eigenvalues or more", "smaller tail"],
        edgecolor="white",
        linewidth=0.4,
    )
    axes.set_xlabel("α")
    axes.set_ylabel("matrices")
    axes.set_xticks([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    if (exponents["alpha"] >= LAST_EDGE).any():
        axes.set_xticks([*axes.get_xticks(), beyond + BIN / 2])
        axes.set_xticklabels([*(str(k) for k in range(1, 10)), "", ">10"])
    axes.set_ylim(top=1.3 * axes.get_ylim()[1])  # room for the legend
    axes.legend(loc="upper right")
    headline(axes, "All exponents", facts(exponents))


def facts(exponents: pd.DataFrame) -> str:
    """How many exponents there are, and how many lie in the paper's range."""
    inside = exponents["alpha"].between(*UNIVERSAL)
    return (
        f"{len(exponents)} matrices; {100 * inside.mean():.0f} % in [2, 5], "
        f"{100 * (exponents['alpha'] < 2).mean():.0f} % below 2"
    )


def draw_error(axes: Axes, summary: pd.DataFrame, accuracy: pd.Series) -> None:
    """Mean α against the test error, a marker per series."""
    shown = accuracy.notna() & metric_of(summary, "alpha").notna()
    for k, series in enumerate(dict.fromkeys(summary["series"])):
        members = summary.index[(summary["series"] == series) & shown]
        if len(members):
            axes.plot(
                metric_of(summary, "alpha")[members],
                100 - accuracy[members],
                linestyle="none",
                label=literal(series or "in no series"),
                **look(k),
            )
    axes.set_xlabel("mean α of the model")
    axes.set_ylabel("test error, %")
    axes.margins(0.12)
    headline(axes, "Mean α and test error", f"{shown.sum()} models with a known accuracy")
    if shown.any():
        axes.legend(loc="best")
    else:
        axes.text(0.5, 0.5, "no accuracy is known", ha="center", transform=axes.transAxes)


def read_exponents(audits: list[Path]) -> pd.DataFrame:
    """``alpha`` and ``status`` of every fitted matrix of all `audits`."""
    tables = [read_audit(path) for path in audits]
    fitted = pd.concat([table[table["status"].isin(FITTED)] for table in tables])
    if fitted.empty:
        raise InputError(f"no exponent in {', '.join(map(str, audits))}: nothing to draw")
    return fitted[["alpha", "status"]].reset_index(drop=True)


def main(
    audits: Annotated[list[Path], typer.Argument(help="spectral/{model}.csv of every model")],
    summary: Annotated[Path, typer.Option(help="spectral/summary.csv")],
    models: Annotated[str, typer.Option(help='JSON: [{"model": …, "series": …}, …], in order')],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the authors' own values")] = PUBLISHED,
) -> None:
    """Draw Figure 1: histogram of all exponents, mean α against test error."""
    audited = read_models(models)
    exponents = read_exponents(audits)
    scores = read_summary(summary, audited)
    accuracy = accuracies(scores, read_published(published))["accuracy"]
    record = Run(
        "hearsay.paper.capacity_figure1",
        settings={"models": [asdict(model) for model in audited]},
        inputs=[*audits, summary, published],
    )
    with figure_style():
        figure, (left, right) = panels(2, 1)
        draw_histogram(left, exponents)
        draw_error(right, scores, accuracy)
        save_figure(
            figure,
            svg,
            png,
            title="Exponents of all matrices, and mean exponent against test error",
            description=f"Left: histogram of α, {facts(exponents)}. Right: mean α against test "
            f"error for {accuracy.notna().sum()} models.",
        )
    told = f"{facts(exponents)}. The paper finds nearly all of them in [2, 5]."
    record.write(run, findings=[{"subject": "Exponents", "text": told}])


if __name__ == "__main__":
    run_command(main)
