"""Cells, symbols and prose as HTML for the result page."""

import json
import re
from pathlib import Path
from typing import Any

from docutils.core import publish_parts
from docutils.utils import SystemMessage
from docutils.writers.html5_polyglot import Writer
from markupsafe import Markup, escape

from hearsay.errors import InputError
from hearsay.paper.tables import Column, plain
from hearsay.provenance import ROOT

REPORT = ROOT / "workflow" / "report"


def symbols(text: str) -> Markup:
    """`text` escaped, with the symbols of the papers' tables set as such.

    Negative numbers get a true minus, and powers of ten are raised.
    """
    safe = str(escape(text))
    safe = safe.replace("λmax", "<i>λ</i><sub>max</sub>").replace("‖W‖²", "‖<i>W</i>‖²<sub>F</sub>")
    safe = re.sub(r"(^|[\s(])-(?=\d)", r"\1−", safe)
    safe = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-])0*(\d+)(?!\w)", _power, safe)
    return Markup(re.sub(r" ([=×]) ", "\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}", safe))


def _power(match: re.Match[str]) -> str:
    sign = "−" if match[2] == "-" else ""
    return f"{match[1]} × 10<sup>{sign}{match[3]}</sup>"


def cell(value: Any, column: Column) -> Markup:
    """A table cell."""
    return symbols(plain(value, column))


def pretty_json(value: Any, indent: str = "") -> str:
    """Settings as the record holds them; what is short enough stands on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(line) <= 80:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        parts = [pretty_json(one, inner) for one in value]
    else:
        parts = [f"{json.dumps(key)}: {pretty_json(one, inner)}" for key, one in value.items()]
    body = ",\n".join(inner + part for part in parts)
    opening, closing = "[]" if isinstance(value, list) else "{}"
    return f"{opening}\n{body}\n{indent}{closing}"


def short_commit(commit: str) -> str:
    """The first digits of a commit, and whether the checkout was changed."""
    name, dirty, _ = commit.partition("-dirty")
    return (name if " " in name else name[:10]) + dirty


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is readable."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def prose(path: Path | None) -> Markup:
    """HTML of a reStructuredText file; nothing in it may include a file or raw HTML.

    A relative path starts at `workflow/report` of the checkout that this code runs from.
    """
    if path is None:
        return Markup()
    path = REPORT / path
    options = {
        "_disable_config": True,  # a docutils.conf of the user's changes nothing
        "halt_level": 2,
        "report_level": 5,
        "file_insertion_enabled": False,
        "raw_enabled": False,
        "initial_header_level": 4,
    }
    try:
        text = path.read_text(encoding="utf-8")
        return Markup(publish_parts(text, writer=Writer(), settings_overrides=options)["body"])
    except (OSError, SystemMessage) as error:
        raise InputError(f"{path}: cannot be shown: {error}") from None
