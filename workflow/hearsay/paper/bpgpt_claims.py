"""What the BP-GPT paper claims with each table, held against the measured scores.

A claim is a set of comparisons: one setting scores higher than another, for each subject and
measure. The same count is taken over the paper's own values. Whether decoding comes from the
brain at all is another question, which the controls answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from hearsay.paper.bpgpt import CONTROLS, MEASURES, Measured, Measurements
from hearsay.paper.claims import UNCHECKED, Told, counted, listed, together, verdict_of
from hearsay.paper.tables import Column, plain

SIGNIFICANT = 0.05
UNTESTED = "was not held against every control, so nothing shows that it comes from the brain"
MOST_EXCEPTIONS = 4  # named in a sentence
MOST_CONTROLS = 2  # the same
PUBLISHED_ONLY = ("tang", "tang-rerun")  # settings of the published file that are none of ours

Score = tuple[float, float, float]  # value, low and high of its interval; NaN where it has none
Find = Callable[[str, str, str], Score | None]  # by setting, subject and measure


@dataclass(frozen=True)
class Claim:
    """One sentence of the paper, as comparisons.

    Attributes
    ----------
    text : the claim, without a full stop.
    pairs : (better, worse), our settings, or that of a published row where we have none.
    names : what a setting is called where it is an exception.
    measures : for which it is claimed.
    model, protocol : of the measured scores.
    in_paper : whether the paper's own values can be held against it.
    """

    text: str
    pairs: list[tuple[str, str]]
    names: dict[str, str]
    measures: tuple[str, ...] = tuple(MEASURES)
    model: str = "fmri"
    protocol: str = "bp-gpt"
    in_paper: bool = True


@dataclass(frozen=True)
class Comparison:
    """One comparison of a claim, made; `apart`: the intervals are, None where one is missing."""

    subject: str
    measure: str
    better: str
    worse: str
    holds: bool
    apart: bool | None


def verdict(claim: Claim, measurements: Measurements, published: pd.DataFrame) -> Told:
    """For how many subjects the claim holds, where it does not, and the count in the paper."""
    theirs = _published(published)
    subjects = list(dict.fromkeys(published["subject"]))
    own = _compare(claim, subjects, theirs, theirs) if claim.in_paper else []
    in_paper = f"In the paper's values: {_held(own)} of {len(own)}." if own else ""
    made = _compare(claim, measurements.subjects, _measured(claim, measurements), theirs)
    if not made:
        return Told(f"{claim.text}: {UNCHECKED}. {in_paper}".rstrip(), ("undecided",))
    by_subject = {c.subject: [d for d in made if d.subject == c.subject] for c in made}
    held = sum(all(c.holds for c in them) for them in by_subject.values())
    facts = f"{_held(made)} of {counted(len(made), 'comparison')}"
    if all(c.apart is not None for c in made):
        facts += f", {sum(c.holds and bool(c.apart) for c in made)} with intervals apart"
    if missing := len(by_subject) * len(claim.pairs) * len(claim.measures) - len(made):
        facts += f"; {missing} not made"
    if held:
        only = "" if held == len(by_subject) else " only"
        outcome = f"holds for {held} of {counted(len(by_subject), 'subject')}{only}"
    else:
        outcome = f"does not hold for {listed(list(by_subject))}"
    exceptions = [
        f"{c.subject}: {claim.names[c.worse]} is not below {claim.names[c.better]} by "
        f"{MEASURES[c.measure]}"
        for c in made
        if not c.holds
    ]
    if more := exceptions[MOST_EXCEPTIONS:]:
        exceptions = [*exceptions[:MOST_EXCEPTIONS], f"and {len(more)} more"]
    told = f"{'; '.join(exceptions)}." if exceptions else ""
    first = Told(f"{claim.text}: {outcome} ({facts}).", (verdict_of(held, len(by_subject)),))
    return together([first, told, in_paper])


def controls_finding(
    subject: str, settings: dict[str, str], measurements: Measurements, protocols: list[str]
) -> Told:
    """Whether a subject's decoding beats every control, and by which measures.

    `settings` are named as in the sentences; the first is told under every protocol, with the
    length and variety of its outputs, the others under the first. Empty where none was scored.
    """
    sentences: list[Told | str] = []
    for position, (setting, name) in enumerate(settings.items()):
        measured = measurements.find(setting, subject, "fmri")
        for protocol in protocols if position == 0 else protocols[:1]:
            if measured is None or measurements.metric(protocol, "bleu-1") not in measured.values:
                continue
            told = _beaten(measured, protocol, measurements)
            if told.text or protocol == protocols[0]:
                text = f"{name}, protocol {protocol}: {told.text or UNTESTED}."
                sentences.append(Told(text, told.verdicts or ("undecided",)))
            if position == 0 and protocol == protocols[0]:
                sentences.append(_outputs(measured, protocol, measurements))
    return together(sentences)


def unbeaten(
    measured: Measured, protocol: str, measure: str, measurements: Measurements
) -> tuple[float, str]:
    """The largest p of a measure (NaN without all controls), and which controls are not beaten."""

    def value(what: str) -> float:
        return measured.values.get(measurements.metric(protocol, measure, what), math.nan)

    p = value("p")
    tests = {words: (f"p-vs-{name}", f"difference-vs-{name}") for name, words in CONTROLS.items()}
    tests["windows shifted in time"] = ("p-mismatch", "")
    made = {words: names for words, names in tests.items() if not math.isnan(value(names[0]))}
    failed = [w for w, (at, by) in made.items() if value(at) >= SIGNIFICANT or value(by) <= 0]
    if len(failed) > MOST_CONTROLS:
        return p, f"{len(failed)} of {len(made)} controls"
    return p, listed(failed) if failed else "some control" if p >= SIGNIFICANT else ""


def _beaten(measured: Measured, protocol: str, measurements: Measurements) -> Told:
    beats, fails = [], []
    for measure, name in MEASURES.items():
        p, controls = unbeaten(measured, protocol, measure, measurements)
        if math.isnan(p):
            continue
        chance = f"p = {plain(p, Column('p', 'p', 'probability'))}"
        if controls:
            fails.append(f"{name} ({chance}; not above {controls})")
        else:
            beats.append(f"{name} ({chance})")
    if not beats and not fails:
        return Told("")
    told = f"does not beat every control by any measure: {', '.join(fails)}"
    if beats:
        told = f"beats every control by {listed(beats)}"
        told += f", not by {listed(fails)}" if fails else ""
    return Told(told, (verdict_of(len(beats), len(beats) + len(fails)),))


def _outputs(measured: Measured, protocol: str, measurements: Measurements) -> str:
    length, distinct = (
        measured.values.get(measurements.metric(protocol, measure), math.nan)
        for measure in ("length-ratio", "distinct-outputs")
    )
    if math.isnan(length) or math.isnan(distinct):
        return ""
    return f"{length:.2f} words decoded for one heard; {100 * distinct:.0f} % of outputs distinct."


def _compare(claim: Claim, subjects: list[str], ours: Find, theirs: Find) -> list[Comparison]:
    """All comparisons of which both sides exist; what is not measured may be a published row."""
    made = []
    for subject in subjects:
        for better, worse in claim.pairs:
            for measure in claim.measures:
                high = ours(better, subject, measure)
                low = ours(worse, subject, measure)
                if low is None and worse in PUBLISHED_ONLY:
                    low = theirs(worse, subject, measure)
                if high is None or low is None:
                    continue
                bounds = (*high[1:], *low[1:])
                apart = None if any(map(math.isnan, bounds)) else high[1] > low[2]
                made.append(Comparison(subject, measure, better, worse, high[0] > low[0], apart))
    return made


def _measured(claim: Claim, measurements: Measurements) -> Find:
    def find(setting: str, subject: str, measure: str) -> Score | None:
        measured = measurements.find(setting, subject, claim.model)
        # The published METEOR knows synonyms: one without is not compared with it.
        across = measure == "meteor" != measurements.meteor
        if across and any(worse in PUBLISHED_ONLY for _, worse in claim.pairs):
            return None
        names = [measurements.metric(claim.protocol, measure, w) for w in ("", "ci-low", "ci-high")]
        values = [] if measured is None else [measured.values.get(n, math.nan) for n in names]
        if not values or math.isnan(values[0]):
            return None
        return 100 * values[0], 100 * values[1], 100 * values[2]

    return find


def _published(published: pd.DataFrame) -> Find:
    values = published.set_index(["setting", "subject", "metric"])["value"].to_dict()

    def find(setting: str, subject: str, measure: str) -> Score | None:
        value = values.get((setting, subject, measure))
        return None if value is None else (value, math.nan, math.nan)

    return find


def _held(comparisons: list[Comparison]) -> int:
    return sum(comparison.holds for comparison in comparisons)
