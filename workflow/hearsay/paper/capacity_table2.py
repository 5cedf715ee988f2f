"""Table 2: does the metric order the models of a series as their accuracies do?

Kendall's τ with its exact permutation probability, for α̂ and its variants and, beside them, for
the controls that need no power law. The claim has a sign: a smaller α̂ goes with a better model,
so τ must be negative; a control may order the models either way.
"""

import math
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from hearsay.metrics.correlation import Correlation, kendall, signed
from hearsay.paper.capacity import (
    PUBLISHED,
    accuracies,
    conventions_of,
    metric_of,
    read_models,
    read_published,
    read_summary,
    series_of,
)
from hearsay.paper.claims import Told, listed, together
from hearsay.paper.command import run_command
from hearsay.paper.tables import Column, Row, Table, write_table
from hearsay.provenance import Run

FEWEST_MODELS = 3
SIGNIFICANT = 0.05
CLAIMS = {
    "alpha_hat": "α̂, mean",
    "alpha_hat_sum": "α̂, sum (Eq. 3)",
    "alpha_hat_normalised": "α̂ with 1/N, mean",
    "alpha_hat_normalised_sum": "α̂ with 1/N, sum",
    "alpha": "α, mean",
}
IN_WORDS = {
    "alpha_hat_sum": "the sum of Eq. 3",
    "alpha_hat_normalised": "the mean with 1/N",
    "alpha_hat_normalised_sum": "the sum with 1/N",
    "alpha": "plain mean α",
}
CONTROLS = {
    "log_spectral_norm": "log λmax",
    "log_frobenius_norm": "log ‖W‖²",
    "depth": "depth",
}
CONTROL_ROLE = "control: needs no power law"
COLUMNS = [
    Column("values", "Values", shown=False),
    Column("series", "Series", shown=False),
    Column("metric", "Metric name", shown=False),
    Column("label", "Metric"),
    Column("tau", "τ", "difference", decimals=2),
    Column("n", "n", "count"),
    Column("p", "p", "probability"),
    Column("smallest_p", "smallest p", "probability"),
    Column("role", "Role"),
    Column("method", "Method"),
    Column("dropped", "Models without a value", "count", shown=False),
    Column("reason", "Why not defined", shown=False),
    Column("verdict", "Verdict", shown=False),
    Column("records", "runs behind it", shown=False),
]
NUMBERS = ("tau", "n", "p", "smallest_p", "dropped", "reason")  # of a correlation
NOTES = [
    "τ is Kendall's tau-b of the metric with the accuracy; p is the two-sided share of all orders "
    "of the models with a |τ| at least as large. Smallest p: that of a perfect order of n models, "
    "equal values left equal.",
    "The claim needs τ < 0. A control counts by |τ|.",
]


@dataclass(frozen=True)
class SeriesTest:
    """Correlations of one series' metrics with accuracy, and what they amount to."""

    series: str
    values: str  # "measured" or "published"
    correlations: dict[str, Correlation]
    records: str = ""  # ids of the runs that measured the metrics

    @property
    def subject(self) -> str:
        """What was tested."""
        return f"{self.series}, {self.values}"

    @property
    def told(self) -> Told:
        """The claim's fate in this series, in one to four sentences.

        The paper's own values say nothing about this run: they give no verdict.
        """
        claim = self.correlations["alpha_hat"]
        sign = direction(claim)
        return together(
            [
                sign if self.values == "measured" else sign.text,
                self._against_controls(claim),
                _weight(claim),
                self._other_definitions(claim),
            ]
        )

    def _against_controls(self, claim: Correlation) -> str:
        strength = {
            CONTROLS[name]: abs(found.tau)
            for name, found in self.correlations.items()
            if name in CONTROLS and not math.isnan(found.tau)
        }
        if math.isnan(claim.tau):
            return ""
        if not strength:
            return "No control could be computed." if self.values == "measured" else ""
        best = max(strength.values())
        orders_best = [name for name, value in strength.items() if value == best]
        names = listed(orders_best)
        if -claim.tau > best:
            return f"It does better than every control (best: {names}, |τ| = {best:.2f})."
        need = "needs" if len(orders_best) == 1 else "need"
        return f"It does no better than {names} (|τ| = {best:.2f}), which {need} no power law."

    def _other_definitions(self, claim: Correlation) -> str:
        """Variants of α̂, and α itself, whose sign is not that of the claim."""
        against = [
            f"{words} (τ = {signed(self.correlations[name].tau)})"
            for name, words in IN_WORDS.items()
            if claim.tau < 0 and name in self.correlations and self.correlations[name].tau >= 0
        ]
        return f"Not so for {listed(against)}." if against else ""


def direction(claim: Correlation) -> Told:
    """Sentence on the sign of α̂'s correlation; without a sign nothing is decided."""
    if math.isnan(claim.tau):
        return Told(f"τ of α̂ is not defined: {claim.reason}.", ("undecided",))
    facts = f"τ = {signed(claim.tau)}, n = {claim.n}, p = {probability(claim.p)}"
    if claim.tau < 0:
        if claim.p <= SIGNIFICANT:
            return Told(f"Smaller α̂ goes with better accuracy, as claimed ({facts}).", ("hold",))
        return Told(f"τ of α̂ has the claimed sign ({facts}).", ("undecided",))
    if claim.tau > 0:
        if claim.p <= SIGNIFICANT:
            told = f"Larger α̂ goes with better accuracy, against the claim ({facts})."
            return Told(told, ("fail",))
        return Told(f"τ of α̂ has the sign against the claim ({facts}).", ("undecided",))
    return Told(f"α̂ does not order the models ({facts}).", ("undecided",))


def _weight(claim: Correlation) -> str:
    if math.isnan(claim.p) or claim.p <= SIGNIFICANT:
        return ""
    if claim.smallest_p > SIGNIFICANT:
        models = "models" if claim.method == "exact" else "models, some of them equal,"
        return (
            f"n = {claim.n} {models} cannot carry the claim: even a perfect order has "
            f"p = {Fraction(claim.smallest_p).limit_denominator(10_000)}."
        )
    return f"With p > {SIGNIFICANT} these {claim.n} models do not carry the claim."


def probability(p: float) -> str:
    """A probability in two significant digits."""
    return f"{p:.2g}" if p < 0.995 else "1"


def measured_tests(summary: pd.DataFrame, published: pd.DataFrame) -> list[SeriesTest]:
    """Tests of this configuration's series with an accuracy for `FEWEST_MODELS` models or more."""
    accuracy = accuracies(summary, published)["accuracy"]
    tests = []
    for series, members in _series_with_accuracy(summary["series"], accuracy):
        found = {
            metric: kendall(metric_of(summary, metric)[members], accuracy[members])
            for metric in [*CLAIMS, *CONTROLS]
        }
        runs = " ".join(dict.fromkeys(summary["run"][members]))
        tests.append(SeriesTest(series, "measured", found, runs))
    return tests


def published_tests(published: pd.DataFrame) -> list[SeriesTest]:
    """The same from the published values alone; published are α̂ and α, no control."""
    known = published[published["alpha_hat"].notna()]
    return [
        SeriesTest(
            series,
            "published",
            {m: kendall(known[m][members], known["accuracy"][members]) for m in metrics},
        )
        for metrics in [("alpha_hat", "alpha")]
        for series, members in _series_with_accuracy(known["series"], known["accuracy"])
    ]


def _series_with_accuracy(series: pd.Series, accuracy: pd.Series) -> list[tuple[str, pd.Index]]:
    groups = []
    for name in filter(None, dict.fromkeys(series)):
        members = series.index[(series == name) & accuracy.notna()]
        if len(members) >= FEWEST_MODELS:
            groups.append((name, members))
    return groups


def table2(tests: list[SeriesTest], more: list[str]) -> Table:
    """One row per series and metric; the verdict stands in the first row of its series.

    `more` are notes of this configuration.
    """
    rows = []
    for test in tests:
        for position, (metric, found) in enumerate(test.correlations.items()):
            cells = {
                "values": test.values,
                "series": test.series,
                "metric": metric,
                "label": {**CLAIMS, **CONTROLS}[metric],
                "role": "claim: τ < 0" if metric in CLAIMS else CONTROL_ROLE,
                **{key: getattr(found, key) for key in NUMBERS},
                "method": found.method or f"not defined: {found.reason}",
                "verdict": "" if position else test.told.text,
                "records": test.records,
            }
            rows.append(Row(cells, test.subject, given=test.values == "published"))
    return Table(COLUMNS, rows, NOTES + more)


def untested_series(
    summary: pd.DataFrame, published: pd.DataFrame, tests: list[SeriesTest]
) -> list[str]:
    """Sentences on the series that have too few accuracies, and on models that are in none."""
    accuracy = accuracies(summary, published)["accuracy"]
    tested = {test.series for test in tests if test.values == "measured"}
    few = [
        f"{series} ({accuracy[summary['series'] == series].notna().sum()} of "
        f"{(summary['series'] == series).sum()})"
        for series in series_of(summary)
        if series not in tested
    ]
    alone = list(summary.index[summary["series"] == ""])
    sentences = []
    if few:
        sentences.append(
            f"Fewer than {FEWEST_MODELS} models with a known accuracy: {', '.join(few)}."
        )
    if alone:
        sentences.append(f"In no series, and so compared with none: {', '.join(alone)}.")
    return sentences


def main(
    summary: Annotated[Path, typer.Option(help="spectral/summary.csv")],
    models: Annotated[str, typer.Option(help='JSON: [{"model": …, "series": …}, …], in order')],
    csv: Annotated[Path, typer.Option(help="table with every column in full precision")],
    markdown: Annotated[Path, typer.Option(help="table for a README")],
    tex: Annotated[Path, typer.Option(help="table for a paper (booktabs)")],
    json: Annotated[Path, typer.Option(help="table for the result page")],
    run: Annotated[Path, typer.Option(help="run record")],
    published: Annotated[Path, typer.Option(help="the authors' own values")] = PUBLISHED,
) -> None:
    """Write Table 2: rank correlations with accuracy, of α̂ and of the controls."""
    audited = read_models(models)
    scores, theirs = read_summary(summary, audited), read_published(published)
    record = Run(
        "hearsay.paper.capacity_table2",
        settings={"models": [asdict(model) for model in audited]},
        inputs=[summary, published],
        seed=0,
    )
    tests = measured_tests(scores, theirs) + published_tests(theirs)
    untested = untested_series(scores, theirs, tests)
    table = table2(tests, conventions_of(scores) + untested)
    write_table(table, csv_path=csv, markdown=markdown, tex=tex, json_path=json)
    record.write(
        run,
        findings=[
            *(test.told.about(test.subject) for test in tests),
            *(Told(sentence).about("Not tested") for sentence in untested),
        ],
    )


if __name__ == "__main__":
    run_command(main)
