"""The demo's tables as LaTeX: read by a parser of LaTeX, held against the CSV's table, compiled."""

import re
import shutil
import subprocess

import pytest
from pylatexenc.latexwalker import (
    LatexEnvironmentNode,
    LatexMacroNode,
    LatexSpecialsNode,
    LatexWalker,
)

from hearsay.paper.tables import is_missing, plain, read_table

pytestmark = pytest.mark.demo

LINES = {"toprule", "midrule", "bottomrule", "cmidrule", "addlinespace", "endhead"}
COMPILER = shutil.which("pdflatex")


@pytest.fixture(scope="module")
def tables(demo):
    """LaTeX and table by name."""
    folder = demo / "results" / "demo" / "tables"
    return {
        path.stem: (path, read_table(path.with_suffix(".json"))) for path in folder.glob("*.tex")
    }


def environment(text):
    """The tabular or longtable of a file, and its nodes; the parser refuses what is unbalanced."""
    nodes, _, _ = LatexWalker(text, tolerant_parsing=False).get_latex_nodes()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, LatexEnvironmentNode) and node.environmentname in (
            "tabular",
            "longtable",
        ):
            return node
        waiting += getattr(node, "nodelist", None) or []
    raise AssertionError("no tabular and no longtable")


def rows_of(nodes):
    """Texts of cells, row by row; rules between them are left out."""
    rows, cells = [], [""]
    for node in nodes:
        if isinstance(node, LatexMacroNode) and node.macroname == "\\":
            rows.append([cell.strip() for cell in cells])
            cells = [""]
        elif isinstance(node, LatexMacroNode) and node.macroname in LINES:
            cells[-1] += node.macro_post_space
        elif isinstance(node, LatexSpecialsNode) and node.specials_chars == "&":
            cells.append("")
        else:
            cells[-1] += node.latex_verbatim()
    return rows


def test_every_table_has_its_rows_columns_and_numbers(tables):
    assert len(tables) >= 15
    for name, (path, table) in tables.items():
        node = environment(path.read_text("utf-8"))
        text = node.latex_verbatim()
        for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert text.count(rule) == 1, (name, rule)
        body = text[text.index(r"\midrule") + len(r"\midrule") : text.index(r"\bottomrule")]
        nodes, _, _ = LatexWalker(body + r"\relax", tolerant_parsing=False).get_latex_nodes()
        rows = [row for row in rows_of(nodes) if r"\multicolumn" not in row[0]]
        assert len(rows) == len(table.rows), name
        for cells, row in zip(rows, table.rows, strict=True):
            assert len(cells) == len(table.shown), (name, cells)
            for cell, column in zip(cells, table.shown, strict=True):
                value = row.cells.get(column.key)
                if column.kind in ("number", "difference", "count") and not is_missing(value):
                    found = re.search(r"\$([^$]*)\$", cell)
                    assert found, (name, cell)
                    number = re.sub(r"\\times10\^\{(-?\d+)\}", r"e\1", found[1])
                    assert float(number) == float(plain(value, column)), (name, cell)


@pytest.mark.skipif(COMPILER is None, reason="no pdflatex (Debian: texlive-latex-recommended)")
def test_all_tables_compile(tables, tmp_path):
    document = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{booktabs,graphicx,longtable}",
        r"\begin{document}",
    ]
    for path, _ in tables.values():
        document += [rf"\input{{{path}}}", r"\clearpage"]
    (tmp_path / "all.tex").write_text("\n".join([*document, r"\end{document}"]), encoding="utf-8")
    done = subprocess.run(
        [COMPILER, "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert (tmp_path / "all.pdf").stat().st_size > 10_000
