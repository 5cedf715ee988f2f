"""Figure 2: training loss of models trained from scratch and of fine-tuned ones, by epoch."""

from pathlib import Path
from typing import Annotated

import typer
from matplotlib.axes import Axes

from hearsay.paper.asr_curves import SCRATCH, Panel, draw_band, draw_panels, read_panels
from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.command import run_command
from hearsay.paper.histories import Histories, over_seeds
from hearsay.paper.style import figure_style, save_figure
from hearsay.provenance import Run

STEP = "hearsay.paper.asr_figure2"
LOSS = "loss"
NOTHING = "No run was trained."


def draw_losses(axes: Axes, runs: Panel) -> None:
    """One line a run."""
    for k, (name, histories) in enumerate(runs.items()):
        draw_band(axes, k, name, over_seeds(histories, LOSS))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("training loss (CTC)")


def facts(runs: Panel) -> str:
    """Loss in the first and the last epoch, means over seeds."""
    told = []
    for name, histories in runs.items():
        band = over_seeds(histories, LOSS)["mean"]
        told.append(
            f"{name} {band.iloc[0]:.3g} in epoch {band.index[0]:g}, {band.iloc[-1]:.3g} in epoch "
            f"{band.index[-1]:g}"
        )
    return f"Training loss: {'; '.join(told)}."


def finding(runs: Panel) -> Told:
    """The losses, and whether a fine-tuned model's is the lower one half-way and at the end."""
    cases = []
    for scratch in (runs[name] for name in runs if SCRATCH in name):
        for name, histories in runs.items():
            if SCRATCH not in name and (case := lower(name, histories, scratch)):
                cases.append(case)
    claim = "Fine-tuning has the lower training loss from the first epochs to the last"
    return together([facts(runs), verdict(claim, cases)])


def lower(name: str, tuned: Histories, scratch: Histories) -> Case | None:
    """Share of the epochs of both in which the fine-tuned model has the lower loss."""
    ours, theirs = (over_seeds(one, LOSS)["mean"] for one in (tuned, scratch))
    shared = ours.index.intersection(theirs.index)
    if shared.empty:
        return None
    below = int((ours[shared] < theirs[shared]).sum())
    return Case(below == len(shared), f"{name} in {below} of {len(shared)} epochs")


def main(
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    history: Annotated[
        list[str] | None,
        typer.Option(help='"panel, run"=history.csv; once for each run and seed, seeds alike'),
    ] = None,
) -> None:
    """Draw Figure 2: training loss from scratch and with fine-tuning."""
    drawn, paths = read_panels(history or [], LOSS)
    record = Run(STEP, settings={"panels": {k: list(v) for k, v in drawn.items()}}, inputs=paths)
    with figure_style():
        figure = draw_panels(drawn, NOTHING, draw_losses)
        told = " ".join(f"{name}: {facts(runs)}".lstrip(": ") for name, runs in drawn.items())
        save_figure(
            figure,
            svg,
            png,
            title="Training loss from scratch and with fine-tuning",
            description=told or NOTHING,
        )
    record.write(
        run,
        findings=[
            finding(runs).about(", ".join(filter(None, ("Figure 2", name))))
            for name, runs in drawn.items()
        ],
    )


if __name__ == "__main__":
    run_command(main)
