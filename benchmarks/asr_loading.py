"""Measure how fast recognisers get their batches, against NeMo's own loader.

    python benchmarks/asr_loading.py              writes benchmarks/asr_loading.md
    python benchmarks/asr_loading.py --quick      100 clips, only prints

A corpus of 1,000 clips of 1 to 16 s is made and prepared by the workflow's own step, as files and
packed. Every loader then gives one epoch of batches on the same clips: audio read, padded, with
labels. Loaders take turns and the shortest of all rounds counts; starting of worker processes is
in it, since each epoch starts them. All must give the same clips.
"""

import argparse
import csv
import datetime
import importlib.metadata
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

import torch
from nemo.collections.asr.data.audio_to_text import AudioToCharDataset

from hearsay.asr.batches import EpochBatches
from hearsay.corpora import prepare_speech
from hearsay.corpora.alphabets import labels_of
from hearsay.corpora.manifest import read_manifest
from hearsay.files import write_text

HERE = Path(__file__).resolve().parent
RATE = 16_000
SECONDS = (1.0, 16.0)
BATCH = 16
WORKERS = (0, 2)
PACKAGES = ("torch", "nemo-toolkit", "numpy", "soundfile")
NEMO = "NeMo AudioToCharDataset, files"


def write_table(folder: Path, clips: int) -> None:
    """A corpus of kind `table`: noise with made-up transcripts."""
    draw = np.random.default_rng(0)
    letters = list("abcdefghijklmnopqrstuvwxyz ")
    (folder / "clips").mkdir(parents=True)
    with (folder / "train.tsv").open("w", newline="") as stream:
        table = csv.writer(stream, delimiter="\t", lineterminator="\n")
        table.writerow(["path", "sentence"])
        for k in range(clips):
            seconds = draw.uniform(*SECONDS)
            audio = 0.1 * draw.standard_normal(round(seconds * RATE), dtype=np.float32)
            soundfile.write(folder / "clips" / f"{k:04d}.wav", audio, RATE)
            table.writerow(
                [f"clips/{k:04d}.wav", "".join(draw.choice(letters, round(8 * seconds)))]
            )


def prepare(source: Path, out: Path, *, packed: bool) -> Path:
    """Prepare the corpus; returns the manifest."""
    settings = {
        "kind": "table",
        "language": "en",
        "parts": ["train"],
        "policy": "drop-character",
        "packed": packed,
        "training": True,
        "min_duration": None,
        "max_duration": None,
        "limit": None,
        "counts": {},
        "options": {},
    }
    out.mkdir()
    prepare_speech.main(
        corpus="made",
        part="train",
        source=source,
        settings=json.dumps(settings),
        threads=1,
        manifest=out / "train.jsonl",
        audio=out / "train",
        rejected=out / "train.rejected.csv",
        removed=out / "train.removed.csv",
        record=out / "train.run.json",
    )
    return out / "train.jsonl"


def ours(manifest: Path, buckets: int, workers: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Audio and lengths of each batch of an epoch."""
    batches = EpochBatches(
        [(read_manifest(manifest), 1.0)],
        labels_of("en"),
        batch_size=BATCH,
        micro_batch=BATCH,
        buckets=buckets,
        workers=workers,
    )
    for pieces in batches(0):
        for batch in pieces:
            yield batch.audio, batch.audio_lengths


def nemo(manifest: Path, workers: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The same of NeMo, set up as its EncDecCTCModel does."""
    held = AudioToCharDataset(
        manifest_filepath=str(manifest),
        labels=labels_of("en"),
        sample_rate=RATE,
        blank_index=len(labels_of("en")),
        parser="en",
    )
    loader = torch.utils.data.DataLoader(
        held, batch_size=BATCH, shuffle=True, num_workers=workers, collate_fn=held.collate_fn
    )
    for audio, lengths, *_ in loader:
        yield audio, lengths


def passed(batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, Any]:
    """Time of one epoch, with its samples, with and without padding."""
    samples, padded, clips = 0, 0, 0
    started = time.perf_counter()
    for audio, lengths in batches:
        samples += int(lengths.sum())
        padded += audio.numel()
        clips += len(lengths)
    return {
        "seconds": time.perf_counter() - started,
        "samples": samples,
        "padded": padded,
        "clips": clips,
    }


def measure(clips: int, rounds: int) -> dict[tuple[str, int, int], dict[str, Any]]:
    """The fastest epoch of every loader: (name, buckets, workers)."""
    found: dict[tuple[str, int, int], dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_table(folder / "source", clips)
        files = prepare(folder / "source", folder / "files", packed=False)
        packed = prepare(folder / "source", folder / "packed", packed=True)
        for _ in range(rounds):
            for workers in WORKERS:
                contenders = {(NEMO, 1, workers): lambda w=workers: nemo(files, w)}
                for name, manifest in (("hearsay, files", files), ("hearsay, packed", packed)):
                    for buckets in (1, 8):
                        contenders[name, buckets, workers] = (
                            lambda m=manifest, b=buckets, w=workers: ours(m, b, w)
                        )
                for key, batches in contenders.items():
                    result = passed(batches())
                    if key not in found or result["seconds"] < found[key]["seconds"]:
                        found[key] = result
                    print(f"  {key}: {result['seconds']:.2f} s", file=sys.stderr, flush=True)
    # NeMo computes samples from seconds, and may be one off in a clip.
    seen = {
        (result["clips"], round(result["samples"] / clips / RATE, 3)) for result in found.values()
    }
    if len(seen) > 1:
        sys.exit(f"the loaders gave different clips: {seen}")
    return found


def rendered(found: dict[tuple[str, int, int], dict[str, Any]], rounds: int, load: float) -> str:
    """The record as Markdown."""
    one = next(iter(found.values()))
    hours = one["samples"] / RATE / 3600
    lines = [
        "# Loading batches of speech",
        "",
        "Recorded by `python benchmarks/asr_loading.py`; do not edit.",
        "",
        f"One epoch of {one['clips']} clips of {SECONDS[0]:g} to {SECONDS[1]:g} s ({hours:.2f} "
        f"hours), batches of {BATCH}, mono 16-bit WAV at 16 kHz, page cache warm: audio read, "
        "padded, with labels; no features. Fastest of "
        f"{rounds} rounds; starting worker processes and reading the manifest are in it. All "
        "loaders gave the same clips. A bucket is a group of clips of like length; NeMo's dataset "
        "of single files has none.",
        "",
        "| loader | buckets | workers | s an epoch | hours of audio a minute | times NeMo's | "
        "padding, % of samples |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for (name, buckets, workers), result in sorted(found.items(), key=lambda item: item[0][2]):
        peer = found[NEMO, 1, workers]["seconds"]
        padding = 100 * (1 - result["samples"] / result["padded"])
        lines.append(
            f"| {name} | {buckets} | {workers} | {result['seconds']:.2f} "
            f"| {60 * hours / result['seconds']:.1f} | {peer / result['seconds']:.2f} "
            f"| {padding:.1f} |"
        )
    return "\n".join([*lines, "", _circumstances(load)]) + "\n"


def _circumstances(load: float) -> str:
    cpu = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in cpu if line.startswith("model name")]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return (
        f"{datetime.date.today()}; {[*names, platform.machine()][0]}, {os.cpu_count()} cores; load "
        f"average {load:.1f} when it began; Python {platform.python_version()}, "
        f"{', '.join(versions)}."
    )


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HERE / "asr_loading.md")
    parser.add_argument("--quick", action="store_true", help="100 clips; only prints")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    load = os.getloadavg()[0]
    text = rendered(measure(100 if options.quick else 1000, options.rounds), options.rounds, load)
    print(text)
    if not options.quick:
        write_text(options.out, text)


if __name__ == "__main__":
    main()
