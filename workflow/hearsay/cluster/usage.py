"""What finished jobs cost: from the accounting database, or from Snakemake's benchmark files.

The database knows every attempt, failed ones too, and what was allocated. Benchmark files are
written everywhere, on a laptop too, and know the last good attempt of each job; what it computed
and its memory stand in the step's own log, since Snakemake looks at its processes only now and
then, and sees no step that the step server runs.
"""

import ast
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from hearsay.cluster.facts import EndedJob
from hearsay.errors import InputError
from hearsay.files import files_below, whole_file


@dataclass(frozen=True)
class Use:
    """One attempt of one job.

    Attributes
    ----------
    rule, wildcards : of the workflow; wildcards as ``name=value`` with spaces between.
    state : Slurm's, or ``COMPLETED``.
    job : Slurm's number; empty for a benchmark file.
    ended : local time, ISO 8601.
    seconds : elapsed.
    cpus, gpus : that it had.
    gpu_hours : GPUs times elapsed hours.
    peak_memory_mb, asked_memory_mb : largest resident memory, and the limit; None where unknown.
    cpu_efficiency : share of its CPUs' time that it computed, 0 to 1; None where unknown.
    memory_efficiency : peak by limit.
    source : ``accounting`` or ``benchmark``.
    """

    rule: str
    wildcards: str
    state: str
    job: str
    ended: str
    seconds: float
    cpus: int
    gpus: int
    gpu_hours: float
    peak_memory_mb: float | None
    asked_memory_mb: float | None
    cpu_efficiency: float | None
    memory_efficiency: float | None
    source: str


COLUMNS = [each.name for each in fields(Use)]


def _optional(text: str) -> float | None:
    return float(text) if text else None


_TYPES: dict[str, Callable[[str], Any]] = {
    name: _optional if kind == float | None else kind for name, kind in get_type_hints(Use).items()
}


def of_accounting(jobs: Iterable[EndedJob], folder: Path) -> list[Use]:
    """Rows of the jobs that were submitted from `folder` by Snakemake."""
    found = []
    for job in jobs:
        if not job.what.startswith("rule_") or Path(job.folder).resolve() != folder.resolve():
            continue
        rule, _, wildcards = job.what.removeprefix("rule_").partition("_wildcards_")
        # The comment of an array names its first task; a task's log names its own.
        own = _of_log(Path(job.output), rule)
        if own is None and "_" in job.id:
            wildcards = ""
        found.append(
            _use(
                rule=rule,
                wildcards=wildcards if own is None else own,
                state=job.state,
                job=job.id,
                ended=job.ended,
                seconds=job.seconds,
                cpus=job.cpus,
                gpus=job.gpus,
                cpu_seconds=job.cpu_seconds,
                peak=job.peak_memory,
                asked=job.asked_memory,
                source="accounting",
            )
        )
    return found


def of_benchmarks(folder: Path, logs: Path) -> list[Use]:
    """Rows of all benchmark files below `folder`, in the order of their paths.

    Parameters
    ----------
    logs : folder with the steps' logs, under the names of the benchmark files.

    Raises
    ------
    InputError
        if there is no such folder, and for a file that is no benchmark, by its name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; run the workflow first")
    found = [path for path in files_below(folder) if path.suffix == ".tsv"]
    return [_of_benchmark(path, folder, logs) for path in found]


def write_usage(rows: Sequence[Use], path: Path) -> None:
    """Write rows as CSV, in one piece; empty cells are unknown."""
    with whole_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def read_usage(path: Path) -> list[Use]:
    """Read what `write_usage` wrote.

    Raises
    ------
    InputError
        for another file, by its line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if reader.fieldnames != COLUMNS:
                raise InputError(f"{path}: its columns are not {', '.join(COLUMNS)}")
            rows = []
            for row in reader:
                try:
                    rows.append(Use(**{name: _TYPES[name](row[name]) for name in COLUMNS}))
                except (ValueError, TypeError) as error:
                    raise InputError(f"{path}, line {reader.line_num}: {error}") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    return rows


def summarise(rows: Sequence[Use]) -> Iterator[dict[str, str]]:
    """One row a rule, the longest first, and a last one for all: what the command prints."""
    names = {row.rule for row in rows}
    spent = {name: sum(row.seconds for row in rows if row.rule == name) for name in names}
    for name in sorted(names, key=lambda name: (-spent[name], name)):
        yield _summary(name, [row for row in rows if row.rule == name])
    yield _summary("all", list(rows))


def _summary(name: str, rows: list[Use]) -> dict[str, str]:
    peaks = [row.peak_memory_mb for row in rows if row.peak_memory_mb is not None]
    cpu = [(r.cpu_efficiency, r.seconds * r.cpus) for r in rows if r.cpu_efficiency is not None]
    weight = sum(size for _, size in cpu)
    failed = sum(row.state != "COMPLETED" for row in rows)
    return {
        "rule": name,
        "jobs": str(len(rows)),
        "not completed": str(failed) if failed else "",
        "hours": f"{sum(row.seconds for row in rows) / 3600:.3f}",
        "GPU hours": f"{sum(row.gpu_hours for row in rows):.3f}",
        "peak memory, MB": f"{max(peaks):.0f}" if peaks else "",
        "CPU efficiency": f"{sum(e * s for e, s in cpu) / weight:.0%}" if weight else "",
    }


def _use(
    *, ended: datetime | None, cpu_seconds: float | None, peak: float | None, asked: float | None,
    seconds: float, cpus: int, gpus: int, **more: str,
) -> Use:  # fmt: skip
    possible = seconds * cpus
    return Use(
        ended=ended.isoformat(sep=" ", timespec="seconds") if ended else "",
        seconds=round(seconds, 2),
        cpus=cpus,
        gpus=gpus,
        gpu_hours=round(gpus * seconds / 3600, 5),
        peak_memory_mb=None if peak is None else round(peak, 1),
        asked_memory_mb=None if asked is None else round(asked, 1),
        cpu_efficiency=round(cpu_seconds / possible, 3) if possible and cpu_seconds else None,
        memory_efficiency=round(peak / asked, 3) if peak is not None and asked else None,
        **more,
    )


def _of_log(path: Path, rule: str) -> str | None:
    """Wildcards of the last job of a rule that a Slurm log tells of."""
    if not path.name or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    told = re.findall(rf"^(?:local)?rule {re.escape(rule)}:\n((?:    .*\n)*)", text, re.M)
    if not told:
        return None
    line = re.search(r"^    wildcards: (.*)$", told[-1], re.M)
    return re.sub(r", (?=\w+=)", " ", line[1]) if line else ""


def _of_benchmark(path: Path, folder: Path, logs: Path) -> Use:
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    if not rows or "s" not in rows[-1]:
        raise InputError(f"{path}: is no benchmark file of Snakemake; remove it")
    row = rows[-1]
    resources = _literal(row.get("resources"))
    wildcards = _literal(row.get("wildcards"))
    place = path.relative_to(folder).with_suffix("")
    log = logs / place.with_suffix(".log")
    spent = _spent(log) or (_measured(row.get("cpu_time")), _measured(row.get("max_rss")))
    return _use(
        rule=row.get("rule_name") or place.name,
        # Files from a run without --benchmark-extended say less.
        wildcards=" ".join(f"{k}={v}" for k, v in wildcards.items())
        if row.get("rule_name")
        else str(place.parent),
        state="COMPLETED",
        job="",
        ended=datetime.fromtimestamp(path.stat().st_mtime),
        seconds=float(row["s"]),
        cpus=int(row.get("threads") or 1),
        gpus=int(resources.get("gpu", 0)),
        cpu_seconds=spent[0],
        peak=spent[1],
        asked=resources.get("mem_mb"),
        source="benchmark",
    )


def _spent(log: Path) -> tuple[float, float] | None:
    """CPU seconds and largest memory in MiB, by the last line of a step's log."""
    if not log.is_file():
        return None
    text = log.read_text(encoding="utf-8", errors="replace")
    told = re.search(r" after .* s; CPU ([\d.]+) s, memory (\d+) MiB\n*\Z", text)
    return (float(told[1]), float(told[2])) if told else None


def _literal(text: str | None) -> dict:
    try:
        value = ast.literal_eval(text or "{}")
    except (ValueError, SyntaxError):
        return {}
    return value if isinstance(value, dict) else {}


def _measured(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:  # NA, of a job shorter than a measurement
        return None
