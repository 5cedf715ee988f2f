"""Measure the brain decoder: decoding, reading responses, a training step at the paper's size.

    python benchmarks/brain.py                 everything; writes benchmarks/brain.json and brain.md
    python benchmarks/brain.py --quick         small sizes, a minute; only prints
    python benchmarks/brain.py --only step     one section (decode, load, step); only prints
    python benchmarks/brain.py --only step --record     and renews that section of the record

Run it with the project's own Python, on Linux. Models are random, made from their configuration;
nothing is downloaded. Every contender runs in a process of its own with the same number of threads,
and what they return is compared. Imports, and making models and files, are not timed.
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

HERE = Path(__file__).resolve().parent
RECORD = HERE / "brain.json"
LONG = 30.0  # a contender that needs more seconds than this runs in one round only
TITLE = "# The brain decoder: speed and memory"
PACKAGES = ("torch", "transformers", "lightning-fabric", "numpy", "h5py")

# Of a run: paper's size, or small. `layers` are GPT-2's.
FULL = {
    "decode": {"layers": 12, "windows": 29, "alone": 4, "prompt_length": 30, "tokens": 64},
    "load": {"rows": 291, "voxels": 81_126, "columns": 836, "reads": 5},
    "step": {
        "layers": 12,
        "voxels": 836,
        "tokens": 60,
        "cuda": {"batch": 32, "warm": 5, "steps": 30},
        "cpu": {"batch": 4, "warm": 1, "steps": 3},
    },
}
QUICK = {
    "decode": {"layers": 2, "windows": 29, "alone": 2, "prompt_length": 30, "tokens": 16},
    "load": {"rows": 60, "voxels": 20_000, "columns": 200, "reads": 3},
    "step": {
        "layers": 2,
        "voxels": 836,
        "tokens": 60,
        "cuda": {"batch": 32, "warm": 2, "steps": 5},
        "cpu": {"batch": 2, "warm": 1, "steps": 2},
    },
}


def run(task: str, *arguments: Any, threads: int) -> dict:
    """A task's answer, from a process of its own."""
    environment = dict(os.environ) | {
        f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "OPENBLAS", "MKL")
    }
    environment |= {"PYTHONPATH": str(HERE.parent / "workflow"), "PYTHONWARNINGS": "ignore"}
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, HERE / "brain_tasks.py", task, answer, json.dumps(arguments)]
        process = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        if process.returncode != 0:
            sys.exit(f"{task} failed\n{process.stderr}")
        result = json.loads(answer.read_text())
    told = f"{result['seconds']:.4g} s" if "seconds" in result else f"not run: {result['not_run']}"
    print(f"  {task} {_brief(arguments)}: {told}", file=sys.stderr, flush=True)
    return result


def _brief(arguments: tuple) -> str:
    return " ".join(str(a) for a in arguments if not isinstance(a, dict) and "/" not in str(a))


def take_turns(calls: dict[str, tuple], rounds: int, threads: int) -> dict[str, dict]:
    """The answer with the shortest time of each, who take turns."""
    found: dict[str, dict] = {}
    for number in range(rounds):
        for name, call in calls.items():
            if number and found[name]["seconds"] > LONG:
                continue
            result = run(*call, threads=threads)
            if not number or result["seconds"] < found[name]["seconds"]:
                found[name] = result
    return found


def measure_decode(sizes: dict, rounds: int, threads: int) -> dict:
    windows, alone = sizes["windows"], sizes["alone"]
    found = take_turns(
        {
            "batch": ("decode_hearsay", sizes, windows, windows),
            "single": ("decode_hearsay", sizes, 1, alone),
            "loop": ("decode_loop", sizes, alone),
        },
        rounds,
        threads,
    )
    texts = {name: result.pop("ids") for name, result in found.items()}
    for name, rows in texts.items():
        if any(len(row) != sizes["tokens"] for row in rows):
            sys.exit(f"decode: {name} has rows that are not {sizes['tokens']} tokens long")
        if rows != texts["batch"][: len(rows)]:
            sys.exit(f"decode: {name} and batch decode different tokens")
        found[name] |= {
            "windows": len(rows),
            "per_second": len(rows) * sizes["tokens"] / found[name]["seconds"],
        }
    distinct = [len(set(row)) for row in texts["batch"]]
    return {
        **found,
        "distinct_tokens": float(np.mean(distinct)),
        "distinct_texts": len({tuple(row) for row in texts["batch"]}),
    }


def measure_load(sizes: dict, rounds: int, threads: int) -> dict:
    import h5py

    draw = np.random.default_rng(0)
    rows, voxels = sizes["rows"], sizes["voxels"]
    with tempfile.TemporaryDirectory() as folder:
        path, columns = Path(folder) / "story.hf5", Path(folder) / "columns.npy"
        with h5py.File(path, "w") as file:
            data = file.create_dataset("data", (rows, voxels), "f8")
            for row in range(rows):
                values = draw.standard_normal(voxels)
                values[draw.integers(0, voxels, voxels // 1000)] = np.nan
                data[row] = values
        np.save(columns, np.sort(draw.choice(voxels, sizes["columns"], replace=False)))
        size = path.stat().st_size
        ways = ("hearsay", "whole", "selected")
        calls = {way: ("load", str(path), str(columns), way, sizes["reads"]) for way in ways}
        cold = {}
        for way, call in calls.items():
            _forget(path)
            result = run(*call, threads=threads)
            # Told by the bytes that came from storage, not by what the kernel was asked to do.
            was_cold = 1e6 * result["from_disk_megabytes"] > 0.9 * size
            cold[way] = result["first_seconds"] if was_cold else None
        found = take_turns(calls, rounds, threads)
    if len({result["digest"] for result in found.values()}) != 1:
        sys.exit("load: the contenders read different values")
    for way, result in found.items():
        result["cold_seconds"] = cold[way]
    return {**found, "file_megabytes": 1e-6 * size}


def _forget(path: Path) -> None:
    """Ask the kernel to drop the file's pages."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def measure_step(sizes: dict, rounds: int, threads: int) -> dict:
    return {device: run("step_train", sizes, device, threads=threads) for device in ("cuda", "cpu")}


def tell_decode(found: dict, sizes: dict) -> Iterator[str]:
    yield (
        f"GPT-2 with {sizes['layers']} layers, random weights; {sizes['windows']} windows, prompts "
        f"of k = {sizes['prompt_length']}, {sizes['tokens']} tokens each (the stop never fires), "
        "float32 on the CPU. The loop is the public code's way, without its other waste: one "
        "window at a time, the whole sequence through the model for every token."
    )
    yield ""
    yield "| | windows | seconds | tokens a second | times the loop's | peak beyond the model, MB |"
    yield "|---|---:|---:|---:|---:|---:|"
    names = {
        "batch": "`generate`, all windows in a batch",
        "single": "`generate`, one window at a time",
        "loop": "uncached loop, one window at a time",
    }
    for key, name in names.items():
        row = found[key]
        yield (
            f"| {name} | {row['windows']} | {row['seconds']:.2f} | {row['per_second']:.1f} "
            f"| {row['per_second'] / found['loop']['per_second']:.1f}x | {row['megabytes']:.0f} |"
        )
    yield ""
    yield (
        "Windows are alike in size and each is decoded to its end, so that the rates of fewer "
        f"windows need no extrapolation. Tokens are the same in all {found['loop']['windows']} "
        f"windows compared; the {sizes['windows']} texts have {found['distinct_tokens']:.0f} "
        f"different tokens on average, and {found['distinct_texts']} of them differ."
    )


def tell_load(found: dict, sizes: dict) -> Iterator[str]:
    yield (
        f"{sizes['columns']} random columns, in order, of a contiguous float64 dataset of "
        f"{sizes['rows']} x {sizes['voxels']:,} ({found['file_megabytes']:.0f} MB), NaN as 0. "
        f"Warm: the file is in the page cache, shortest of {sizes['reads']} reads and all rounds. "
        "Cold: one read after the kernel dropped the file's pages. Memory: the first read of a "
        "fresh process."
    )
    yield ""
    yield "| | warm, ms | | cold, ms | peak beyond libraries, MB | | peak of the process, MB |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    names = {
        "hearsay": "`read_responses`",
        "whole": "whole file, then its columns (public code)",
        "selected": "h5py's selection of columns",
    }
    ours = found["hearsay"]
    for key, name in names.items():
        row = found[key]
        cold = row["cold_seconds"]
        yield (
            f"| {name} | {1e3 * row['seconds']:.1f} | {row['seconds'] / ours['seconds']:.1f}x "
            f"| {'not measured: stayed in the cache' if cold is None else f'{1e3 * cold:.0f}'} "
            f"| {row['megabytes']:.1f} | {row['megabytes'] / ours['megabytes']:.1f}x "
            f"| {row['process_megabytes']:.0f} |"
        )
    yield ""
    yield "All three give the same values as float32."


def tell_step(found: dict, sizes: dict) -> Iterator[str]:
    yield (
        f"One step of stage 2 with the default recipe (Eq. 6; fMRI encoder and GPT-2 trained, "
        f"mapping network frozen): k = 30, 8 layers, features of 768, windows of 10 rows and "
        f"{sizes['voxels']} voxels, {sizes['tokens']} tokens, GPT-2 with {sizes['layers']} "
        "layers and random weights. Batch, transfer, both passes, clipping and AdamW are timed; "
        "median."
    )
    yield ""
    yield "| device | precision | batch | step, ms | windows/s | tokens/s | most memory, MB |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for device, row in found.items():
        if "not_run" in row:
            yield f"| {device.upper()} | | | not run: {row['not_run']} | | | |"
            continue
        rate = row["batch"] / row["seconds"]
        yield (
            f"| {row['device']} | {row['precision']} | {row['batch']} | {1e3 * row['seconds']:.1f} "
            f"| {rate:.2f} | {rate * sizes['tokens']:.0f} "
            f"| {row['megabytes']:.0f} ({row['memory']}) |"
        )
    yield ""
    yield (
        f"Parameters that are trained: {found['cpu']['trained']:,}. Loss of the first and the last "
        f"CPU step: {', '.join(f'{loss:.2f}' for loss in found['cpu']['losses'])}."
    )


SECTIONS: dict[str, tuple[str, Callable, Callable]] = {
    "decode": ("Decoding", measure_decode, tell_decode),
    "load": ("Reading one story's responses", measure_load, tell_load),
    "step": ("A training step", measure_step, tell_step),
}


def circumstances(rounds: int, threads: int) -> dict:
    """Where and how a section was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    return {
        "date": str(datetime.date.today()),
        "machine": f"{[*names, platform.machine()][0]}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "load": f"{os.getloadavg()[0]:.1f}",
        "threads": threads,
        "rounds": rounds,
        "software": f"Python {platform.python_version()}, {packages}",
    }


def rendered(sections: dict[str, dict]) -> str:
    """The record as Markdown."""
    lines = [TITLE, "", "Recorded by `python benchmarks/brain.py`; do not edit."]
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
    where = circumstances(options.rounds, options.threads)
    sections = {}
    for name, (_, measure, _) in SECTIONS.items():
        if options.only in (None, name):
            found = measure(sizes[name], options.rounds, options.threads)
            sections[name] = {"circumstances": where, "sizes": sizes[name], "found": found}
    print(rendered(sections))
    if options.record or not (options.quick or options.only):
        if options.only and RECORD.exists():
            sections = json.loads(RECORD.read_text()) | sections
        RECORD.write_text(json.dumps(sections, indent=1) + "\n")
        RECORD.with_suffix(".md").write_text(rendered(sections))


if __name__ == "__main__":
    main()
