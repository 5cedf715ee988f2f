"""Planned rows of the tables of the WaBERT paper.

Light, as `hearsay.paper.plans`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hearsay.errors import InputError
from hearsay.paper.plans import RowPlan, check_published, from_json, plans_of

FORM = '{"run": …, "published": …, "title": …, "why": …, "seeds": […], "note": …}'


@dataclass(frozen=True)
class WabertPlan(RowPlan):
    """One row.

    Attributes
    ----------
    note : what stands in for what.
    comparable : parts, with spaces between, on which it is measured as the paper was.
    """

    note: str = ""
    comparable: str = ""

    def compared(self, part: str) -> bool:
        """Whether its numbers on `part` and the paper's are of the same."""
        return part in self.comparable.split()


def read_plans(text: str, published: Iterable[str], option: str = "--rows") -> list[WabertPlan]:
    """Read ``[{"run": …, "published": …}, …]``, in order; `published` has the paper's own rows.

    Raises
    ------
    InputError
        for what is no such list, a run that is named twice, and a published row that is not the
        table's.
    """
    plans = plans_of(from_json(text, option), option, WabertPlan, FORM)
    runs = [plan.run for plan in plans if plan.run]
    if twice := sorted({run for run in runs if runs.count(run) > 1}):
        raise InputError(f"{option}: named twice: {', '.join(twice)}")
    check_published(plans, list(published), option)
    return plans
