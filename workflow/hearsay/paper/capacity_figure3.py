"""Figure 3: the controls that need no power law, against accuracy.

The paper's Figure 3 has α̂ of further models, which are panels of Figure 2 here. The norms that it
only discusses ("Comparison with other metrics") stand in its place.
"""

from pathlib import Path
from typing import Annotated

import typer

from hearsay.paper.capacity import PUBLISHED
from hearsay.paper.capacity_scatter import draw_scatter_figure
from hearsay.paper.command import run_command

METRICS = {
    "log_spectral_norm": "mean log₁₀ λmax",
    "log_frobenius_norm": "mean log₁₀ ‖W‖²",
    "depth": "depth: weights with a fit",
}


def main(
    summary: Annotated[Path, typer.Option(help="spectral/summary.csv")],
    models: Annotated[str, typer.Option(help='JSON: [{"model": …, "series": …}, …], in order')],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the authors' own values")] = PUBLISHED,
) -> None:
    """Draw Figure 3: the controls against accuracy."""
    draw_scatter_figure(
        "hearsay.paper.capacity_figure3",
        METRICS,
        columns=3,
        title="Controls against accuracy, one row of panels a series",
        summary=summary,
        published=published,
        models=models,
        svg=svg,
        png=png,
        run=run,
    )


if __name__ == "__main__":
    run_command(main)
