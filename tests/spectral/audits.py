"""Audits of small models, and the rows of one weight: what several test files ask for."""

from hearsay.spectral.columns import COLUMNS
from hearsay.spectral.report import audit

NUMBERS = [name for name, dtype in COLUMNS.items() if dtype == "float64"]


def audit_small(source, **options):
    return audit(source, convention=options.pop("convention", "paper"), **options)


def rows_of(frame, name):
    return frame[frame["name"] == name].to_dict("records")


def only(frame, name):
    (row,) = rows_of(frame, name)
    return row
