"""Race event-driven inference against dense inference of the same model and torch's GRU.

    python benchmarks/lm_inference.py [--quick] [--threads N]      only prints

`benchmarks/lm.py` calls `measure` and `markdown` and records the table. Batch 1, float32, one token
after the other, from word to logits; all contenders take turns on the same tokens with the same
number of threads. Weights are random, activities wanted: see `hearsay.lm.event_speed`.
"""

import argparse
import sys

import numpy as np
import torch

from hearsay.lm.event_engine import EventEngine
from hearsay.lm.event_speed import (
    DensePath,
    GRUPath,
    break_even,
    model_with_activity,
    race,
)

PAPER, QUICK = ((1350, 1350, 750), 10_000), ((320, 320, 160), 2000)
ACTIVE = (0.0, 0.02, 0.05, 0.1, 0.17, 0.3, 0.5, 0.7, 1.0)
SHOWN = 0.17  # the paper's activity, at which batches are compared too
ENGINE, PLAIN_ENGINE = "engine", "engine, no table"
DENSE, DENSE_TABLE, GRU = "dense", "dense, table", "torch.nn.GRU"
CONTENDERS = (ENGINE, PLAIN_ENGINE, DENSE, DENSE_TABLE, GRU)


def measure(quick: bool = False, *, threads: int = 1) -> list[dict]:
    """One row per share of active units, batch and contender.

    Keys: widths, vocabulary, threads, active (measured), batch, contender, median_ms, low_ms and
    high_ms (quartiles) of a step of all sequences, macs per token and sequence (engines only).
    """
    torch.set_num_threads(threads)
    points = [(share, 1) for share in ((0.0, SHOWN, 1.0) if quick else ACTIVE)]
    points += [(SHOWN, batch) for batch in (2, 4)]
    rows = []
    for share, batch in points:
        print(f"  {share:.0%} active, batch {batch}", file=sys.stderr, flush=True)
        rows += measure_point(share, batch, quick, threads)
    return rows


def measure_point(share: float, batch: int, quick: bool, threads: int) -> list[dict]:
    """The rows of one share of active units and batch."""
    widths, vocabulary = QUICK if quick else PAPER
    model = model_with_activity(widths, vocabulary, share, seed=0)
    engines = {
        ENGINE: EventEngine(model, batch=batch, threads=threads),
        PLAIN_ENGINE: EventEngine(model, batch=batch, threads=threads, lookup=False),
    }
    peers = {
        DENSE: DensePath(model, batch=batch),
        DENSE_TABLE: DensePath(model, batch=batch, lookup=True),
        GRU: GRUPath(model.layer_sizes, vocabulary, batch=batch),
    }
    text = np.random.default_rng(0).integers(vocabulary, size=(60 if quick else 200, batch))
    steppers = {name: contender.step for name, contender in (engines | peers).items()}
    times = race(steppers, text)
    activity = engines[ENGINE].activity
    steps = sum(activity.steps)
    return [
        {
            "widths": list(widths),
            "vocabulary": vocabulary,
            "threads": threads,
            "active": sum(activity.events) / steps,
            "batch": batch,
            "contender": name,
            "median_ms": times[name].median,
            "low_ms": times[name].low,
            "high_ms": times[name].high,
            "macs": engines[name].macs * sum(widths) / steps if name in engines else None,
        }
        for name in CONTENDERS
    ]


def markdown(rows: list[dict]) -> str:
    """The tables: curve and break-even at batch 1, then the batches."""
    first = rows[0]
    widths = "/".join(map(str, first["widths"]))
    lines = [
        f"Milliseconds per step (median, quartiles in brackets), layers {widths}, vocabulary "
        f'{first["vocabulary"]:,}, float32, threads: {first["threads"]}. "Table": the first '
        "layer's input product is looked up, as the engine always may. Dense is the same model "
        "reading every weight, with the faster layout of torch's products and the engine's own "
        "element-wise kernels.",
        "",
    ]
    single = [point for point in _points(rows) if point[ENGINE]["batch"] == 1]
    lines += _table(single, "active", lambda row: f"{row['active']:.1%}")
    lines += ["", *_break_even(single), "", f"At {SHOWN:.0%}, more sequences at a time:", ""]
    closest = min(single, key=lambda point: abs(point[ENGINE]["active"] - SHOWN))
    several = [point for point in _points(rows) if point[ENGINE]["batch"] > 1]
    lines += _table([closest, *several], "batch", lambda row: str(row["batch"]))
    return "\n".join(lines) + "\n"


def _points(rows: list[dict]) -> list[dict[str, dict]]:
    """Rows by contender, for each share and batch."""
    found: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        found.setdefault((row["batch"], row["active"]), {})[row["contender"]] = row
    return [found[key] for key in sorted(found)]


def _table(points: list[dict[str, dict]], name: str, label) -> list[str]:
    lines = [
        f"| {name} | M multiply-accumulates | "
        + " | ".join(CONTENDERS)
        + " | engine's gain on dense | on dense, table | on GRU |",
        "|---:|" + "---:|" * (len(CONTENDERS) + 4),
    ]
    for point in points:
        engine = point[ENGINE]
        cells = [
            f"{row['median_ms']:.3f} ({row['low_ms']:.3f}–{row['high_ms']:.3f})"
            for row in (point[contender] for contender in CONTENDERS)
        ]
        gains = [
            f"{point[peer]['median_ms'] / engine['median_ms']:.1f}x"
            for peer in (DENSE, DENSE_TABLE, GRU)
        ]
        macs = f"{engine['macs'] / 1e6:.2f}"
        lines.append("| " + " | ".join([label(engine), macs, *cells, *gains]) + " |")
    return lines


def _break_even(points: list[dict[str, dict]]) -> list[str]:
    lines = ["Break-even, as a share of active units:", ""]
    active = [point[ENGINE]["active"] for point in points]
    for name, peer in (
        (ENGINE, DENSE),
        (PLAIN_ENGINE, DENSE),
        (ENGINE, DENSE_TABLE),
        (ENGINE, GRU),
    ):
        times = ([point[who]["median_ms"] for point in points] for who in (name, peer))
        share = break_even(active, *times)
        found = "none up to 100 %, faster throughout" if share is None else f"{share:.0%}"
        lines.append(f"- {name} against {peer}: {found}")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, some seconds")
    parser.add_argument("--threads", type=int, default=1, help="default: 1")
    options = parser.parse_args()
    print(markdown(measure(options.quick, threads=options.threads)))


if __name__ == "__main__":
    main()
