"""Measure what it costs to plan: a dry run over thousands of jobs.

    python benchmarks/planning.py                     writes benchmarks/planning.md
    python benchmarks/planning.py --out -             only prints
    python benchmarks/planning.py --subjects 2 --settings 3 --seeds 2 --corpora 2 --out -

The configuration is synthetic: subjects of a simulated dataset, each with settings in several
seeds, and corpora of Common Voice, each with a recogniser from scratch and one by transfer in as
many seeds. The alphabets of four languages are known, so that corpora share these. Nothing is run
or downloaded. Run it with the project's own Python, on Linux.
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

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = 60.0  # seconds


def configuration(folder: Path, subjects: int, settings: int, seeds: int, corpora: int) -> Path:
    """Write the synthetic configuration into `folder` and return its path."""
    names = [f"SIM{k:02d}" for k in range(1, subjects + 1)]
    # Settings differ in a hyper-parameter of stage 2, so that a seed's settings share a stage 1.
    rates = {
        f"s{number:02d}-seed{seed}": {
            "recipe": {"seed": seed, "temperature": round(0.05 + 0.01 * number, 3)}
        }
        for number in range(settings)
        for seed in range(seeds)
    }
    named = [(f"cv-{k:02d}", ("en", "de", "es", "ru")[k % 4]) for k in range(corpora)]
    columns = ["language", "run", "source", "corpora", "validation", "tests", "seeds", "tables"]
    shown = ",".join(map(str, range(seeds)))
    rows = ["\t".join([*columns, "note", "blocks"])]
    english = ["en", "scratch", "", "librispeech/train", "librispeech/dev-clean"]
    rows.append("\t".join([*english, "librispeech/dev-clean", shown, "", "", "5x3"]))
    for name, language in named:
        for run, source in ((f"{name}-scratch", ""), (f"{name}-transfer", "en/scratch")):
            parts = [f"{name}/train", f"{name}/dev", f"{name}/dev"]
            rows.append("\t".join([language, run, source, *parts, shown, "", "", "5x3"]))
    (folder / "asr.tsv").write_text("\n".join(rows) + "\n")
    values = {
        "fmri_datasets": {
            "many": {"version": "1.0.0", "simulated": {"subjects": dict.fromkeys(names, 1.0)}}
        },
        "brain": {
            "dataset": "many",
            "subjects": names,
            "settings": rates,
            "voxels": {"method": "select", "count": 20},
        },
        "speech_corpora": {
            name: {
                "kind": "common_voice",
                "language": language,
                "path": str(folder / f"{name}.tar.gz"),
            }
            for name, language in named
        },
        "asr": {"experiments": str(folder / "asr.tsv"), "tables": {}, "figures": {}},
    }
    for name, _ in named:
        (folder / f"{name}.tar.gz").touch()
    path = folder / "many.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def planning(config: Path, folder: Path) -> list[str]:
    """The command of a dry run, without its target."""
    command = ["snakemake", "--dry-run", "--quiet", "rules", "--snakefile", str(ROOT / "Snakefile")]
    return [*command, "--directory", str(folder), "--configfile", str(config), "--"]


def dry_run(config: Path, folder: Path, target: str) -> dict[str, float | int]:
    """Seconds, peak memory in MB and number of jobs of one dry run."""
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", *planning(config, folder), target],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"error: the dry run failed\n{said[-3000:]}")
    total = re.search(r"^total +(\d+)", said, re.M)
    if total is None:
        raise SystemExit(f"error: no table of jobs in what Snakemake printed\n{said[-3000:]}")
    return {
        "seconds": time.monotonic() - started,
        "memory_mb": usage.ru_maxrss / 1024,
        "jobs": int(total.group(1)),
    }


def imported(config: Path, folder: Path) -> list[str]:
    """Which of the heavy packages a dry run imports."""
    command = [sys.executable, "-X", "importtime", "-m", *planning(config, folder), "tables"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    return [name for name in ("torch", "nemo", "transformers", "datalad") if name in loaded]


def record(sizes: dict[str, int], profiles: dict[str, dict], heavy: list[str]) -> str:
    """The record, as Markdown."""
    day = datetime.date.today().isoformat()
    about = ", ".join(f"{count} {name}" for name, count in sizes.items())
    lines = [
        "# Planning: a dry run over thousands of jobs",
        "",
        "Made by `python benchmarks/planning.py`; how, stands at the top of that file.",
        "",
        f"{day}, {os.cpu_count()} cores, Python {platform.python_version()}; {about}.",
        "",
        "| command | jobs | seconds | jobs a second | peak memory, MB |",
        "|---|---|---|---|---|",
    ]
    for name, run in profiles.items():
        jobs, seconds, memory = run["jobs"], run["seconds"], run["memory_mb"]
        lines.append(f"| `{name}` | {jobs} | {seconds:.1f} | {jobs / seconds:.0f} | {memory:.0f} |")
    worst = max(run["seconds"] for run in profiles.values())
    met = "met" if worst < TARGET else "missed"
    lines += [
        "",
        f"The target of {TARGET:.0f} s is {met}. Heavy packages that planning imports: "
        f"{', '.join(heavy) or 'none'} (of torch, nemo, transformers, datalad).",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sizes = {"subjects": 9, "settings": 40, "seeds": 5, "corpora": 20}
    for name, default in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", default=str(Path(__file__).with_suffix(".md")))
    chosen = vars(parser.parse_args())
    sizes = {name: chosen[name] for name in sizes}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = configuration(folder, **sizes)
        runs = {
            "snakemake -n all": dry_run(config, folder, "all"),
            "snakemake -n results/paper/brain/SIM01/scores.csv": dry_run(
                config, folder, "results/paper/brain/SIM01/scores.csv"
            ),
        }
        text = record(sizes, runs, imported(config, folder))
    if chosen["out"] == "-":
        print(text)
    else:
        Path(chosen["out"]).write_text(text, encoding="utf-8")
        print(f"wrote {chosen['out']}\n\n{text}")


if __name__ == "__main__":
    main()
