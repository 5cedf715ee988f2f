"""Measure the preparation of speech: hours of 48 kHz MP3 a minute, against a plain librosa loop.

    python benchmarks/asr_preparation.py              writes asr_preparation.md and .json
    python benchmarks/asr_preparation.py --quick      few clips, under a minute; only prints

Run it with the project's own Python, on Linux. The clips are made here: harmonic tones with a
voice's melody, syllables and noise, 3 to 7 seconds each, as Common Voice has them. Ours is the
whole step on an archive (.tar.gz) of them: listing, normalising, starting workers, decoding,
resampling, writing, checksums, journal, manifest and record. The loop reads the same clips from a
folder with `librosa.load(sr=16000)` and writes them with `soundfile.write`, in one process. Imports
are not timed, nor the loop's first call. Contenders take turns, each in a process of its own; the
shortest time counts.
"""

import argparse
import datetime
import importlib.metadata
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
PACKAGES = ("soundfile", "soxr", "librosa", "numpy")
RATE = 48_000
FULL = {"clips": 2000, "rounds": 3}
QUICK = {"clips": 60, "rounds": 1}
LOOP, LOOPS, OURS = "librosa loop", "librosa loop, {} processes", "hearsay, {} workers"


def voice(seconds: float, random: np.random.Generator) -> np.ndarray:
    """A sound with a voice's pitch, syllables, harmonics and breath: float32 at 48 kHz."""
    count = round(seconds * RATE)
    at = np.arange(count) / RATE
    pitch = random.uniform(90, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.3, 1) * at))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    harmonics = sum(np.sin(k * phase + random.uniform(0, 6)) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(2, 4) * at + random.uniform(0, 6)), 0, 1)
    breath = 0.01 * random.normal(size=count)
    return (0.15 * harmonics * syllables + breath * (0.2 + syllables)).astype(np.float32)


def make_clips(folder: Path, count: int) -> dict[str, Any]:
    """Clips in a folder, and the same as a release of Common Voice; seconds and bytes of them."""
    import soundfile

    random = np.random.default_rng(0)
    (folder / "clips").mkdir()
    rows = ["client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent"]
    seconds = size = 0.0
    with tarfile.open(folder / "cv-corpus-4-2019-12-10-de.tar.gz", "w:gz", compresslevel=1) as tar:

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(f"cv-corpus-4-2019-12-10/de/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))

        for k in range(count):
            length = random.uniform(3, 7)
            stream = io.BytesIO()
            soundfile.write(stream, voice(length, random), RATE, format="MP3")
            data = stream.getvalue()
            (folder / "clips" / f"clip{k}.mp3").write_bytes(data)
            add(f"clips/clip{k}.mp3", data)
            rows.append(f"s{k % 20}\tclip{k}.mp3\tDie {k % 7}. Größe – „garçon“!\t2\t0\t\t\t")
            seconds += length
            size += len(data)
        add("train.tsv", ("\n".join(rows) + "\n").encode())
    return {"clips": count, "seconds": seconds, "bytes": int(size)}


# --- contenders, each in a process of its own ---------------------------------------------------


def _one(names: tuple[str, str]) -> None:
    import librosa
    import soundfile

    samples, _ = librosa.load(names[0], sr=16_000)
    soundfile.write(names[1], samples, 16_000)


def run_loop(folder: str, out: str, processes: int) -> dict[str, float]:
    """What most scripts do; with `processes`, in a plain multiprocessing pool."""
    import multiprocessing

    Path(out).mkdir()
    clips = sorted(Path(folder, "clips").glob("*.mp3"), key=lambda path: int(path.stem[4:]))
    names = [(str(clip), f"{out}/{clip.stem}.wav") for clip in clips]
    if processes == 1:
        _one(names[0])
        started = time.perf_counter()
        for pair in names:
            _one(pair)
        return {"seconds": time.perf_counter() - started}
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(_one, names[: 4 * processes], chunksize=1)
        started = time.perf_counter()
        pool.map(_one, names, chunksize=8)
        return {"seconds": time.perf_counter() - started}


def run_ours(folder: str, out: str, processes: int) -> dict[str, float]:
    """The step's function, from archive to record."""
    from hearsay.corpora.prepare_speech import prepare

    options = {
        "kind": "common_voice", "language": "de", "parts": ["train"], "policy": "drop-character",
        "counts": {}, "packed": False, "training": True, "min_duration": None,
        "max_duration": 16.7, "limit": None, "options": {},
    }  # fmt: skip
    suffixes = {"manifest": ".jsonl", "audio": "", "rejected": ".rejected.csv"}
    suffixes |= {"removed": ".removed.csv", "record": ".run.json"}
    outputs = {name: Path(out, f"train{suffix}") for name, suffix in suffixes.items()}
    source = Path(folder, "cv-corpus-4-2019-12-10-de.tar.gz")
    started = time.perf_counter()
    counts = prepare("cv-de", "train", source, options, processes, outputs)
    seconds = time.perf_counter() - started
    if counts["kept"] != counts["total"]:
        sys.exit(f"not all clips were kept: {counts}")
    return {"seconds": seconds}


TASKS = {"loop": run_loop, "ours": run_ours}


def run(task: str, folder: Path, out: Path, processes: int) -> dict[str, float]:
    """A contender's seconds, and megabytes of memory: the sum over its processes, at the peak."""
    environment = dict(os.environ) | {"PYTHONPATH": str(HERE.parent / "workflow")}
    environment |= {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")}
    arguments = [task, str(folder), str(out), str(processes)]
    process = subprocess.Popen(
        [sys.executable, __file__, "--task", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, sum(map(_megabytes, _family(process.pid))))
        time.sleep(0.1)
    if process.returncode != 0 or process.stdout is None:
        sys.exit(f"{task} failed")
    return json.loads(process.stdout.read()) | {"megabytes": peak}


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return found
    return found + [each for child in children for each in _family(int(child))]


def _megabytes(pid: int) -> float:
    """Proportional set size: pages that processes share count once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


# --- agreement ----------------------------------------------------------------------------------


def compare(loop: Path, ours: Path) -> dict[str, float]:
    """How far the audio of both is apart, in steps of 16 bits, and the least correlation."""
    import soundfile

    worst, least, lengths = 0, 1.0, 0
    lines = [json.loads(line) for line in (ours / "train.jsonl").open()]
    for line in lines:
        mine, _ = soundfile.read(ours / line["audio_filepath"], dtype="int16")
        theirs, _ = soundfile.read(loop / f"{line['id']}.wav", dtype="int16")
        lengths = max(lengths, abs(len(mine) - len(theirs)))
        count = min(len(mine), len(theirs))
        mine, theirs = mine[:count].astype(int), theirs[:count].astype(int)
        worst = max(worst, int(np.abs(mine - theirs).max()))
        least = min(least, float(np.corrcoef(mine, theirs)[0, 1]))
    if len(lines) != len(list(loop.glob("*.wav"))) or worst > 2 or lengths > 1:
        sys.exit(f"contenders disagree: {worst} steps, {lengths} samples, {len(lines)} clips")
    return {"clips": len(lines), "steps": worst, "correlation": least, "samples": lengths}


def measure(sizes: dict[str, int], threads: int) -> dict[str, Any]:
    """Times of all contenders, in turns."""
    contenders = {
        LOOP: ("loop", 1),
        LOOPS.format(threads): ("loop", threads),
        OURS.format(1): ("ours", 1),
        OURS.format(threads): ("ours", threads),
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        material = make_clips(folder, sizes["clips"])
        rows: dict[str, Any] = {}
        for number in range(sizes["rounds"]):
            for place, (name, (task, processes)) in enumerate(contenders.items()):
                out = folder / f"{number}.{place}"
                found = run(task, folder, out, processes)
                row = rows.setdefault(name, {"times": [], "megabytes": 0.0})
                row["times"].append(found["seconds"])
                row["megabytes"] = max(row["megabytes"], found["megabytes"])
                print(f"  {name}: {found['seconds']:.2f} s", file=sys.stderr, flush=True)
        agreement = compare(folder / "0.0", folder / "0.3")
    return {"material": material, "rows": rows, "agreement": agreement}


def circumstances(threads: int) -> dict[str, Any]:
    """Where and how it was measured."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = [f"{package} {importlib.metadata.version(package)}" for package in PACKAGES]
    return {
        "date": str(datetime.date.today()),
        "machine": f"{[*names, platform.machine()][0]}, {os.cpu_count()} cores, {memory:.0f} GiB",
        "load": f"{os.getloadavg()[0]:.1f}",
        "threads": threads,
        "software": ", ".join([f"Python {platform.python_version()}", *versions]),
    }


def rendered(found: dict[str, Any], where: dict[str, Any]) -> str:
    """The record as Markdown."""
    material, agreement = found["material"], found["agreement"]
    hours = material["seconds"] / 3600
    rounds = len(found["rows"][LOOP]["times"])
    base = min(found["rows"][LOOP]["times"])
    lines = [
        "# Preparation of speech: from MP3 to 16 kHz WAV",
        "",
        "Recorded by `python benchmarks/asr_preparation.py`; do not edit.",
        "",
        f"{material['clips']} clips of 48 kHz mono MP3, {hours:.2f} h, "
        f"{material['bytes'] / 1e6:.0f} MB. Ours is the whole step, from a .tar.gz to manifest and "
        "record; the loop is `librosa.load(sr=16000)` and `soundfile.write` alone, on a folder. "
        "Imports are not timed. The shortest of "
        f"{rounds} times; target: 3 times the loop's throughput on two cores.",
        "",
        "| | seconds | hours of MP3 a minute | times the loop's | peak memory, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in found["rows"].items():
        seconds = min(row["times"])
        lines.append(
            f"| {name} | {seconds:.2f} | {60 * hours / seconds:.2f} | {base / seconds:.2f} "
            f"| {row['megabytes']:.0f} |"
        )
    lines += [
        "",
        f"The audio of all {agreement['clips']} clips agrees: lengths to {agreement['samples']} "
        f"sample, values to {agreement['steps']} of 65,536 steps, least correlation "
        f"{agreement['correlation']:.7f}. Memory: proportional set size of all processes of a "
        "contender, summed, sampled every 0.1 s.",
        "",
        f"{where['date']}; {where['machine']}; load average {where['load']} when it began; "
        f"{where['software']}.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "asr_preparation.md")
    parser.add_argument("--quick", action="store_true", help="few clips; only prints")
    parser.add_argument("--clips", type=int, help="default: 2000")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args()
    sizes = dict(QUICK if options.quick else FULL)
    sizes |= {"clips": options.clips} if options.clips else {}
    where = circumstances(options.threads)
    found = measure(sizes, options.threads)
    text = rendered(found, where)
    print(text)
    if not options.quick:
        record = {"circumstances": where, "sizes": sizes, "found": found}
        options.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        options.out.write_text(text)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--task"]:
        task, *paths, count = sys.argv[2:]
        print(json.dumps(TASKS[task](*paths, int(count))))
    else:
        main()
