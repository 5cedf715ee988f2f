"""What LaTeX says of a text, read by a parser of LaTeX, and what it must say."""

import re
import shutil
import subprocess
import unicodedata

import pytest
from pylatexenc.latex2text import LatexNodes2Text, MacroTextSpec, get_default_latex_context_db
from pylatexenc.latexwalker import (
    LatexEnvironmentNode,
    LatexMacroNode,
    LatexSpecialsNode,
    LatexWalker,
)

COMPILER = shutil.which("pdflatex")
without_compiler = pytest.mark.skipif(
    COMPILER is None, reason="no pdflatex (Debian: texlive-latex-recommended)"
)
LINES = {"toprule", "midrule", "bottomrule", "cmidrule", "addlinespace", "endhead"}
NOT_IN_T1 = "ĦħĸĿŀŉŦŧſ"
# What is set on purpose as something else: curly for straight marks, and mathematics.
AS_SET = {
    "’": "'",
    '"': "”",
    "λmax": "λ_max",
    "‖W‖²": "‖W‖_F^2",
    "²": "^2",
    "−": "-",
}
# Macros of LaTeX's kernel that the parser leaves out, or reads as accents.
NOT_KNOWN_TO_IT = {
    "|": "‖",
    "max": "max",
    "textbar": "|",
    "textless": "<",
    "textgreater": ">",
    "textasciicircum": "^",
    "textasciitilde": "~",
}


def read_back(tex):
    """The text that a parser of LaTeX finds."""
    context = get_default_latex_context_db()
    own = [MacroTextSpec("hat", lambda node, l2tobj: f"{l2tobj.node_arg_to_text(node, 0)}\u0302")]
    own += [MacroTextSpec(name, text) for name, text in NOT_KNOWN_TO_IT.items()]
    context.add_context_category("own", prepend=True, macros=own)
    converter = LatexNodes2Text(latex_context=context, math_mode="text", strict_latex_spaces=True)
    return converter.latex_to_text(tex, tolerant_parsing=False)


def as_read(text):
    """What a reader of LaTeX must find for a text."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    text = "".join(c if known(c) else f"U+{ord(c):04X}" for c in split_marks(text))
    for plain, shown in AS_SET.items():
        text = text.replace(plain, shown)
    return text


def known(piece):
    """Whether a character stands as itself."""
    if len(piece) > 1 or piece in "αλτσ‖²∅≥≤×−–—’“”":
        return True
    return piece.isprintable() and ord(piece) < 0x180 and piece not in NOT_IN_T1


def split_marks(text):
    """Characters, with the one pair of two that the tables' headings know kept whole."""
    return re.findall("α\u0302|.", text, re.S)


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


def body_rows(text):
    """Cells of the rows below the head, as LaTeX; names of groups are left out."""
    inside = environment(text).latex_verbatim()
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert inside.count(rule) == 1, rule
    body = inside[inside.index(r"\midrule") : inside.index(r"\bottomrule")]
    nodes, _, _ = LatexWalker(body + r"\relax", tolerant_parsing=False).get_latex_nodes()
    return [row for row in rows_of(nodes) if r"\multicolumn" not in row[0]]


def compiled(folder, body):
    """Set a document with the lines of `body` as all.pdf in `folder`; a test fails if it stops."""
    document = [
        r"\documentclass{article}",
        r"\usepackage[T1]{fontenc}",
        r"\usepackage{booktabs,graphicx,longtable}",
        r"\begin{document}",
        *body,
        r"\end{document}",
    ]
    (folder / "all.tex").write_text("\n".join(document), encoding="utf-8")
    done = subprocess.run(
        [COMPILER, "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
