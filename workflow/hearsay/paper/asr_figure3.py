"""Figure 3: validation accuracy relative to the best, and the time to 90 % of it."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.paper.asr_curves import SCRATCH, Panel, draw_band, draw_panels, read_panels
from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.command import run_command
from hearsay.paper.histories import Histories, over_seeds
from hearsay.paper.style import MUTED, figure_style, save_figure
from hearsay.provenance import Run

STEP = "hearsay.paper.asr_figure3"
RATE = "validation_wer"
LEVEL = 0.9
NOTHING = "No run was validated."
CLAIM = "Fine-tuning reaches 90 % of the final accuracy sooner"
PAPER = "In the paper about 18 times sooner, on speech that is not public."


@dataclass(frozen=True)
class Reached:
    """When a run first has 90 % of the best accuracy of its panel, mean over seeds.

    Attributes
    ----------
    epoch : None where it never has.
    first : whether that is the first epoch that was validated: it may have had it before.
    last : last epoch that was validated.
    seconds : of training until then, mean over seeds; None where the histories do not say.
    """

    epoch: float | None
    first: bool
    last: float
    seconds: float | None


def accuracy(histories: Histories) -> pd.DataFrame:
    """1 − word error rate by epoch: columns mean, low, high over seeds."""
    band = 1 - over_seeds(histories, RATE)
    return band.rename(columns={"low": "high", "high": "low"})


def best_of(runs: Panel) -> float:
    """The best accuracy of any run and epoch, mean over seeds."""
    return max(float(accuracy(histories)["mean"].max()) for histories in runs.values())


def reached(histories: Histories, best: float) -> Reached:
    """The first validated epoch at 90 % of `best`."""
    mean = accuracy(histories)["mean"]
    there = mean.index[mean >= LEVEL * best]
    if not len(there):
        return Reached(None, False, float(mean.index[-1]), None)
    times = [f["seconds"].get(there[0], math.nan) for f in histories if "seconds" in f]
    known = len(times) == len(histories) and all(map(math.isfinite, times))
    seconds = sum(times) / len(times) if known else None
    first = bool(there[0] == mean.index[0])
    return Reached(float(there[0]), first, float(mean.index[-1]), seconds)


def draw_accuracies(axes: Axes, runs: Panel) -> None:
    """One line a run, relative to the best of all, and a dashed one at 90 %."""
    best = best_of(runs)
    axes.set_ylabel("relative validation accuracy")
    if best <= 0:
        axes.text(
            0.5, 0.5, "no accuracy above 0", ha="center", color=MUTED, transform=axes.transAxes
        )
    for k, (name, histories) in enumerate(runs.items()):
        draw_band(axes, k, name, accuracy(histories) / max(best, 1e-9))
    axes.axhline(LEVEL, color=MUTED, linestyle="--", linewidth=0.9)
    axes.annotate(
        "90 %",
        (1, LEVEL),
        (2, 0),
        ("axes fraction", "data"),
        "offset points",
        color=MUTED,
        va="center",
        fontsize=7.5,
    )
    axes.set_ylim(0, 1.05)


def sooner(name: str, ours: Reached, theirs: Reached) -> Case:
    """How many times sooner a fine-tuned run is at 90 % than the one from scratch, in epochs."""
    if ours.epoch is None:
        never = "" if theirs.epoch is not None else ", nor does the one from scratch"
        return Case(False, f"{name} does not reach it in {ours.last:g} epochs{never}")
    if theirs.epoch is None:
        more = theirs.last / max(ours.epoch, 1)
        return Case(
            True,
            f"{name} in epoch {ours.epoch:g}, from scratch not in {theirs.last:g}: more than "
            f"{more:.1f} times sooner",
        )
    if ours.epoch <= 0:
        return Case(
            theirs.epoch > 0, f"{name} before any training, from scratch in {theirs.epoch:g}"
        )
    ratio = theirs.epoch / ours.epoch
    told = f"{name} in epoch {ours.epoch:g}, from scratch in {theirs.epoch:g}: "
    if ratio > 1:
        told += f"{'at least ' if ours.first else ''}{ratio:.1f} times sooner"
    else:
        told += "no sooner"
    if ours.seconds and theirs.seconds:
        told += f", {ours.seconds:.0f} s of training for {theirs.seconds:.0f} s"
    return Case(ratio > 1, told)


def times_of(runs: Panel) -> dict[str, Reached]:
    """When each run is at 90 %; none where no accuracy is above 0."""
    best = best_of(runs)
    return {name: reached(one, best) for name, one in runs.items()} if best > 0 else {}


def finding(runs: Panel) -> Told:
    """The best accuracy, and the claim with the ratio of times."""
    best, times = best_of(runs), times_of(runs)
    if not times:
        return Told(
            "No run has a word error rate below 100 %, so that no accuracy can be compared."
        )
    of = next(n for n, one in runs.items() if accuracy(one)["mean"].max() == best)
    cases = [
        sooner(name, one, times[scratch])
        for scratch in times
        if SCRATCH in scratch
        for name, one in times.items()
        if SCRATCH not in name
    ]
    told = f"Accuracy is relative to the best, {100 * best:.1f} % of {of}."
    return together([told, verdict(CLAIM, cases), PAPER])


def record_of(runs: Panel) -> dict[str, Any]:
    """The numbers of a panel for the run record."""
    return {
        "best_accuracy": best_of(runs),
        "to_90_percent": {name: asdict(one) for name, one in times_of(runs).items()},
    }


def main(
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    history: Annotated[
        list[str] | None,
        typer.Option(help='"panel, run"=history.csv; once for each run and seed, seeds alike'),
    ] = None,
) -> None:
    """Draw Figure 3: relative validation accuracy over training."""
    drawn, paths = read_panels(history or [], RATE)
    record = Run(STEP, settings={"panels": {k: list(v) for k, v in drawn.items()}}, inputs=paths)
    found = {name: finding(runs) for name, runs in drawn.items()}
    with figure_style():
        figure = draw_panels(drawn, NOTHING, draw_accuracies)
        told = " ".join(f"{name}: {one.text}".lstrip(": ") for name, one in found.items())
        save_figure(
            figure,
            svg,
            png,
            title="Validation accuracy relative to the best, over training",
            description=told or NOTHING,
        )
    record.write(
        run,
        findings=[
            one.about(", ".join(filter(None, ("Figure 3", name)))) for name, one in found.items()
        ],
        panels={name: record_of(runs) for name, runs in drawn.items()},
    )


if __name__ == "__main__":
    run_command(main)
