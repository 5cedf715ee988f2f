"""Figure 1: test perplexity against effective multiply-accumulates, one panel a corpus.

The paper has both numbers in its tables and no such figure.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from hearsay.errors import InputError
from hearsay.paper.command import run_command
from hearsay.paper.egru import (
    MILLION,
    PREDICTIONS,
    PUBLISHED,
    Measured,
    comparable,
    millions,
    read_measurements,
    read_published,
)
from hearsay.paper.plans import RowPlan, check_published, plans_of_corpus, refuse_twice
from hearsay.paper.runs import read_paths
from hearsay.paper.style import (
    MUTED,
    PointNames,
    figure_style,
    headline,
    label_points,
    look,
    panels,
    save_figure,
)
from hearsay.provenance import Run

STEP = "hearsay.paper.egru_figure1"
MODELS = {"egru": "EGRU", "gru": "GRU", "lstm": "LSTM"}
PUBLISHED_MODELS = {"LSTM": "lstm", "AWD-LSTM": "lstm", "GRU": "gru", "EGRU": "egru"}
SIZE = (4.2, 3.2)  # inches a panel: names need room
WITH, WITHOUT = "effective_macs", "effective_macs_rnn"


@dataclass(frozen=True)
class Corpus:
    """A corpus of the configuration: the paper's table it stands for, and its rows there.

    `why` says why there are no scores, where there are none.
    """

    corpus: str
    table: str
    rows: list[RowPlan]
    why: str = ""


@dataclass(frozen=True)
class Panel:
    """What is drawn of one corpus.

    Attributes
    ----------
    corpus : its name.
    named : (plan, scores) of every run with scores, in order.
    published : (name, model, operations in millions, test perplexity) of the paper's rows.
    below : line of facts under the title.
    """

    corpus: str
    named: list[tuple[RowPlan, Measured]]
    published: list[tuple[str, str, float, float]]
    below: str = ""

    def points(self) -> list[tuple[RowPlan, Measured, float, float]]:
        """Runs with both numbers: operations in millions, and perplexity, means over seeds."""
        found = []
        for plan, scores in self.named:
            macs, perplexity = scores.mean(WITH), scores.mean("test_perplexity")
            if macs and perplexity:
                found.append((plan, scores, macs / MILLION, perplexity))
        return found


def draw_panel(axes: Axes, panel: Panel) -> PointNames:
    """Seeds as dots, their mean as a large marker, published values hollow.

    From each EGRU's mean a line leads to its operations without the decoder.
    """
    names, x, y = [], [], []
    for plan, scores, macs, perplexity in panel.points():
        style = look(list(MODELS).index(scores.model))
        for metrics in scores.seeds.values():
            if metrics.get(WITH):
                axes.plot(
                    [metrics[WITH] / MILLION],
                    [metrics["test_perplexity"]],
                    linestyle="none",
                    marker=".",
                    markersize=3.4,
                    markeredgewidth=0,
                    color=style["color"],
                )
        if scores.model == "egru" and (without := scores.mean(WITHOUT)):
            ends = [without / MILLION, macs]
            axes.plot(ends, [perplexity] * 2, color=MUTED, linewidth=0.7, marker="", zorder=1)
            axes.plot(ends[:1], [perplexity], color=MUTED, marker="|", markersize=5, zorder=1)
        axes.plot([macs], [perplexity], linestyle="none", markersize=6.5, **style)
        names.append(plan.name)
        x.append(macs)
        y.append(perplexity)
    for name, model, macs, perplexity in panel.published:
        style = look(list(MODELS).index(model))
        axes.plot(
            [macs], [perplexity], linestyle="none", markersize=6, markerfacecolor="none", **style
        )
        names.append(f"{name}, paper")
        x.append(macs)
        y.append(perplexity)
    axes.set_xscale("log")
    # Powers of ten alone would leave a short axis with one number, all digits a long one with none
    # that could be read.
    digits = (
        (1.0, 2.0, 5.0) if not x or max(x) > 8 * min(x) else (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    )
    axes.xaxis.set_major_locator(LogLocator(subs=digits))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("effective MAC a token, millions")
    axes.set_ylabel("test perplexity")
    headline(axes, panel.corpus, panel.below)
    if not names:
        axes.text(0.5, 0.5, "nothing measured", ha="center", color=MUTED, transform=axes.transAxes)
    return PointNames(axes, x, y, names)


def published_points(published: pd.DataFrame, table: str) -> list[tuple[str, str, float, float]]:
    """Rows of a table of the paper that have both operations and perplexity."""
    rows = published[(published["table"] == table) & (published["effective_mac"] != "")]
    return [
        (row, PUBLISHED_MODELS[row.split()[0]], millions(macs), test)
        for row, macs, test in zip(rows["row"], rows["effective_mac"], rows["test"], strict=True)
    ]


def unbeaten(panel: Panel) -> list[str]:
    """Runs that none has both fewer operations and a lower perplexity than."""
    points = panel.points()
    return [
        plan.name
        for plan, _, macs, perplexity in points
        if not any(
            m <= macs and p <= perplexity and (m, p) != (macs, perplexity) for *_, m, p in points
        )
    ]


def facts(panel: Panel) -> str:
    """The numbers of every point, for a reader who does not see the figure."""
    told = []
    for plan, scores, macs, perplexity in panel.points():
        without = scores.mean(WITHOUT)
        bare = f", {without / MILLION:.3f} without decoder" if without else ""
        seeds = f"{len(scores.seeds)} seed{'s' if len(scores.seeds) > 1 else ''}"
        told.append(f"{plan.name} {perplexity:.2f} at {macs:.3f} million{bare} ({seeds})")
    told += [
        f"{name}, published, {p:.1f} at {macs:g} million" for name, _, macs, p in panel.published
    ]
    return f"{panel.corpus}: {'; '.join(told) or 'nothing measured'}."


def finding(panel: Panel) -> str:
    """Which runs are unbeaten in both numbers at once."""
    if len(panel.points()) < 2:
        return "Fewer than two runs, nothing to weigh."
    best = unbeaten(panel)
    beaten = [plan.name for plan, *_ in panel.points() if plan.name not in best]
    text = f"No run has both fewer operations and a lower perplexity than {', '.join(best)}"
    return f"{text}; one has than {', '.join(beaten)}." if beaten else f"{text}."


def read_corpora(text: str) -> list[Corpus]:
    """Read ``[{"corpus": …, "table": "1", "rows": […], "why": …}, …]``, in order."""
    try:
        found = [
            Corpus(**{**entry, "rows": plans_of_corpus(entry["rows"], "--corpora")})
            for entry in json.loads(text)
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f'--corpora: not a JSON list of {{"corpus": …, "table": …, "rows": …}}: {error}'
        ) from None
    refuse_twice([one.corpus for one in found], "--corpora")
    if not found or any(one.table not in PREDICTIONS for one in found):
        raise InputError(f"--corpora: each needs a table, {' or '.join(PREDICTIONS)}")
    return found


def panel_of(corpus: Corpus, scores: Path | None, published: pd.DataFrame) -> Panel:
    """The panel of a corpus; published values stand only beside scores on the paper's own text."""
    known = published[published["table"] == corpus.table]["row"]
    check_published(corpus.rows, list(known), "--corpora")
    measured = read_measurements(scores, corpus.corpus, corpus.rows) if scores else {}
    named = [
        (p, measured[p.run]) for p in corpus.rows if p.run in measured and measured[p.run].seeds
    ]
    foreign = any(not comparable(one, corpus.table) for _, one in named)
    points = [] if foreign else published_points(published, corpus.table)
    hollow = "another text than the paper's" if foreign else "hollow: published"
    below = "; ".join(filter(None, ["" if named else corpus.why, hollow]))
    return Panel(corpus.corpus, named, points, below)


def main(
    corpora: Annotated[
        str, typer.Option(help='JSON: [{"corpus": …, "table": "1", "rows": […]}, …], in order')
    ],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    scores: Annotated[
        list[str] | None, typer.Option(help="corpus=scores.csv; once for each that was run")
    ] = None,
    published: Annotated[Path, typer.Option(help="the paper's own values")] = PUBLISHED,
) -> None:
    """Draw Figure 1: test perplexity against effective multiply-accumulates."""
    described = read_corpora(corpora)
    paths = dict(read_paths(scores or [], "--scores"))
    if unknown := sorted(set(paths) - {one.corpus for one in described}):
        raise InputError(f"--scores: {', '.join(unknown)} is not in --corpora")
    values = read_published(published)
    record = Run(
        STEP,
        settings={"corpora": [asdict(one) for one in described]},
        inputs=[*paths.values(), published],
    )
    drawn = [panel_of(one, paths.get(one.corpus), values) for one in described]
    with figure_style():
        figure, axes = panels(len(drawn), 1, SIZE)
        names = [draw_panel(*pair) for pair in zip(axes, drawn, strict=True)]
        label_points(figure, names)
        save_figure(
            figure,
            svg,
            png,
            title="Test perplexity against effective multiply-accumulates",
            description=" ".join(facts(panel) for panel in drawn),
        )
    found = [
        {"subject": f"Figure 1, {panel.corpus}", "text": finding(panel)}
        for panel in drawn
        if panel.named
    ]
    record.write(run, findings=found)


if __name__ == "__main__":
    run_command(main)
