"""Race the demo with a step server against Snakemake's way, a Python for each step.

    python benchmarks/step_server.py                   two of the systems; writes step_server.md
    python benchmarks/step_server.py --targets all     the whole demo
    python benchmarks/step_server.py --out -           only prints

Each run starts from nothing in a folder of its own; they take turns, and the shorter of a
contender's runs counts. The weights of all must be the same bits. Run it with the project's own
Python, on a quiet Linux machine.
"""

import argparse
import datetime
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hearsay.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
CONTENDERS = {"a Python for each step": "false", "step server": "true"}


def run(targets: list[str], setting: str, folder: Path) -> dict[str, float]:
    """Seconds and jobs of one run from nothing."""
    command = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--profile", str(ROOT / "profiles/demo"), *targets, "--configfile"]
    command += [str(ROOT / "config/demo.yaml"), "--config", f"step_server={setting}"]
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
    seconds = time.monotonic() - started
    said = done.stdout + done.stderr
    jobs = re.findall(r"(\d+) of \1 steps \(100%\) done", said)
    if done.returncode or not jobs:
        raise SystemExit(f"error: the run failed\n{said[-3000:]}")
    if "step_server:" in said:
        raise SystemExit("error: this machine cannot have a step server; the log says why")
    return {"seconds": seconds, "jobs": int(jobs[-1])}


def weights(folder: Path) -> dict[str, str]:
    """Checksums of all weights, by path."""
    paths = sorted((folder / "results").rglob("*.safetensors"))
    return {str(path.relative_to(folder)): sha256_of(path) for path in paths}


def record(targets: list[str], best: dict[str, dict[str, float]], same: int, repeats: int) -> str:
    """The record, as Markdown."""
    first, second = best.values()
    lines = [
        "# The demo with a step server and without",
        "",
        "Made by `python benchmarks/step_server.py`; how, stands at the top of that file.",
        "",
        f"{datetime.date.today().isoformat()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}; targets: {' '.join(targets)}; {repeats} run(s) each.",
        "",
        "| steps run in | jobs | seconds |",
        "|---|---|---|",
    ]
    for name, row in best.items():
        lines.append(f"| {name} | {row['jobs']} | {row['seconds']:.0f} |")
    lines += [
        "",
        f"{first['seconds'] / second['seconds']:.2f} times as fast. {same} files of weights, "
        "the same bits.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, compare and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--targets", nargs="+", default=["spectral", "lm"])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", default=str(Path(__file__).with_suffix(".md")))
    asked = parser.parse_args()
    best: dict[str, dict[str, float]] = {}
    seen: dict[str, str] | None = None
    for _ in range(asked.repeats):
        for name, setting in CONTENDERS.items():
            with tempfile.TemporaryDirectory() as folder:
                row = run(asked.targets, setting, Path(folder))
                found = weights(Path(folder))
            print(f"{name}: {row['seconds']:.0f} s", flush=True)
            if seen is not None and found != seen:
                differ = [
                    path for path in sorted({*seen, *found}) if seen.get(path) != found.get(path)
                ]
                raise SystemExit(f"error: weights differ: {', '.join(differ)}")
            seen = found
            if name not in best or row["seconds"] < best[name]["seconds"]:
                best[name] = row
    text = record(asked.targets, best, len(seen or {}), asked.repeats)
    if asked.out != "-":
        Path(asked.out).write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
