"""Word error rates of a row, ours or the paper's, and how two of them compare over seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from scipy.stats import t as student

from hearsay.paper.asr import COMMON_VOICE, CORPORA
from hearsay.paper.asr_published import Published
from hearsay.paper.asr_rows import BY_LANGUAGE, Entry, language_of, row_name

MILLIONS = {"5x3": 6.4, "15x5": 18.9}  # parameters; Section 4.2 and Table 1 of the paper
LEVEL = 0.95


@dataclass(frozen=True)
class Result:
    """One row that claims are about.

    Attributes
    ----------
    name : of the row in sentences, beginning with its language in the table of languages.
    model, kind : network as the paper has it in the row, and as the scores name it.
    millions : of parameters, None where not known.
    train, fine_tune : corpora, by the paper's names.
    rates : percent by column and seed; limits : 95 % limits over the test set by column.
    measured : False for the paper's own values.
    run, before : names of the run and of that which fine-tuning began with, where they are given.
    """

    name: str
    language: str
    model: str
    kind: str
    millions: float | None
    train: frozenset[str]
    fine_tune: frozenset[str]
    rates: dict[str, dict[int, float]]
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    measured: bool = False
    run: str | None = None
    before: str | None = None

    def mean(self, column: str) -> float:
        """Percent, mean over seeds."""
        return statistics.fmean(self.rates[column].values())


def corpus_of(column: str, language: str) -> str:
    """What the clips of a column come from, by the paper's name in its training columns."""
    if column == "WER":
        return COMMON_VOICE.get(language, f"CV-{language}")
    return CORPORA[column]


def parts_of(corpora: str) -> frozenset[str]:
    """``"NSC1+LS"`` as its corpora."""
    return frozenset(part for part in corpora.split("+") if part)


def result_of(entry: Entry, number: str) -> Result | None:
    """What was measured in a row of table `number`; None without scores."""
    scores = entry.measured
    if scores is None:
        return None
    columns = list(scores.tests)
    parameters = scores.mean("parameters")
    return Result(
        entry.name(number),
        entry.plan.language,
        entry.model,
        scores.model,
        parameters / 1e6 if parameters else MILLIONS.get(scores.model),
        parts_of(entry.train),
        parts_of(entry.fine_tune),
        {c: {seed: one[f"wer {c}"] for seed, one in scores.seeds.items()} for c in columns},
        {c: limits for c in columns if (limits := scores.interval(c)) is not None},
        True,
        entry.plan.run,
        entry.plan.before,
    )


def published_result(row: Published, number: str) -> Result:
    """The paper's own values of a row of table `number`."""
    name = row_name(row.model, row.train, row.fine_tune)
    return Result(
        f"{language_of(row.language)} {name}" if number == BY_LANGUAGE else name,
        row.language,
        row.model,
        row.model,
        MILLIONS.get(row.model),
        parts_of(row.train),
        parts_of(row.fine_tune),
        {column: {0: value} for column, value in row.values.items()},
    )


def difference(first: Result, second: Result, column: str) -> float:
    """Points by which the mean of `first` is above that of `second`."""
    return first.mean(column) - second.mean(column)


def compared(first: Result, second: Result, column: str) -> str:
    """``: 15.00 points lower, 3 seeds …``: how far apart two measured rows are; else nothing.

    Seeds are paired where both have the same ones: the interval is Student's over their
    differences. With one seed each it can only be said whether the intervals over the test set
    meet.
    """
    if not (first.measured and second.measured):
        return ""
    points = difference(first, second, column)
    told = f"{abs(points):.2f} points {'higher' if points > 0 else 'lower'}"
    facts = [f": {told}", *_over_seeds(first.rates[column], second.rates[column])]
    if len(first.rates[column]) == len(second.rates[column]) == 1:
        facts += _over_clips(first.limits.get(column), second.limits.get(column))
    if first.kind != second.kind and first.model == second.model:
        facts.append(f"unlike models {first.kind} and {second.kind}")
    return ", ".join(facts)


def _over_seeds(first: dict[int, float], second: dict[int, float]) -> list[str]:
    counts = sorted({len(first), len(second)})
    if counts == [1]:
        return ["one seed"]
    if set(first) != set(second):
        apart = max(first.values()) < min(second.values())
        apart = apart or max(second.values()) < min(first.values())
        of = f"{len(first)} and {len(second)} seeds"
        return [of, "ranges apart" if apart else "ranges overlap"]
    differences = [first[seed] - second[seed] for seed in sorted(first)]
    low, high = seed_interval(differences)
    inside = ", with 0 inside" if low <= 0 <= high else ""
    return [
        f"{len(differences)} seeds from {min(differences):+.2f} to {max(differences):+.2f}",
        f"95 % interval {low:+.2f} to {high:+.2f}{inside}",
    ]


def _over_clips(first: tuple[float, float] | None, second: tuple[float, float] | None) -> list[str]:
    if first is None or second is None:
        return []
    meet = first[0] <= second[1] and second[0] <= first[1]
    return [f"95 % intervals {'overlap' if meet else 'apart'}"]


def seed_interval(differences: Sequence[float]) -> tuple[float, float]:
    """Student's 95 % interval of the mean of two or more seeds' differences."""
    n, mean = len(differences), statistics.fmean(differences)
    half = float(student.ppf((1 + LEVEL) / 2, n - 1)) * statistics.stdev(differences) / math.sqrt(n)
    return mean - half, mean + half
