"""What is asked of Tables 1 and 2 of the WaBERT paper: its claim, and more than hearing nothing."""

from collections.abc import Mapping, Sequence

from hearsay.paper.claims import Case, Told, together, verdict
from hearsay.paper.wabert import SURE, Measured, Published
from hearsay.paper.wabert_plans import WabertPlan

# Aligners that every trained one is compared with, and how their columns' keys end.
REFERENCES = {"constant alpha": "constant_alpha", "characters, energy": "characters"}


def claims_told(
    plans: Sequence[WabertPlan],
    measured: Mapping[str, Measured],
    published: Mapping[str, Published],
) -> Told:
    """The paper's claim, and whether what was trained is better than what hears nothing."""
    by_row = {
        p.published: measured[p.run] for p in plans if p.published and p.run and p.run in measured
    }
    ours = [by_row.get("CIF with L_cos"), by_row.get("CIF with L_InfoNCE")]
    cases = []
    if all(ours):
        a, b = (each.mean("mae") for each in ours if each is not None)
        if a is not None and b is not None:
            cases.append(Case(b < a, f"{b:.1f} against {a:.1f} ms"))
    told = [verdict("Aligning by InfoNCE is better than by cosines", cases, _papers(published))]
    trained = [measured[p.run] for p in plans if p.run and p.run in measured]
    for name in REFERENCES:
        found = [_against(each, name) for each in trained]
        claim = f"Every trained aligner is better than {name} (p < {SURE})"
        told.append(verdict(claim, [case for case in found if case]))
    return together(told)


def _papers(published: Mapping[str, Published]) -> list[Case]:
    cosine, nce = (published.get(f"CIF with L_{name}") for name in ("cos", "InfoNCE"))
    if cosine is None or nce is None:
        return []
    a, b = cosine.number("mean"), nce.number("mean")
    return [] if a is None or b is None else [Case(b < a, f"{b:.2f} against {a:.2f} ms")]


def _against(found: Measured, name: str) -> Case | None:
    less, p = found.mean(f"mae less {name}"), found.values(f"p against {name}")
    if less is None or not p:
        return None
    return Case(less < 0 and max(p) < SURE, f"{found.run} {less:+.1f} ms, p = {max(p):.2g}")
