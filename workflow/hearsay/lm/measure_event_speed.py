"""Time a token of event-driven inference against activity, beside dense inference and a GRU.

The models are random ones of the wanted activity (`hearsay.lm.event_speed`), so that the curve
covers shares of active units that no training would give.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
import typer
from tqdm import tqdm

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.lm.event_engine import check_threads
from hearsay.lm.event_speed import break_even, measure_point
from hearsay.provenance import Run

STEP = "hearsay.lm.measure_event_speed"
LAYERS = 3


def in_order(active: Sequence[float]) -> list[float]:
    """The shares at which to measure, ascending.

    Raises
    ------
    InputError
        if there is none, or one that is no share.
    """
    if not active or not all(0 <= share <= 1 for share in active):
        raise InputError(
            f"lm.event_speed.active is {list(active)}; give shares of active units from 0 to 1"
        )
    return sorted(set(active))


def main(
    settings: str = typer.Option(
        help="hidden_size, embedding_size, vocabulary, active, tokens and seed as JSON"
    ),
    threads: int = typer.Option(1, help="CPU threads of all that is compared"),
    out: Path = typer.Option(help="CSV to write: one row per share of active units"),
    record: Path = typer.Option(help="run record to write"),
) -> None:
    """Measure one share after the other; times are medians and quartiles of single tokens."""
    options = json.loads(settings) | {"threads": threads}
    check_threads(threads)
    shares = in_order(options["active"])
    torch.set_num_threads(threads)
    widths = [*[options["hidden_size"]] * (LAYERS - 1), options["embedding_size"]]
    run = Run(STEP, settings=options, seed=options["seed"])
    rows = []
    for share in tqdm(shares, desc="event-driven inference", unit="point", mininterval=5.0):
        point = measure_point(
            widths,
            options["vocabulary"],
            share,
            tokens=options["tokens"],
            seed=options["seed"],
            threads=threads,
        )
        rows.append(point)
    # Two wanted shares that few units cannot tell apart come out as one.
    table = pd.DataFrame(rows).drop_duplicates("active").sort_values("active")
    with whole_file(out) as temporary:
        table.to_csv(temporary, index=False)
    even = {
        peer: break_even(table["active"], table["engine_ms"], table[f"{peer}_ms"])
        for peer in ("dense", "gru")
    }
    run.write(
        record,
        sizes={"widths": widths, "vocabulary": options["vocabulary"]},
        threads=threads,
        break_even=even,
    )
    print(
        f"one token at {table['active'].iloc[0]:.0%} to {table['active'].iloc[-1]:.0%} active: "
        f"{table['engine_ms'].iloc[0]:.3f} to {table['engine_ms'].iloc[-1]:.3f} ms, dense "
        f"{table['dense_ms'].median():.3f} ms; break-even "
        + ("beyond all measured" if even["dense"] is None else f"at {even['dense']:.0%}"),
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
