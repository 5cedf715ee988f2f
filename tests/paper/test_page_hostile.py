"""Any text in any cell, name or record is text on the page and in the tables, and nothing else."""

import csv
import io
import json
import tempfile
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hearsay.lineage import RECORD_PARTS
from hearsay.paper.manifest import read_manifest
from hearsay.paper.page import build_page
from hearsay.paper.tables import Column, Row, Table, as_csv, as_json

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% for x in y %}",
    "' onmouseover='alert(1)",
    "<!--",
    "]]>",
    "&lt;script&gt;",
    "λmax <b>1e-5</b> = x × <i>",
    "</td></table><iframe>",
]
TEXT = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    st.text("<>&\"'/=! -scriptonxe{}%`", max_size=40),
)
ALLOWED = {"script": 1, "style": 1}  # the page's own


class Seen(HTMLParser):
    """All elements and what they would load or run."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes = {}, []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    handle_startendtag = handle_starttag


def write_rows(path, *rows):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def page_of(folder, text):
    """A page with `text` wherever data go."""
    table = Table(
        [Column("a", text or "A"), Column("b", "B", "number"), Column("r", "run", "run")],
        [
            Row({"a": text, "b": 1.0, "r": text}, group=text),
            Row({"a": text, "b": None, "r": ""}, not_run=text or "no"),
        ],
        [text],
    )
    (folder / "t.json").write_text(as_json(table), encoding="utf-8")
    (folder / "t.csv").write_text(as_csv(table), encoding="utf-8")
    record = dict.fromkeys(RECORD_PARTS, text) | {
        "id": text,
        "settings": {text: [text, {text: text}]},
        "inputs": [{"path": text, "sha256": text}],
        "versions": {text: text},
        "hardware": {"host": text, "cpu": text, "platform": text, "cores": 1, "gpu": [text]},
        "wall_seconds": 1.5,
        "finished": "2026-01-01T00:00:00+00:00",
        "findings": [{"subject": text, "text": text}],
        "more": {text: text},
    }
    (folder / "r.run.json").write_text(json.dumps(record), encoding="utf-8")
    item = {"label": f"{text} 1", "title": text or "t", "table": str(folder / "t.json")}
    item |= {"record": str(folder / "r.run.json"), "files": [str(folder / "t.csv")]}
    absent = {"label": f"{text} 2", "title": text or "u", "not_run": text or "no"}
    (folder / "c.wav").write_bytes(b"RIFF")
    entry = {"id": text, "audio_filepath": "c.wav", "duration": 2.0, "text": text}
    (folder / "c.jsonl").write_text(json.dumps(entry), encoding="utf-8")
    write_rows(folder / "w.csv", ["id", "word", "start_s", "end_s"], [text, text, 0.5, 1.0])
    write_rows(folder / "h.csv", ["test", "id", "hypothesis"], [text, text, text])
    heard = [[text, str(folder / "w.csv")], [text, str(folder / "h.csv")]]
    clips = {"title": text, "manifest": str(folder / "c.jsonl"), "heard": heard, "test": text}
    section = {"id": "a", "title": text or "t", "authors": text, "items": [item, absent]}
    section["clips"] = [clips]
    manifest = {"title": text or "t", "configuration": text, "sections": [section]}
    manifest["command"] = text
    return build_page(read_manifest(json.dumps(manifest)), folder / "index.html")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return Seen(page_of(tmp_path_factory.mktemp("plain"), "word"))


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=TEXT)
@example(text=HOSTILE[0])
@example(text=HOSTILE[1])
def test_no_text_becomes_markup(plain, text):
    with tempfile.TemporaryDirectory() as folder:
        seen = Seen(page_of(Path(folder), text))
    for tag, allowed in ALLOWED.items():
        assert seen.tags.get(tag, 0) <= allowed
    # Symbols and powers of numbers are set as such.
    assert set(seen.tags) <= set(plain.tags) | {"i", "sub", "sup", "b", "br"}
    names = {(tag, name) for tag, name, _ in plain.attributes}
    names.add(("th", "data-value"))  # a number, where the column of names is empty
    assert {(tag, name) for tag, name, _ in seen.attributes} <= names
    for _, name, value in seen.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "action", "srcdoc"):
            assert (
                value.startswith(("#", "data:text/", "data:audio/wav;")) or value == "data:,"
            )  # no icon


@given(
    text=TEXT | st.sampled_from(["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "=cmd|' /C x'!A0"])
)
def test_no_text_becomes_a_formula(text):
    """In the CSV files of tables, which people open in spreadsheets; numbers stay numbers."""
    table = Table([Column("a", "A"), Column("b", "B", "number")], [Row({"a": text, "b": -1.5})])
    header, row = list(csv.reader(io.StringIO(as_csv(table), newline="")))[:2]
    assert header == ["a", "b", "not_run"]
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    assert row[0].removeprefix("'") == lines.removeprefix("'")
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row[1] == "-1.5"
