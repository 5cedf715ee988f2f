"""What the records of trained recognisers share: values of a finished results folder."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workflow"))

from hearsay.asr.score_transcripts import read_transcripts
from hearsay.files import write_text
from hearsay.metrics.scores import read_scores
from hearsay.metrics.text import word_errors

RESAMPLES = 10_000
TRIED = "## What was tried"
SHOWN = ("python", "torch", "nemo-toolkit", "numpy", "soundfile")


class Trainings:
    """Finished trainings of a results folder, by language, run and seed.

    Every number comes from a score file, a transcript or a run record of the workflow.
    """

    def __init__(self, results: Path) -> None:
        self._folder = results / "asr"
        paths = sorted(self._folder.glob("*/scores.csv"))
        if not paths:
            sys.exit(f"{results}: nothing was scored there; run snakemake first (see --help)")
        self._scores = {path.parent.name: read_scores(path) for path in paths}
        self._errors: dict[tuple[str, str, int], dict[str, np.ndarray]] = {}

    @property
    def languages(self) -> list[str]:
        """Languages that were scored."""
        return list(self._scores)

    def runs(self, language: str) -> list[str]:
        """Runs of a language, in the order of the table of experiments."""
        return list(dict.fromkeys(self._scores[language]["experiment"]))

    def seeds(self, language: str, run: str) -> list[int]:
        """Seeds of a run."""
        frame = self._scores[language]
        return sorted({int(seed) for seed in frame["seed"][frame["experiment"] == run]})

    def trainings(self, language: str) -> list[tuple[str, int]]:
        """Every run and seed of a language."""
        return [(run, s) for run in self.runs(language) for s in self.seeds(language, run)]

    def value(self, language: str, run: str, seed: int, metric: str) -> float:
        """One value of the score file, such as of ``wer demo-de/dev``."""
        return float(self._row(language, run, seed, metric)["value"])

    def count(self, language: str, run: str, part: str) -> int:
        """Clips scored in a part."""
        seed = self.seeds(language, run)[0]
        return int(self._row(language, run, seed, f"wer {part}")["n"])

    def mean(self, language: str, run: str, part: str) -> float:
        """Word error rate, mean over seeds."""
        seeds = self.seeds(language, run)
        return float(np.mean([self.value(language, run, s, f"wer {part}") for s in seeds]))

    def record(self, language: str, run: str, seed: int) -> dict:
        """Run record of a training."""
        path = self._folder / language / run / str(seed) / "training.run.json"
        return json.loads(path.read_text(encoding="utf-8"))

    def records(self) -> list[dict]:
        """Run records of all trainings."""
        return [
            self.record(lang, *training)
            for lang in self._scores
            for training in self.trainings(lang)
        ]

    def recipe(self, language: str, run: str) -> dict:
        """What a run was trained with."""
        return self.record(language, run, self.seeds(language, run)[0])["settings"]["recipe"]

    def errors(
        self, language: str, run: str, seed: int, part: str
    ) -> tuple[np.ndarray, np.ndarray]:
        """Word errors and reference words of every clip of a part, from the transcripts."""
        path = self._folder / language / run / str(seed) / "transcripts.csv"
        found = [
            word_errors(reference.split(), text.split())
            for reference, text in read_transcripts(path)[part]
        ]
        return np.array([f.errors for f in found]), np.array([f.words for f in found])

    def paired(
        self, language: str, one: tuple[str, int], other: tuple[str, int], part: str
    ) -> tuple[float, float, float]:
        """Difference of word error rates, `one` − `other`, with its 95 % interval over clips."""
        return paired_difference(
            [self.errors(language, *one, part)], [self.errors(language, *other, part)]
        )

    def _row(self, language: str, run: str, seed: int, metric: str) -> pd.Series:
        frame = self._scores[language]
        chosen = (frame["experiment"] == run) & (frame["seed"].astype(float) == seed)
        rows = frame[chosen & (frame["metric"] == metric)]
        if len(rows) != 1:
            where = f"{self._folder}/{language}/scores.csv"
            sys.exit(f"{where}: {len(rows)} values of {run}, {seed}, {metric}")
        return rows.iloc[0]


def paired_difference(
    one: list[tuple[np.ndarray, np.ndarray]], other: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float, float]:
    """Difference of word error rates with its 95 % interval by a paired bootstrap over clips.

    Parameters
    ----------
    one, other : errors and words of the same clips, a pair of arrays a seed. A draw takes the same
        clips of all seeds on both sides; rates are means over seeds.

    Source: M. Bisani and H. Ney, "Bootstrap estimates for confidence intervals in ASR performance
    evaluation", ICASSP 2004.
    """
    words = one[0][1]
    difference = np.mean([e for e, _ in one], axis=0) - np.mean([e for e, _ in other], axis=0)
    draw = np.random.default_rng(0)
    chosen = draw.integers(len(words), size=(RESAMPLES, len(words)))
    ratios = difference[chosen].sum(1) / words[chosen].sum(1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(difference.sum() / words.sum()), float(low), float(high)


def interval_text(runs: Trainings, language: str, run: str, seed: int, part: str) -> str:
    """A word error rate in per cent with its interval."""
    rate, low, high = (
        100 * runs.value(language, run, seed, f"{metric} {part}")
        for metric in ("wer", "wer_low", "wer_high")
    )
    return f"{rate:.1f} ({low:.1f}–{high:.1f})"


def machine_line(runs: Trainings) -> str:
    """Where, with what, and when the trainings ran."""
    records = runs.records()
    hardware, versions = records[0]["hardware"], records[0]["versions"]
    commits = sorted({str(each["commit"]) for each in records})
    shown = ", ".join(f"{name} {versions[name]}" for name in SHOWN if name in versions)
    seconds = sum(each["training_seconds"] for each in records)
    finished = sorted(each["finished"] for each in records)
    return (
        f"{hardware['cpu']}, {hardware['cores']} cores, one thread a training; "
        f"{shown}; commit {', '.join(commits)}; {len(records)} trainings, "
        f"{seconds / 60:.1f} minutes of training together, the first done at {finished[0]}, the "
        f"last at {finished[-1]}."
    )


def write_page(title: str, sections: list[str], out: Path | None) -> None:
    """Print a page of Markdown and write it to `out`.

    What was written there by hand, from the heading `TRIED` on, stays.
    """
    before = out.read_text(encoding="utf-8") if out is not None and out.exists() else ""
    _, heading, rest = before.partition(TRIED)
    text = "\n\n".join([title, *sections, *([heading + rest.rstrip()] if heading else [])]) + "\n"
    print(text)
    if out is not None:
        write_text(out, text)
