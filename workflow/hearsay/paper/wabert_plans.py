"""Planned rows of the tables of the WaBERT paper.

Light, as `hearsay.paper.plans`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from hearsay.paper.plans import RowPlan, check_published, from_json, plans_of, refuse_twice

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
    refuse_twice([plan.run for plan in plans if plan.run], option)
    check_published(plans, list(published), option)
    return plans
