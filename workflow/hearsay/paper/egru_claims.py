"""What the EGRU paper claims with its tables, held against the measured scores.

Every verdict is over measured values, means over seeds; the same question is put to the paper's
own values and told apart. What does not hold is said not to. Where an EGRU stands for a row of the
paper, the verdicts are over it, and not over variants of its width.
"""

import pandas as pd

from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.egru import MILLION, Measured, comparable, millions
from hearsay.paper.egru_rows import Entry

COMPETITIVE = 1.05  # the paper's own EGRU is within it of AWD-LSTM on both corpora
SPARSE = 80.0  # percent; the paper's EGRUs are above it on both corpora


def claims_told(number: str, entries: list[Entry]) -> Told:
    """Every claim with its verdict and the paper's own numbers, as sentences."""
    measured = [entry for entry in entries if entry.measured is not None]
    if not measured:
        return Told("Nothing was measured, so no claim can be checked.")
    runs, variants = judged(measured)
    paper = {str(e.published["row"]): e.published for e in entries if e.published is not None}
    sentences: list[Told | str] = [
        verdict(
            "EGRU does as well as the GRU of equal width",
            equal_width(runs, "gru"),
            _paper_pair(paper, "EGRU 1350", "GRU 1350", 1),
        ),
        verdict("EGRU does as well as the LSTM of equal width", equal_width(runs, "lstm")),
        verdict(
            f"EGRU comes within {100 * (COMPETITIVE - 1):.0f} % of AWD-LSTM",
            against(runs, "AWD-LSTM", COMPETITIVE),
            [
                *_paper_pair(paper, "EGRU 1350", "AWD-LSTM", COMPETITIVE),
                *_paper_pair(paper, "EGRU 2000", "AWD-LSTM", COMPETITIVE),
            ],
        ),
        verdict(
            f"Activity sparsity is above {SPARSE:.0f} %", activity(runs), _paper_activity(paper)
        ),
        verdict(
            "EGRU needs fewer effective MACs than a dense GRU, with and without the decoder",
            operations(runs),
            _paper_macs(paper),
        ),
    ]
    if beside := reached(runs, number):
        sentences.append(verdict("The published test perplexity is reached", beside))
    if variants:
        sentences.append(f"Not in these verdicts: {', '.join(e.plan.name for e in variants)}.")
    return together(sentences)


def judged(runs: list[Entry]) -> tuple[list[Entry], list[Entry]]:
    """The runs that the verdicts are over, and our own variants of EGRUs that stand for a row."""
    egrus = _of(runs, "egru")
    widths = {_size(entry, "hidden_size") for entry in egrus if entry.published is not None}
    own = [entry for entry in egrus if entry.published is None]
    variants = [entry for entry in own if _size(entry, "hidden_size") in widths]
    return [entry for entry in runs if entry not in variants], variants


def equal_width(runs: list[Entry], model: str) -> list[Case]:
    """Every EGRU against every dense run of `model` with as many hidden units."""
    return [
        _pair(egru, other, 1)
        for egru in _of(runs, "egru")
        for other in _of(runs, model)
        if _size(egru, "hidden_size") == _size(other, "hidden_size") is not None
    ]


def against(runs: list[Entry], published: str, factor: float) -> list[Case]:
    """Every EGRU against the runs that stand for the row `published` of the paper."""
    others = [e for e in runs if e.plan.published == published]
    return [_pair(egru, other, factor) for egru in _of(runs, "egru") for other in others]


def activity(runs: list[Entry]) -> list[Case]:
    """Activity sparsity of every EGRU."""
    cases = []
    for entry in _of(runs, "egru"):
        value = _scores(entry).mean("activity_sparsity")
        if value is not None:
            cases.append(Case(100 * value > SPARSE, f"{entry.plan.name} {100 * value:.1f} %"))
    return cases


def operations(runs: list[Entry]) -> list[Case]:
    """Every EGRU's operations against those of a dense GRU of its sizes."""
    cases = []
    for entry in _of(runs, "egru"):
        scores, facts, fewer = _scores(entry), [], []
        for metric, words in (("macs", ""), ("macs_rnn", " without")):
            ours, dense = scores.mean(f"effective_{metric}"), scores.mean(f"dense_{metric}")
            if ours is not None and dense is not None:
                facts.append(f"{ours / MILLION:.3g}M for {dense / MILLION:.3g}M{words}")
                fewer.append(ours < dense)
        if len(fewer) == 2:
            cases.append(Case(all(fewer), f"{entry.plan.name} {', '.join(facts)}"))
    return cases


def reached(runs: list[Entry], number: str) -> list[Case]:
    """Every run beside its published row, on the paper's own text."""
    cases = []
    for entry in runs:
        ours = _perplexity(entry)
        if entry.published is None or not comparable(_scores(entry), number):
            continue
        theirs = float(entry.published["test"])
        cases.append(Case(ours <= theirs, f"{entry.plan.name} {ours:.2f} for {theirs:.1f}"))
    return cases


def _pair(egru: Entry, other: Entry, factor: float) -> Case:
    ours, theirs = _perplexity(egru), _perplexity(other)
    facts = [f"{egru.plan.name} {ours:.2f}, {other.plan.name} {theirs:.2f}: {_apart(ours, theirs)}"]
    spreads = [_scores(entry).spread("test_perplexity") for entry in (egru, other)]
    if spreads[0] and spreads[1]:
        apart = spreads[0][1] < spreads[1][0] or spreads[1][1] < spreads[0][0]
        facts.append("seeds apart" if apart else "seeds overlap")
    else:
        facts.append("one seed, so no spread")
    for metric, words in (("embedding_size", "embeddings of"), ("epochs", "epochs")):
        sizes = [_size(entry, metric) for entry in (egru, other)]
        if None not in sizes and sizes[0] != sizes[1]:
            facts.append(f"unlike {words} {sizes[0]:g} and {sizes[1]:g}")
    return Case(ours <= factor * theirs, ", ".join(facts))


def _apart(ours: float, theirs: float) -> str:
    percent = 100 * (ours / theirs - 1)
    return f"{abs(percent):.1f} % {'higher' if percent > 0 else 'lower'}"


def _paper_pair(paper: dict[str, pd.Series], egru: str, other: str, factor: float) -> list[Case]:
    if egru not in paper or other not in paper:
        return []
    ours, theirs = float(paper[egru]["test"]), float(paper[other]["test"])
    return [Case(ours <= factor * theirs, f"{egru} {ours:.1f}, {other} {theirs:.1f}")]


def _paper_activity(paper: dict[str, pd.Series]) -> list[Case]:
    found = {name: float(row["activity_sparsity"]) for name, row in paper.items()}
    return [Case(v > SPARSE, f"{name} {v:.1f} %") for name, v in found.items() if v == v]


def _paper_macs(paper: dict[str, pd.Series]) -> list[Case]:
    if "EGRU 1350" not in paper or "GRU 1350" not in paper:
        return []
    ours, theirs = (millions(paper[name]["effective_mac"]) for name in ("EGRU 1350", "GRU 1350"))
    return [Case(ours < theirs, f"EGRU 1350 {ours:g}M, GRU 1350 {theirs:g}M")]


def _of(runs: list[Entry], model: str) -> list[Entry]:
    return [entry for entry in runs if _scores(entry).model == model]


def _scores(entry: Entry) -> Measured:
    assert entry.measured is not None
    return entry.measured


def _perplexity(entry: Entry) -> float:
    value = _scores(entry).mean("test_perplexity")
    assert value is not None  # a run without one is not among the measured
    return value


def _size(entry: Entry, metric: str) -> float | None:
    return _scores(entry).mean(metric)
