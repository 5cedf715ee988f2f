"""Measure EGRU language models: a training step, inference by events, memory.

    python benchmarks/lm.py                       everything; writes benchmarks/lm.md and lm.json
    python benchmarks/lm.py --out FILE.md         likewise, elsewhere; FILE.json beside it
    python benchmarks/lm.py --quick               small sizes, a minute or two; only prints
    python benchmarks/lm.py --only training       one section (or inference, memory); only prints
    python benchmarks/lm.py --only training --record     and renews that section of the record

Run it with the project's own Python, on Linux. Weights and inputs are random. No downloads.
Every contender runs in a process of its own with the same number of threads, and they take turns.
Imports, compiling and making models are not timed. EGRU's backends must agree.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from lm_training import CONTENDERS, LAYERS

HERE = Path(__file__).resolve().parent
TITLE = "# EGRU language models: speed and memory"
PACKAGES = ("torch", "numba", "triton", "numpy")
GRU, LOOP = "torch.nn.GRU", "EGRU, plain autograd loop"

FULL = {
    "training": {"hidden": [512, 1350], "steps": 70, "batch": 20, "repeats": 5},
    "inference": {"quick": False},
    "memory": {"hidden": [512, 1350], "steps": 70, "batch": 20},
}
QUICK = {
    "training": {"hidden": [128], "steps": 20, "batch": 8, "repeats": 5},
    "inference": {"quick": True},
    "memory": {"hidden": [128], "steps": 20, "batch": 20},
}


def run(script: str, task: str, *arguments: Any, threads: int) -> Any:
    """A task's answer, from a process of its own."""
    environment = dict(os.environ) | {
        f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")
    }
    environment |= {"PYTHONPATH": str(HERE.parent / "workflow"), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, HERE / script, task, answer, json.dumps(arguments)]
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if process.returncode != 0:
            sys.exit(f"{task} failed\n{process.stderr}")
        result = json.loads(answer.read_text())
    told = [str(a) for a in arguments if not isinstance(a, dict)]
    if isinstance(result, dict):
        told.append(f"{result['seconds']:.4g} s" if "seconds" in result else result["not_run"])
    print(f"  {task.lstrip('-')} {' '.join(told)}", file=sys.stderr, flush=True)
    return result


def measure_training(sizes: dict, rounds: int, threads: int) -> dict:
    found: dict = {}
    for device in ("cuda", "cpu"):
        for hidden in sizes["hidden"]:
            rows: dict = {}
            for _ in range(rounds):
                for name in CONTENDERS:
                    result = run(
                        "lm_training.py", "time_step", name, sizes, hidden, device, threads=threads
                    )
                    if "not_run" in result:
                        break
                    if name in rows:
                        result["times"] += rows[name]["times"]
                    rows[name] = result
            if not rows:
                found[device] = {"not_run": result["not_run"]}
                break
            _check_agreement(rows, device, hidden)
            for row in rows.values():
                row["quartiles"] = np.percentile(row["times"], [25, 50, 75]).tolist()
            found.setdefault(device, {})[str(hidden)] = rows
    return found


def _check_agreement(rows: dict, device: str, hidden: int) -> None:
    """Backends of one variant: events and gradients as far as float32 goes.

    A cell within rounding of its threshold may fire in one and not in the other, and what follows
    differs; hence shares and norms, not elements (which tests compare in float64).
    """
    ours = {name: row for name, row in rows.items() if name != GRU and "evnn" not in name}
    for key, tolerance in {"active": 2e-3, "gradient_norm": 2e-2}.items():
        values = [row[key] for row in ours.values()]
        if max(values) - min(values) > tolerance * max(values):
            sys.exit(f"training {device} {hidden}: backends disagree, {key} {values}")


def measure_memory(sizes: dict, rounds: int, threads: int) -> dict:
    return {
        str(hidden): {
            name: run("lm_training.py", "step_memory", name, sizes, hidden, threads=threads)
            for name in CONTENDERS
        }
        for hidden in sizes["hidden"]
    }


def measure_inference(sizes: dict, rounds: int, threads: int) -> list:
    return run("lm.py", "--inference", sizes["quick"], threads=threads)


def tell_training(found: dict, sizes: dict) -> Iterator[str]:
    yield (
        f"Forward and backward of {LAYERS} layers of equal width, B = {sizes['batch']}, "
        f"T = {sizes['steps']}, float32, gradients of the input and of all parameters; median and "
        "quartiles of warm steps of all rounds. EGRU is of the paper's variant unless said "
        "otherwise; its step includes everything that GRU's does. Target: at most 1.0 times GRU's "
        "time."
    )
    for device, by_size in found.items():
        yield ""
        if "not_run" in by_size:
            yield f"{device.upper()}: not run, {by_size['not_run']}."
            continue
        yield "| device | h | | backend | step, ms | quartiles | times GRU's | times the loop's |"
        yield "|---|---:|---|---|---:|---:|---:|---:|"
        for hidden, rows in by_size.items():
            for name, row in rows.items():
                low, middle, high = row["quartiles"]
                by_gru = middle / rows[GRU]["quartiles"][1]
                by_loop = middle / rows[LOOP]["quartiles"][1]
                yield (
                    f"| {row['device']} | {hidden} | {name} | {row['backend'] or ''} "
                    f"| {1e3 * middle:.1f} | {1e3 * low:.1f}–{1e3 * high:.1f} "
                    f"| {by_gru:.2f} | {by_loop:.2f} |"
                )
        shares = ", ".join(
            f"{100 * rows['EGRU, auto']['active']:.1f} % at h = {hidden}"
            for hidden, rows in by_size.items()
        )
        yield ""
        yield (
            f"Active units of the last layer: {shares}; training's products are dense, and its "
            "time does not depend on it."
        )


def tell_memory(found: dict, sizes: dict) -> Iterator[str]:
    yield (
        f"One step as above, B = {sizes['batch']}, T = {sizes['steps']}, float32 on the CPU. Peak: "
        "resident memory of a fresh process during its first step (kernel's VmHWM), beyond that "
        "with libraries, parameters and input; gradients are in it. Saved: tensors kept from "
        "forward for backward, beside the parameters, each storage once."
    )
    yield ""
    yield "| h | | peak, MB | times GRU's | saved, MB | times GRU's | gradients, MB |"
    yield "|---:|---|---:|---:|---:|---:|---:|"
    for hidden, rows in found.items():
        gru = rows[GRU]
        for name, row in rows.items():
            yield (
                f"| {hidden} | {name} | {row['megabytes']:.0f} "
                f"| {row['megabytes'] / gru['megabytes']:.2f} | {row['saved_megabytes']:.0f} "
                f"| {row['saved_megabytes'] / gru['saved_megabytes']:.2f} "
                f"| {row['gradient_megabytes']:.0f} |"
            )


def tell_inference(found: list, sizes: dict) -> Iterator[str]:
    import lm_inference

    yield lm_inference.markdown(found)


SECTIONS: dict[str, tuple[str, Callable, Callable]] = {
    "training": ("A training step", measure_training, tell_training),
    "inference": ("Inference by events", measure_inference, tell_inference),
    "memory": ("Memory of a training step", measure_memory, tell_memory),
}


def circumstances(rounds: int, threads: int) -> dict:
    """Where and how a section was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "date": str(datetime.date.today()),
        "machine": f"{[*names, platform.machine()][0]}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "load": f"{os.getloadavg()[0]:.1f}",
        "threads": threads,
        "rounds": rounds,
        "software": ", ".join([f"Python {platform.python_version()}", *map(_version, PACKAGES)]),
    }


def _version(package: str) -> str:
    try:
        return f"{package} {importlib.metadata.version(package)}"
    except importlib.metadata.PackageNotFoundError:
        return f"no {package}"


def rendered(sections: dict[str, dict]) -> str:
    """The record as Markdown."""
    lines = [TITLE, "", "Recorded by `python benchmarks/lm.py`; do not edit."]
    for name, (title, _, tell) in SECTIONS.items():
        if name not in sections:
            continue
        section = sections[name]
        where = section["circumstances"]
        lines += ["", f"## {title}", "", *tell(section["found"], section["sizes"]), ""]
        lines.append(
            f"{where['date']}; {where['machine']}; {where['threads']} threads, {where['rounds']} "
            f"rounds, load average {where['load']} when it began; {where['software']}."
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=HERE / "lm.md", help="default: benchmarks/lm.md"
    )
    parser.add_argument("--only", choices=SECTIONS, help="one section; only prints")
    parser.add_argument("--record", action="store_true", help="with --only: renew that section")
    parser.add_argument("--quick", action="store_true", help="small sizes; only prints")
    parser.add_argument("--rounds", type=int, default=2, help="default: 2")
    parser.add_argument(
        "--threads", type=int, default=min(2, os.cpu_count() or 1), help="default: 2"
    )
    options = parser.parse_args()
    if options.quick and options.record:
        parser.error("--quick does not record")
    sizes = QUICK if options.quick else FULL
    sections = {}
    for name, (_, measure, _) in SECTIONS.items():
        if options.only in (None, name):
            where = circumstances(options.rounds, options.threads)
            found = measure(sizes[name], options.rounds, options.threads)
            sections[name] = {"circumstances": where, "sizes": sizes[name], "found": found}
    print(rendered(sections))
    if options.record or not (options.quick or options.only):
        record = options.out.with_suffix(".json")
        if options.only and record.exists():
            sections = json.loads(record.read_text()) | sections
        record.write_text(json.dumps(sections, indent=1) + "\n")
        options.out.write_text(rendered(sections))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inference"]:  # the task of `measure_inference`
        import lm_inference

        Path(sys.argv[2]).write_text(json.dumps(lm_inference.measure(*json.loads(sys.argv[3]))))
    else:
        main()
