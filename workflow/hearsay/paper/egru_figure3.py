"""Figure 3: time of one token against the share of active units, with the break-even."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes

from hearsay.errors import InputError
from hearsay.paper.command import run_command
from hearsay.paper.style import FAINT, INK, MUTED, figure_style, headline, look, panels, save_figure
from hearsay.provenance import Run

STEP = "hearsay.paper.egru_figure3"
COLUMNS = ["active", "engine_ms", "engine_low_ms", "engine_high_ms", "dense_ms", "gru_ms"]
PEERS = {"dense_ms": "the dense path", "gru_ms": "torch.nn.GRU"}
PAPER_ACTIVE = 0.17  # of the paper's EGRU 1350 on Penn Treebank; the nearest measured share is told
SIZE = (5.0, 3.4)  # inches


@dataclass(frozen=True)
class BreakEven:
    """Where the engine stops being faster than a peer.

    `active` is the share of active units at which the curves first cross, interpolated; None where
    they do not, and `always` then says whether the engine is the faster all along.
    """

    active: float | None
    always: bool = False


def read_speed(path: Path) -> pd.DataFrame:
    """Read ``lm/event_speed.csv``: milliseconds a token by active share, ascending."""
    try:
        frame = pd.read_csv(path)
        if missing := [column for column in COLUMNS if column not in frame]:
            raise InputError(f"{path}: lacks the columns {', '.join(missing)}")
        frame = frame[COLUMNS].apply(pd.to_numeric).astype(float)
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
    times = frame[["engine_ms", *PEERS]]
    if frame.empty or not ((times > 0) & np.isfinite(times)).all(axis=None):
        raise InputError(f"{path}: every row needs times above 0")
    if not frame["active"].between(0, 1).all() or frame["active"].duplicated().any():
        raise InputError(f"{path}: active is a fraction from 0 to 1, each one once")
    return frame.sort_values("active", ignore_index=True)


def machine_of(path: Path | None) -> str:
    """Processor named in the run record of the measurement; the engine runs on no other."""
    if path is None:
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["hardware"]["cpu"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: not a run record: {error}") from None


def break_even(speed: pd.DataFrame, peer: str) -> BreakEven:
    """The smallest share from which the engine is no longer faster than `peer`."""
    ahead = (speed[peer] - speed["engine_ms"]).to_numpy()
    active = speed["active"].to_numpy()
    behind = np.flatnonzero(ahead <= 0)
    if behind.size == 0:
        return BreakEven(None, always=True)
    k = int(behind[0])
    if k == 0:
        return BreakEven(None)
    part = ahead[k - 1] / (ahead[k - 1] - ahead[k])
    return BreakEven(float(active[k - 1] + part * (active[k] - active[k - 1])))


def draw_speed(axes: Axes, speed: pd.DataFrame, machine: str) -> None:
    """The engine with its quartiles, both peers, and a vertical line at each break-even."""
    percent = 100 * speed["active"]
    engine = look(0)
    axes.fill_between(
        percent,
        speed["engine_low_ms"],
        speed["engine_high_ms"],
        color=engine["color"],
        alpha=0.18,
        linewidth=0,
    )
    axes.plot(percent, speed["engine_ms"], label="event-driven engine", **engine)
    for k, (peer, words) in enumerate(PEERS.items(), start=1):
        axes.plot(percent, speed[peer], "--", label=words.removeprefix("the "), **look(k))
        crossing = break_even(speed, peer).active
        if crossing is not None:
            height = float(np.interp(crossing, speed["active"], speed[peer]))
            axes.plot([100 * crossing] * 2, [0, height], ":", color=MUTED, linewidth=1)
            axes.annotate(
                f"{100 * crossing:.0f} %",
                (100 * crossing, 0),
                (3, 11 * k - 7),  # two that lie close do not cover each other
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=-2)
    axes.set_xlabel("active units, %")
    axes.set_ylabel("time a token, ms")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    headline(axes, "One token, batch 1", machine)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, columnspacing=1.2)


def finding(speed: pd.DataFrame, machine: str) -> str:
    """Speed at the paper's activity, and the break-even with either peer."""
    at = speed.iloc[(speed["active"] - PAPER_ACTIVE).abs().argmin()]
    times = " and ".join(f"{at[p]:.3g} ms of {words}" for p, words in PEERS.items())
    ratios = " and ".join(f"{at[p] / at['engine_ms']:.1f}" for p in PEERS)
    sentences = [
        f"With {100 * at['active']:.0f} % of the units active the engine needs "
        f"{at['engine_ms']:.3g} ms a token, beside {times}: a ratio of {ratios}."
    ]
    for peer, words in PEERS.items():
        found = break_even(speed, peer)
        if found.active is not None:
            text = f"Against {words} it breaks even at {100 * found.active:.0f} % active units."
        elif found.always:
            text = f"It is faster than {words} at every measured share."
        else:
            least = 100 * speed["active"].iloc[0]
            text = f"It is not faster than {words} even at {least:.0f} % active units."
        sentences.append(text)
    return " ".join([*sentences, *([f"Measured on {machine}."] if machine else [])])


def main(
    speed: Annotated[Path, typer.Option(help="lm/event_speed.csv")],
    svg: Annotated[Path, typer.Option(help="figure for the page and for print")],
    png: Annotated[Path, typer.Option(help="the same as pixels")],
    run: Annotated[Path, typer.Option(help="run record")],
    record: Annotated[
        Path | None, typer.Option(help="run record of the measurement, which names the machine")
    ] = None,
) -> None:
    """Draw Figure 3: time of one token against the share of active units."""
    frame = read_speed(speed)
    machine = machine_of(record)
    # The machine is read from a record that holds times of its own making: no input by content.
    mine = Run(STEP, settings={"machine": machine}, inputs=[speed])
    text = finding(frame, machine)
    with figure_style():
        figure, (axes,) = panels(1, 1, SIZE)
        draw_speed(axes, frame, machine)
        save_figure(
            figure,
            svg,
            png,
            title="Time of one token against the share of active units",
            description=text,
        )
    crossings = {words: break_even(frame, peer).active for peer, words in PEERS.items()}
    mine.write(run, findings=[{"subject": "Figure 3", "text": text}], break_even=crossings)


if __name__ == "__main__":
    run_command(main)
