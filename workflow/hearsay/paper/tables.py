"""One table, written as CSV, Markdown, LaTeX and as the JSON that the result page shows.

The CSV holds every column in full precision; the others round as the columns say, and show where
a number comes from as a raised letter that the notes explain.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from hearsay.errors import InputError
from hearsay.files import write_text
from hearsay.paper.escape import markdown_text, tex_row, tex_text

EMPTY = "–"
Kind = Literal["text", "number", "difference", "count", "probability", "run"]

_FORMULA = ("=", "+", "-", "@", "\t", "\n")  # how a cell begins that a spreadsheet computes
_INTERVAL = re.compile(r"[-+−]?[\d.]+( to |–)[-+−]?[\d.]+ ?%?")  # only numbers


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    key : name in the CSV and in a row's cells.
    label : heading, plain text (Greek letters as such).
    kind : how a value is written; ``"difference"`` has its sign, ``"run"`` is a run record's id.
    group : heading above neighbouring columns that share it.
    decimals : of ``"number"`` and ``"difference"``.
    source : key of the cell that says where the number comes from, shown as a raised letter.
    shown : False keeps the column in the CSV only.
    wraps : whether the text is long and may take several lines.
    run : key of the cell with the id of the run that measured the column's values.
    """

    key: str
    label: str
    kind: Kind = "text"
    group: str = ""
    decimals: int = 3
    source: str = ""
    shown: bool = True
    wraps: bool = False
    run: str = "run"


@dataclass
class Row:
    """One row: `cells` by column key (None or NaN: no value), the `group` it stands in,
    `not_run`, the reason where nothing was measured, and whether it holds what was `given`: what
    a paper printed, what follows from that alone, or the text that was to be found.
    """

    cells: dict[str, Any]
    group: str = ""
    not_run: str = ""
    given: bool = False


@dataclass
class Table:
    """Columns, rows (neighbours of one group together) and notes (sentences below the table)."""

    columns: list[Column]
    rows: list[Row]
    notes: list[str] = field(default_factory=list)

    @property
    def shown(self) -> list[Column]:
        """The columns that are not for the CSV only."""
        return [column for column in self.columns if column.shown]

    @property
    def measured(self) -> list[Row]:
        """The rows that were run."""
        return [row for row in self.rows if not row.not_run]

    @property
    def absent(self) -> dict[str, list[Row]]:
        """The other rows, by the reason why they were not run."""
        reasons = dict.fromkeys(row.not_run for row in self.rows if row.not_run)
        return {why: [row for row in self.rows if row.not_run == why] for why in reasons}

    def sources(self) -> dict[str, str]:
        """Letter by source text, in order of appearance."""
        return {text: _letter(k) for k, text in enumerate(self.sources_of(self.rows))}

    def sources_of(self, rows: list[Row]) -> list[str]:
        """Source texts of `rows`, in order of appearance."""
        texts = [self.source_of(row, column) for row in rows for column in self.shown]
        return list(dict.fromkeys(filter(None, texts)))

    def source_of(self, row: Row, column: Column) -> str:
        """Source text of one cell, empty where it has none or no value."""
        if not column.source or is_missing(row.cells.get(column.key)):
            return ""
        return str(row.cells.get(column.source) or "")


def by_group(members: Iterable[Any]) -> list[tuple[str, list[Any]]]:
    """Neighbouring rows, or columns, of one group, in order."""
    return [(name, list(them)) for name, them in groupby(members, key=lambda one: one.group)]


def is_missing(value: Any) -> bool:
    """Whether a cell holds no value."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def plain(value: Any, column: Column) -> str:
    """Text of a cell in ASCII numbers (``-1.23``, ``+1.3e-06``); `EMPTY` where it has none."""
    if is_missing(value):
        return EMPTY
    if column.kind in ("text", "run"):
        return str(value)
    if column.kind == "count":
        return str(int(value))
    if column.kind == "probability":
        return f"{value:.2g}" if value < 0.995 else "1"
    sign = "+" if column.kind == "difference" else ""
    text = f"{value:{sign}.{column.decimals}f}"
    # A small difference is not nothing, and a rounded zero has no sign.
    if float(text) == 0 and column.kind == "difference" and value != 0:
        return f"{value:+.1e}"
    return text.replace("-", "").replace("+", "") if float(text) == 0 else text


def write_table(
    table: Table,
    *,
    csv_path: Path | None = None,
    markdown: Path | None = None,
    tex: Path | None = None,
    json_path: Path | None = None,
) -> None:
    """Write `table` to every path that is given."""
    writers: list[tuple[Path | None, Callable[[Table], str]]] = [
        (csv_path, as_csv),
        (markdown, as_markdown),
        (tex, as_tex),
        (json_path, as_json),
    ]
    for path, text in writers:
        if path is not None:
            write_text(path, text(table))


def as_csv(table: Table) -> str:
    """Every column, one header line, floats in full; the column ``not_run`` comes last.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*(column.key for column in table.columns), "not_run"])
    for row in table.rows:
        cells = [row.cells.get(column.key) for column in table.columns]
        shown = ["" if is_missing(cell) else _no_formula(cell) for cell in cells]
        writer.writerow([*shown, _no_formula(row.not_run)])
    return stream.getvalue()


def _no_formula(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    # The writer would not quote a lone \r, at which readers begin another row.
    cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{cell}" if cell.startswith(_FORMULA) and not _INTERVAL.fullmatch(cell) else cell


def as_markdown(table: Table) -> str:
    """A GitHub table with group rows in bold, then sources and notes."""
    columns, letters = table.shown, table.sources()
    heads = [f"{c.group}: {c.label}" if c.group else c.label for c in columns]
    lines = [_markdown_row([markdown_text(head) for head in heads])]
    lines.append(_markdown_row([":--" if c.kind in ("text", "run") else "--:" for c in columns]))
    for name, rows in by_group(table.rows):
        if name:
            lines.append(_markdown_row([f"**{markdown_text(name)}**"] + [""] * (len(columns) - 1)))
        for row in rows:
            cells = []
            for column in columns:
                text = markdown_text(_cell_text(row, column))
                source = table.source_of(row, column)
                cells.append(f"{text} ({letters[source]})" if source else text)
            lines.append(_markdown_row(cells))
    notes = [f"{letter}: {text}" for text, letter in letters.items()] + table.notes
    return "\n".join(lines + [""] + [f"- {markdown_text(note)}" for note in notes]).rstrip() + "\n"


def as_tex(table: Table) -> str:
    """A ``tabular`` in the booktabs style, no wider than the line, with its notes.

    Long text makes it a ``longtable``, which may run over pages. Captions and floats are the
    paper's.
    """
    columns, letters = table.shown, table.sources()
    long = sum(column.wraps for column in columns)
    wrapped = rf"p{{{0.54 / max(1, long):.2f}\linewidth}}"
    alignment = "".join(
        wrapped if c.wraps else "l" if c.kind in ("text", "run") else "r" for c in columns
    )
    lines = [
        r"% Needs \usepackage{booktabs,graphicx}.",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{alignment}}}",
        r"\toprule",
    ]
    if long:
        lines = [
            r"% Needs \usepackage{booktabs,longtable}.",
            r"{\footnotesize",
            rf"\begin{{longtable}}{{{alignment}}}",
            r"\toprule",
        ]
    if any(column.group for column in columns):
        spans, rules, start = [], [], 1
        for name, members in by_group(columns):
            width = len(members)
            spans.append(rf"\multicolumn{{{width}}}{{c}}{{{tex_text(name)}}}")
            if name:
                rules.append(rf"\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
        lines += [tex_row(spans), "".join(rules)]
    lines += [tex_row([tex_text(column.label) for column in columns]), r"\midrule"]
    lines += [r"\endhead"] if long else []
    newline = r"\\*" if long else r"\\"  # no new page below a group's name
    for position, (name, rows) in enumerate(by_group(table.rows)):
        if position:
            lines.append(r"\addlinespace")
        if name:
            lines.append(
                rf"\multicolumn{{{len(columns)}}}{{l}}{{\emph{{{tex_text(name)}}}}} {newline}"
            )
        for row in rows:
            cells = []
            for column in columns:
                text = _tex_cell(_cell_text(row, column), column)
                source = table.source_of(row, column)
                cells.append(rf"{text}\textsuperscript{{{letters[source]}}}" if source else text)
            lines.append(tex_row(cells))
    lines += [r"\bottomrule", r"\end{longtable}}" if long else r"\end{tabular}}"]
    notes = [f"{letter}: {text}." for text, letter in letters.items()] + table.notes
    if notes:
        lines.append(r"\par\medskip{\footnotesize\raggedright")
        lines += [tex_text(note) + r"\par" for note in notes] + ["}"]
    return "\n".join(lines) + "\n"


def as_json(table: Table) -> str:
    """The whole table, for `read_table`."""
    content = asdict(table)
    for row in content["rows"]:
        row["cells"] = {k: None if is_missing(v) else v for k, v in row["cells"].items()}
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def read_table(path: Path | str) -> Table:
    """Read what `as_json` wrote."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        columns = [Column(**column) for column in content["columns"]]
        rows = [Row(**row) for row in content["rows"]]
        return Table(columns, rows, content["notes"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: not a table of this project: {error}") from None


def _cell_text(row: Row, column: Column) -> str:
    """The last column of a row that was not run says why."""
    text = plain(row.cells.get(column.key), column)
    return row.not_run if column.kind == "run" and row.not_run else text


def _letter(k: int) -> str:
    return chr(ord("a") + k) if k < 26 else f"{_letter(k // 26 - 1)}{_letter(k % 26)}"


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tex_cell(text: str, column: Column) -> str:
    if text == EMPTY or column.kind in ("text", "run"):
        return tex_text(text)
    return "$" + re.sub(r"e([+-]\d+)$", lambda m: rf"\times10^{{{int(m[1])}}}", text) + "$"
