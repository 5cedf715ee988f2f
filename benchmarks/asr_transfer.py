"""Transfer against training from scratch in the demo's languages, three seeds each.

snakemake --configfile config/demo.yaml benchmarks/asr_transfer.yaml --cores 2 asr
python benchmarks/asr_transfer.py results/asr-transfer --out benchmarks/asr_transfer.md
"""

import argparse
import math
from pathlib import Path

import numpy as np
from asr_record import Trainings, interval_text, machine_line, paired_difference, write_page
from scipy.stats import t as student

SOURCE, SCRATCH, TRANSFER = "english", "scratch", "transfer"
NAMES = {"de": "German", "es": "Spanish", "ru": "Russian"}


def part_of(language: str) -> str:
    """What a language's recognisers are tested on."""
    return f"demo-{language}/dev"


def student_interval(values: list[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few values; NaN for fewer than two."""
    if len(values) < 2:
        return math.nan, math.nan
    half = student.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


class Comparison:
    """Transfer less scratch in one language, word error rates in per cent."""

    def __init__(self, runs: Trainings, language: str) -> None:
        self.language, self.part = language, part_of(language)
        self.seeds = runs.seeds(language, TRANSFER)
        if self.seeds != runs.seeds(language, SCRATCH):
            raise SystemExit(f"{language}: {SCRATCH} and {TRANSFER} have other seeds")
        self.rates = {
            run: [100 * runs.value(language, run, s, f"wer {self.part}") for s in self.seeds]
            for run in (SCRATCH, TRANSFER)
        }
        self.differences = [
            t - s for s, t in zip(self.rates[SCRATCH], self.rates[TRANSFER], strict=True)
        ]
        self.over_seeds = student_interval(self.differences)
        sides = [
            [runs.errors(language, run, s, self.part) for s in self.seeds]
            for run in (TRANSFER, SCRATCH)
        ]
        _, low, high = paired_difference(*sides)
        self.over_clips = 100 * low, 100 * high
        self.recipes = {run: runs.recipe(language, run) for run in (SCRATCH, TRANSFER)}
        self.steps = {
            run: runs.record(language, run, self.seeds[0])["steps"] for run in self.recipes
        }
        self.clips = runs.count(language, TRANSFER, self.part)

    @property
    def mean(self) -> float:
        """Mean difference, in points."""
        return float(np.mean(self.differences))

    def row(self) -> str:
        """Of the table."""
        cells = [NAMES[self.language], str(self.clips)]
        for run in (SCRATCH, TRANSFER):
            each = " / ".join(f"{rate:.1f}" for rate in self.rates[run])
            cells.append(f"{np.mean(self.rates[run]):.1f} ({each})")
        cells.append(f"{self.mean:+.1f} ({' / '.join(f'{d:+.1f}' for d in self.differences)})")
        cells += [
            "–" if math.isnan(low) else f"{low:+.1f} to {high:+.1f}"
            for low, high in (self.over_seeds, self.over_clips)
        ]
        return f"| {' | '.join(cells)} |"


def comparison_table(compared: list[Comparison]) -> str:
    """A row a language."""
    lines = [
        "| language | clips | scratch: mean (seeds), % | transfer, % | difference, points | "
        "95 % over seeds (Student) | 95 % over clips (paired bootstrap) |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    return "\n".join([*lines, *(each.row() for each in compared)])


def findings(compared: list[Comparison]) -> str:
    """What holds, in words."""

    def named(chosen: list[Comparison]) -> str:
        names = ", ".join(NAMES[each.language] for each in chosen) or "none"
        return f"{len(chosen)} of {len(compared)} languages ({names})"

    better = [each for each in compared if each.mean < 0]
    sure_seeds = [each for each in compared if each.over_seeds[1] < 0]
    sure_clips = [each for each in compared if each.over_clips[1] < 0]
    return (
        f"Transfer beats scratch in {named(better)} by the mean over seeds; the interval over "
        f"seeds excludes 0 in {named(sure_seeds)}, that over clips in {named(sure_clips)}."
    )


def explain(runs: Trainings, compared: list[Comparison]) -> str:
    """What was trained on what."""
    source = runs.recipe("en", SOURCE)
    recipe = compared[0].recipes
    budget = ", ".join(
        f"{NAMES[each.language]} {each.steps[SCRATCH]} and {each.steps[TRANSFER]} steps"
        for each in compared
    )
    rates = " and ".join(f"{recipe[run]['learning_rate']:g} ({run})" for run in recipe)
    return (
        "The demo's rows (`config/experiments/asr-demo.tsv`) with three seeds: QuartzNet "
        f"`{source['blocks']}` on speech of eSpeak NG, trained in each language from random "
        "weights, and from the encoder of the English recogniser of the same seed with a fresh "
        f"decoder; the same clips, epochs and batches ({budget}); peak learning rates {rates}. "
        "Persons and sentences of the test part are in no training part. Made-up speech: not "
        "comparable with the paper's numbers."
    )


def source_table(runs: Trainings) -> str:
    """The English recognisers."""
    parts = ("demo-en/dev-clean", "demo-en/dev-other")
    lines = [
        f"| English source | steps | training, s | {' | '.join(f'{p}, % (95 %)' for p in parts)} |",
        "|---|--:|--:|--:|--:|",
    ]
    for seed in runs.seeds("en", SOURCE):
        record = runs.record("en", SOURCE, seed)
        cells = [f"seed {seed}", str(record["steps"]), f"{record['training_seconds']:.0f}"]
        cells += [interval_text(runs, "en", SOURCE, seed, part) for part in parts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Write the record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="such as results/asr-transfer")
    parser.add_argument("--out", type=Path, help="Markdown to write")
    options = parser.parse_args()
    runs = Trainings(options.results)
    compared = [Comparison(runs, lang) for lang in NAMES if lang in runs.languages]
    write_page(
        "# Transfer across languages against training from scratch, three seeds",
        [
            explain(runs, compared),
            machine_line(runs),
            comparison_table(compared),
            findings(compared),
            source_table(runs),
        ],
        options.out,
    )


if __name__ == "__main__":
    main()
