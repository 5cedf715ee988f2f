"""The table writer: every format from one table, hostile text in each."""

import csv
import io
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay.errors import InputError
from hearsay.paper.escape import markdown_text, tex_text
from hearsay.paper.html_text import cell
from hearsay.paper.tables import (
    EMPTY,
    Column,
    Row,
    Table,
    as_csv,
    as_json,
    as_markdown,
    as_tex,
    plain,
    read_table,
    write_table,
)

HOSTILE = "<script>x_&%$#^{}|~`\\"
NUMBER = Column("value", "log λmax", "number", "α̂, mean", 2, source="where")
COLUMNS = [
    Column("model", "Model"),
    NUMBER,
    Column("change", "difference", "difference", "α̂, mean", 4),
    Column("where", "Source", shown=False),
    Column("run", "Run", "run"),
]


@pytest.fixture
def table():
    rows = [
        Row({"model": HOSTILE, "value": 1 / 3, "change": 1.3e-6, "where": "a, 50 %"}, "A & B"),
        Row({"model": "b", "value": None, "change": math.nan, "where": "a, 50 %"}, "A & B"),
        Row({"model": "c", "value": -2.0, "change": -0.5, "where": "other", "run": "12ab"}, "C"),
        Row({"model": "d"}, "C", "not run: licence"),
    ]
    return Table(COLUMNS, rows, ["A note with p < 0.05 & λmax."])


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "number", EMPTY),
        (math.nan, "count", EMPTY),
        ("", "text", EMPTY),
        (-1.2345, "number", "-1.234"),
        (-0.0001, "number", "0.000"),
        (0.25, "difference", "+0.250"),
        (0.0, "difference", "0.000"),
        (-1.34e-6, "difference", "-1.3e-06"),
        (12.0, "count", "12"),
        (1 / 12, "probability", "0.083"),
        (1.0, "probability", "1"),
        (2 / 40320, "probability", "5e-05"),
    ],
)
def test_plain_numbers(value, kind, text):
    assert plain(value, Column("x", "x", kind)) == text


def test_html_numbers_have_a_true_minus_and_powers():
    assert cell(-1.5, NUMBER) == "−1.50"
    assert cell(-1.3e-6, Column("x", "x", "difference")) == (
        "−1.3\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10<sup>−6</sup>"
    )
    assert cell(HOSTILE, COLUMNS[0]).startswith("&lt;script&gt;")


def test_csv_keeps_every_column_and_digit(table):
    rows = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert list(rows[0]) == ["model", "value", "change", "where", "run", "not_run"]
    assert float(rows[0]["value"]) == 1 / 3
    assert rows[0]["model"] == HOSTILE
    assert rows[1]["value"] == rows[1]["change"] == ""
    assert rows[3] == {
        "model": "d",
        "value": "",
        "change": "",
        "where": "",
        "run": "",
        "not_run": "not run: licence",
    }


def test_markdown_has_one_cell_per_column_and_no_markup_of_names(table):
    lines = as_markdown(table).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {4 + 2}
    assert "<" not in "".join(lines)
    assert r"&lt;script&gt;x\_&amp;%$#^{}\|\~\`\\" in as_markdown(table)
    assert "0.33 (a)" in as_markdown(table)
    assert "not run: licence" in rows[-1]
    assert lines[-1] == "- A note with p &lt; 0.05 &amp; λmax."


def test_tex_is_balanced_and_escaped(table):
    text = as_tex(table)
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith(r" \\")]
    for row in rows:
        spans = sum(int(n) - 1 for n in re.findall(r"\\multicolumn{(\d+)}", row))
        assert len(re.findall(r"(?<!\\)&", row)) + spans == 3, row
    plain_text = re.sub(r"\\[&%$#_{}]", "", text)
    assert plain_text.count("$") % 2 == 0
    assert plain_text.count("{") == plain_text.count("}")
    assert not re.search(r"(?m)(?<!\\)[#^](?![^$]*\$)", body)
    assert r"\textless{}script\textgreater{}x\_\&\%\$\#" in text
    assert r"$+1.3\times10^{-6}$" in text
    assert r"$0.33$\textsuperscript{a}" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"$\hat{\alpha}$, mean" in text
    assert text.isascii()


@given(st.text())
def test_escaped_text_is_one_line_of_safe_characters(text):
    for escaped in (tex_text(text), markdown_text(text)):
        assert "\n" not in escaped
    # Braces alone keep apart two characters that would be set as another one.
    commands = re.sub(r"\\[a-zA-Z]+{}|\\[&%$#_{}]|\$[^$]*\$|{}", "", tex_text(text))
    assert not set(commands) & set('\\{}&%$#_~^<>|"')


def test_json_gives_the_same_table_back(table, tmp_path):
    write_table(table, json_path=tmp_path / "t.json")
    again = read_table(tmp_path / "t.json")
    assert again.columns == table.columns
    assert as_csv(again) == as_csv(table)
    assert as_json(again) == as_json(table)
    assert again.absent == {"not run: licence": [again.rows[3]]}


@pytest.mark.parametrize("text", ["", "{}", '{"columns": [{"name": 1}], "rows": [], "notes": []}'])
def test_other_json_is_refused_by_name(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=r"t\.json: not a table"):
        read_table(tmp_path / "t.json")


def test_sources_get_letters_in_order_and_only_with_a_value(table):
    assert table.sources() == {"a, 50 %": "a", "other": "b"}
    assert table.sources_of([table.rows[1]]) == []
