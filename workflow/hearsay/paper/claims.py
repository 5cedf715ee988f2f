"""How a paper's claim is told with its verdict over measured values and over the paper's own."""

from dataclasses import dataclass
from typing import Literal, NotRequired, TypedDict, get_args

MOST_TOLD = 4  # cases named in a sentence
UNCHECKED = "cannot be checked in this configuration"

Verdict = Literal["hold", "partly", "fail", "undecided"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


class Finding(TypedDict):
    """What came out, as a run record holds it; `verdicts` where the text checks claims."""

    subject: str
    text: str
    verdicts: NotRequired[list[Verdict]]


@dataclass(frozen=True)
class Case:
    """One thing that a claim says: whether it holds, and the numbers."""

    holds: bool
    facts: str


def verdict(claim: str, cases: list[Case], paper: list[Case] | None = None) -> str:
    """A claim, for how many cases it holds, the numbers, and how the paper's own values stand."""
    told = f"{claim}: {UNCHECKED}."
    if cases:
        held = sum(case.holds for case in cases)
        outcome = "holds" if held == len(cases) else "does not hold here"
        if 0 < held < len(cases):
            outcome = f"holds for {held} of {len(cases)} only"
        # Those against the claim come first, so that none is lost where not all are named.
        ordered = sorted(cases, key=lambda case: case.holds)
        facts = [case.facts for case in ordered[:MOST_TOLD]]
        if more := len(cases) - len(facts):
            facts.append(f"and {more} more")
        told = f"{claim}: {outcome} ({'; '.join(facts)})."
    if paper:
        told += f" In the paper's values: {sum(c.holds for c in paper)} of {len(paper)} "
        told += f"({'; '.join(case.facts for case in paper)})."
    return told
