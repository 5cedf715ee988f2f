"""Planned rows of a table: which run stands beside which published row.

Light: imports neither numpy nor pandas, so that a run's plan is checked by what its steps check.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from hearsay.errors import InputError


@dataclass(frozen=True)
class RowPlan:
    """One row of a table.

    Attributes
    ----------
    run : name of the run, or None for a published row that nothing was run for.
    published : row of the published file that it stands beside, or None.
    title : of the run, a few words.
    why : ``not run: …``, where there are no scores of it.
    seeds : that the configuration asks for; empty where it does not say.
    """

    run: str | None = None
    published: str | None = None
    title: str = ""
    why: str = ""
    seeds: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What the run is called in sentences and beside points."""
        return self.title or self.run or self.published or ""


def from_json(text: str, option: str) -> Any:
    """What the JSON text of `option` holds."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise InputError(f"{option}: not JSON: {error}") from None


Plan = TypeVar("Plan", bound=RowPlan)


def plans_of(
    entries: Any,
    option: str,
    kind: type[Plan],
    form: str = '{"run": …, "published": …, "title": …}',
) -> list[Plan]:
    """Check the rows of a table: a list of the fields of `kind`, in the order of the rows.

    Raises
    ------
    InputError
        for what is no such list, a value of another type than the field's, a row of neither run nor
        published values, and a reason that does not begin with ``not run``.
    """
    try:
        plans = [kind(**{**entry, "seeds": tuple(entry.get("seeds") or ())}) for entry in entries]
    except (TypeError, AttributeError) as error:
        raise InputError(f"{option}: not a list of {form}: {error}") from None
    for plan in plans:
        values = asdict(plan)
        if not all(type(seed) is int for seed in values.pop("seeds")):
            raise InputError(f"{option}: seeds are whole numbers, not {list(plan.seeds)}")
        for key, value in values.items():
            if isinstance(getattr(kind, key, None), bool):
                if not isinstance(value, bool):
                    raise InputError(f"{option}: {key} is true or false, not {value!r}")
            elif value is not None and not isinstance(value, str):
                raise InputError(f"{option}: {key} of a row is text, not {value!r}")
        if not (plan.run or plan.published):
            raise InputError(f"{option}: a row names neither a run nor a published row")
        if plan.why and not plan.why.startswith("not run"):
            raise InputError(f'{option}: why begins with "not run", not {plan.why!r}')
    return plans


def refuse_twice(names: Sequence[str], option: str) -> None:
    """Refuse names of which one stands there more than once."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{option}: named twice: {', '.join(twice)}")


def settings_of(plans: Sequence[RowPlan]) -> list[dict[str, Any]]:
    """`plans` for a run record."""
    return [asdict(plan) for plan in plans]


def check_published(plans: Sequence[RowPlan], known: list[str], option: str = "--rows") -> None:
    """Refuse rows that stand beside a published row that is not among `known`, the table's."""
    if unknown := [plan for plan in plans if plan.published and plan.published not in known]:
        raise InputError(
            f"{option}: {unknown[0].name}: the table has no published row {unknown[0].published}; "
            f"it has {', '.join(known) or 'none'}"
        )


def read_plans(text: str, *, option: str = "--rows") -> list[RowPlan]:
    """Read ``[{"run": …, "published": …, "title": …}, …]``, in the order of the rows."""
    return plans_of_corpus(from_json(text, option), option)


def plans_of_corpus(entries: Any, option: str) -> list[RowPlan]:
    """Check the rows of one corpus, of which no run may be named twice; errors as `plans_of`."""
    plans = plans_of(entries, option, RowPlan)
    refuse_twice([plan.run for plan in plans if plan.run], option)
    return plans
