"""Figure 2 of the capacity paper: α̂ against accuracy, a panel per series."""

from pathlib import Path
from typing import Annotated

import typer

from hearsay.paper.capacity import PUBLISHED
from hearsay.paper.capacity_scatter import draw_scatter_figure
from hearsay.paper.command import run_command

METRICS = {"alpha_hat": "α̂, mean over matrices"}


def main(
    summary: Annotated[Path, typer.Option(help="spectral/summary.csv")],
    models: Annotated[str, typer.Option(help='JSON: [{"model": …, "series": …}, …], in order')],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the authors' own values")] = PUBLISHED,
) -> None:
    """Draw Figure 2: mean α̂ against accuracy."""
    draw_scatter_figure(
        "hearsay.paper.capacity_figure2",
        METRICS,
        columns=3,
        title="Mean α̂ against accuracy, one panel a series",
        summary=summary,
        published=published,
        models=models,
        svg=svg,
        png=png,
        run=run,
    )


if __name__ == "__main__":
    run_command(main)
