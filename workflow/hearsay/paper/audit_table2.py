"""Table 2 of the cross-system audit: does a metric order the models of a task as their scores do?

One row a task and test score. Kendall's τ is between a metric and how good the model is (the score,
with its sign turned where lower is better), so that a smaller α̂ with a better model gives τ < 0
whatever the score. A control may order the models either way. Seeds of one run are one model.
"""

import math
from statistics import fmean
from typing import Any

from hearsay.metrics.correlation import LARGEST_ENUMERATION, MONTE_CARLO_DRAWS, signed
from hearsay.metrics.rank_interval import (
    FEWEST_FOR_VERDICT,
    RankAssociation,
    rank_association,
)
from hearsay.paper.audit import CONTROLS, METRICS, SYSTEMS, Measure, Pair, Task
from hearsay.paper.audit_command import Findings, Joined, convention_note, table_command
from hearsay.paper.command import run_command
from hearsay.paper.tables import Column, Row, Table

STEP = "hearsay.paper.audit_table2"
UNPUBLISHED = "none"
WITH_INTERVAL = {"alpha": "α, mean", "alpha_hat": "α̂, mean"}


def _columns() -> list[Column]:
    columns = [
        Column("measure", "Test score"),
        Column("system", "System", shown=False),
        Column("task", "Task", shown=False),
        Column("better", "Better"),
        Column("n", "n", "count"),
        Column("smallest_p", "smallest p", "probability"),
    ]
    for name, label in METRICS.items():
        group = WITH_INTERVAL.get(name, "Controls, τ" if name in CONTROLS else "α̂, sum")
        head = "τ" if name not in CONTROLS else label
        shown = name in WITH_INTERVAL
        columns += [
            Column(f"tau_{name}", head, "difference", group, 2),
            Column(f"interval_{name}", "95 % interval", "text", group, shown=shown),
            Column(f"p_{name}", "p", "probability", group, shown=shown),
            Column(f"low_{name}", f"{label}, low", "number", shown=False),
            Column(f"high_{name}", f"{label}, high", "number", shown=False),
            Column(f"n_{name}", f"{label}, n", "count", shown=False),
            Column(f"method_{name}", f"{label}, how p was found", shown=False),
            Column(f"why_{name}", f"{label}, why no τ", shown=False),
        ]
    return [
        *columns,
        Column("published", "published"),
        Column("reading", "Reading of α̂"),
    ]


COLUMNS = _columns()
NOTES = [
    "τ is Kendall's tau-b of the metric with how good the model is: the score, its sign turned "
    "where lower is better. τ < 0: a smaller metric goes with a better model, as the capacity "
    "paper claims for α̂. Seeds of one run count as one model, by their means.",
    "Models that went on from one another, or from one pretrained model, share weights. p and the "
    "intervals take them as independent, and are too sure of themselves where many do.",
    "Intervals are percentiles of 2000 bootstrap draws of models. p is the two-sided permutation "
    f"probability: exact, or for more than {LARGEST_ENUMERATION} models with equal values of "
    f"{MONTE_CARLO_DRAWS} drawn orders. Smallest p is that of a perfect order of n models, equal "
    f"values left equal. Below {FEWEST_FOR_VERDICT} models nothing is read into an order, whatever "
    "τ is; the interval of a perfect order has no width, which is no certainty.",
    "Published: none. None of the five papers relates these metrics to these scores.",
]


def associations(measure: Measure, pairs: list[Pair]) -> dict[str, RankAssociation]:
    """Every metric with how good the models are by `measure`; models that lack either drop out.

    Seeds of one run are no models of their own: they count once, by their means. Each counted for
    itself, 6 runs of 5 seeds would give a reading in 31 of 100 draws where there is no link.
    """
    runs: dict[str, list[Pair]] = {}
    for pair in pairs:
        runs.setdefault(pair.run, []).append(pair)
    found = {}
    for name in METRICS:
        points = [_means(name, measure, seeds) for seeds in runs.values()]
        found[name] = rank_association([x for x, _ in points], [y for _, y in points])
    return found


def _means(metric: str, measure: Measure, seeds: list[Pair]) -> tuple[float, float]:
    """Means of a metric and of the quality over the seeds that have both; NaN where none has."""
    both = [(pair.metric(metric), measure.sign * pair.scores[measure.label]) for pair in seeds]
    both = [values for values in both if not any(map(math.isnan, values))]
    if not both:
        return math.nan, math.nan
    return fmean(value for value, _ in both), fmean(quality for _, quality in both)


def row_of(task: Task, measure: Measure, found: dict[str, RankAssociation]) -> Row:
    """The row of one test score of one task."""
    claim = found["alpha_hat"]
    cells: dict[str, Any] = {
        "measure": measure.label,
        "system": task.system,
        "task": task.name,
        "better": measure.better,
        "n": claim.found.n,
        "smallest_p": claim.smallest_p,
        "published": UNPUBLISHED,
        "reading": claim.reading,
    }
    for name, each in found.items():
        cells |= {
            f"tau_{name}": each.found.tau,
            f"interval_{name}": each.interval,
            f"p_{name}": each.found.p,
            f"low_{name}": each.low,
            f"high_{name}": each.high,
            f"n_{name}": each.found.n,
            f"method_{name}": each.found.method,
            f"why_{name}": each.found.reason,
        }
    return Row(cells, task.name)


def build(found: Joined) -> tuple[Table, Findings]:
    """The table, and a finding for every system."""
    rows: list[Row] = []
    told: dict[str, list[tuple[Task, Measure, dict[str, RankAssociation]]]] = {}
    for task, pairs in found:
        for measure in task.measures:
            here = associations(measure, pairs)
            rows.append(row_of(task, measure, here))
            told.setdefault(task.system, []).append((task, measure, here))
    findings: Findings = [
        {"subject": f"α̂ and the scores of {SYSTEMS[system]}'s models", "text": sentence(those)}
        for system, those in told.items()
    ]
    return Table(COLUMNS, rows, NOTES + convention_note(found)), findings


def sentence(those: list[tuple[Task, Measure, dict[str, RankAssociation]]]) -> str:
    """What α̂ says about one system's models, by each task's first score."""
    first = [(t, m, found) for t, m, found in those if m == t.measures[0]]
    few = [each for each in first if each[2]["alpha_hat"].found.n < FEWEST_FOR_VERDICT]
    enough = [each for each in first if each not in few]
    parts = [f"{_facts(t, m, found)}: {_verdict(found)}." for t, m, found in enough]
    if few:
        listed = "; ".join(_facts(*each) for each in few)
        parts.append(f"Too few models to say anything: {listed}.")
    return " ".join(parts)


def _facts(task: Task, measure: Measure, found: dict[str, RankAssociation]) -> str:
    claim = found["alpha_hat"]
    if math.isnan(claim.found.tau):
        return f"{task.name}, n = {claim.found.n}, no τ ({claim.found.reason})"
    interval = f", {claim.interval}" if claim.interval else ""
    return f"{task.name}, n = {claim.found.n}, τ = {signed(claim.found.tau)}{interval}"


def _verdict(found: dict[str, RankAssociation]) -> str:
    claim = found["alpha_hat"]
    reading = {
        "smaller is better": "smaller α̂ goes with the better model",
        "larger is better": "larger α̂ goes with the better model",
    }.get(claim.reading, "the interval or p does not tell α̂ from chance")
    strength = {CONTROLS[c]: abs(found[c].found.tau) for c in CONTROLS}
    known = {name: value for name, value in strength.items() if not math.isnan(value)}
    if known and max(known.values()) >= abs(claim.found.tau):
        best = max(known, key=lambda name: known[name])
        reading += f"; {best} orders them as well or better (|τ| = {known[best]:.2f})"
    return reading


main = table_command(STEP, build)

if __name__ == "__main__":
    run_command(main)
