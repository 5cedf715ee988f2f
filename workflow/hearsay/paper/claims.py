"""How a paper's claim is told with its verdict over measured values and over the paper's own."""

from collections.abc import Iterable
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
class Told:
    """Sentences, and one verdict for each check of a claim in them, in their order."""

    text: str
    verdicts: tuple[Verdict, ...] = ()

    def about(self, subject: str) -> Finding:
        """The finding on `subject` for a run record."""
        found: Finding = {"subject": subject, "text": self.text}
        return found | {"verdicts": list(self.verdicts)} if self.verdicts else found


@dataclass(frozen=True)
class Case:
    """One thing that a claim says: whether it holds, and the numbers."""

    holds: bool
    facts: str


def together(parts: Iterable[Told | str]) -> Told:
    """All `parts` that are not empty, one after the other; plain sentences have no verdict."""
    told = [Told(part) if isinstance(part, str) else part for part in parts]
    kinds = tuple(kind for part in told for kind in part.verdicts)
    return Told(" ".join(part.text for part in told if part.text), kinds)


def verdict_of(held: int, cases: int) -> Verdict:
    """What becomes of a claim that holds for `held` of so many `cases`."""
    if not cases:
        return "undecided"
    if not held:
        return "fail"
    return "hold" if held == cases else "partly"


def verdict(claim: str, cases: list[Case], paper: list[Case] | None = None) -> Told:
    """A claim, for how many cases it holds, the numbers, and how the paper's own values stand."""
    held = sum(case.holds for case in cases)
    kind = verdict_of(held, len(cases))
    told = f"{claim}: {UNCHECKED}."
    if cases:
        outcome = {"hold": "holds", "fail": "does not hold here"}.get(
            kind, f"holds for {held} of {len(cases)} only"
        )
        # Those against the claim come first, so that none is lost where not all are named.
        ordered = sorted(cases, key=lambda case: case.holds)
        facts = [case.facts for case in ordered[:MOST_TOLD]]
        if more := len(cases) - len(facts):
            facts.append(f"and {more} more")
        told = f"{claim}: {outcome} ({'; '.join(facts)})."
    if paper:
        told += f" In the paper's values: {sum(c.holds for c in paper)} of {len(paper)} "
        told += f"({'; '.join(case.facts for case in paper)})."
    return Told(told, (kind,))


def counted(n: int, what: str) -> str:
    """``1 subject``, ``2 subjects``."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def listed(names: list[str]) -> str:
    """``a, b and c``."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
