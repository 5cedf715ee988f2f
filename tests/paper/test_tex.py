"""Text of any kind in LaTeX: read back by a parser of LaTeX, and set by pdflatex."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from latex_text import (
    NOT_IN_T1,
    as_read,
    body_rows,
    compiled,
    read_back,
    without_compiler,
)

from hearsay.corpora.alphabets import ALPHABETS
from hearsay.paper.escape import tex_text
from hearsay.paper.tables import EMPTY, Column, Row, Table, as_tex

LETTERS = sorted({c for alphabet in ALPHABETS.values() for c in alphabet if c.isalpha()})
HOSTILE = st.text(
    st.one_of(
        st.sampled_from(list("[]*-–—`'\",?!<>\\{}$&#^_~%|αλ²‖W \u0301\u0308äÖfi")),
        st.characters(codec="utf-8"),
    ),
    max_size=30,
)


@given(HOSTILE)
@example("-- --- ``a'' ,,b ?` !` –- \"'")
@example("e\u0301 Ma\u0308rz")
@example(NOT_IN_T1)
@example("αλ λmax ‖W‖² α̂")
def test_a_parser_of_latex_reads_the_same_text(text):
    assert read_back(tex_text(text)) == as_read(text)


@given(st.lists(st.tuples(HOSTILE, HOSTILE, st.sampled_from(["", "[g]", "*g"])), max_size=4))
def test_a_parser_of_latex_finds_every_cell_of_a_table(rows):
    for wraps in (False, True):
        columns = [Column("a", "[a", wraps=wraps), Column("b", "*b")]
        table = Table(columns, [Row({"a": a, "b": b}, group) for a, b, group in rows])
        found = [[read_back(cell) for cell in row] for row in body_rows(as_tex(table))]
        assert found == [[as_read(a or EMPTY), as_read(b or EMPTY)] for a, b, _ in rows]


@pytest.mark.parametrize("text", ["[0.5, 1]", "*", "[x", "* a", "[", "*[1pt]"])
@pytest.mark.parametrize("group", ["", "a group"])
@pytest.mark.parametrize("wraps", [False, True])
def test_a_first_cell_is_no_option_of_the_line_before(text, group, wraps):
    columns = [Column("a", text, wraps=wraps), Column("b", "b")]
    table = Table(columns, [Row({"a": text, "b": "x"}, group), Row({"a": text, "b": "y"}, group)])
    lines = as_tex(table).splitlines()
    rows = [line for line in lines if line.endswith((r"& b \\", r"& x \\", r"& y \\"))]
    assert len(rows) == 3
    assert not [row for row in rows if row.startswith(("[", "*"))]
    assert [read_back(row.partition(" &")[0]) for row in rows] == [text] * 3


@without_compiler
def test_every_letter_and_every_hostile_cell_compiles(tmp_path):
    letters = "".join(LETTERS + [c.upper() for c in LETTERS])
    latin = "".join(chr(code) for code in range(0x20, 0x180))
    texts = [letters, unicodedata.normalize("NFD", letters), latin, NOT_IN_T1, "[0.5]", "*", "[x"]
    texts += ["-- ``a'' ,,b?` !`", "e\u0301 q\u0301 中 \u0301", "λmax α̂ ‖W‖² ∅ ≥≤×−–—’“”"]
    cells = [piece for text in texts for piece in re.findall(".{1,20}", text)]
    columns = [Column("a", "[a"), Column("b", "*b")]
    rows = [Row({"a": cell, "b": cell}, "[g]") for cell in cells]
    long = [Column("a", "[a", wraps=True), columns[1]]
    compiled(tmp_path, map(as_tex, [Table(columns, rows), Table(long, rows, cells)]))
    assert "Missing character" not in (tmp_path / "all.log").read_text("utf-8", "replace")
