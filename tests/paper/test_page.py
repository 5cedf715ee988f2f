"""The result page: self-contained, accessible in structure, honest about what is missing."""

import base64
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest

from hearsay.cluster.usage import Use, write_usage
from hearsay.errors import InputError
from hearsay.paper import capacity_figure2, capacity_figure4, capacity_table1, capacity_table2
from hearsay.paper.html_text import prose, symbols
from hearsay.paper.inline_svg import read_figure
from hearsay.paper.manifest import read_manifest
from hearsay.paper.page import build_page, main

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect"}


class Structure(HTMLParser):
    """Elements with their attributes and text; fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.elements, self._open = [], []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        element = {"tag": tag, "text": "", **dict(attrs)}
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.elements.append({"tag": tag, "text": "", **dict(attrs)})

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self._open.pop()["tag"] == tag

    def handle_data(self, data):
        for element in self._open:
            element["text"] += data

    def all(self, *tags):
        return [element for element in self.elements if element["tag"] in tags]


@pytest.fixture(scope="module")
def results(study):
    """The study with tables and figures drawn, and the manifest of its page."""
    common = {"summary": study.summary, "published": study.published, "models": study.models}
    items = []
    for number, step in ((1, capacity_table1), (2, capacity_table2)):
        stem = study.root / "tables" / f"capacity_table{number}"
        paths = {kind: stem.with_suffix(f".{kind}") for kind in ("csv", "tex", "json")}
        markdown, run = stem.with_suffix(".md"), stem.with_suffix(".run.json")
        step.main(**common, **paths, markdown=markdown, run=run)
        items.append(
            {
                "label": f"Table {number}",
                "title": f"Number {number} & <b>",
                "table": str(paths["json"]),
                "caption": str(study.report / f"capacity_table{number}.rst"),
                "record": str(run),
                "files": [str(paths["csv"]), str(markdown), str(paths["tex"])],
            }
        )
    for number, step in ((2, capacity_figure2), (4, capacity_figure4)):
        stem = study.root / "figures" / f"figure {number}"
        paths = {kind: stem.with_suffix(f".{kind}") for kind in ("svg", "png")}
        run = stem.with_suffix(".run.json")
        if number == 2:
            step.main(**common, **paths, run=run)
        else:
            pair = {"baseline": study.audits[2], "other": study.audits[1]}
            step.main(**pair, **paths, run=run)
        items.append(
            {
                "label": f"Figure {number}",
                "title": "Drawn",
                "figure": str(paths["svg"]),
                "caption": str(study.report / f"capacity_figure{number}.rst"),
                "record": str(run),
                "files": [str(paths["png"])],
            }
        )
    items.append({"label": "Table 9", "title": "Absent", "not_run": "not run: licence"})
    return {
        "title": "hearsay",
        "configuration": "demo",
        "about": str(study.report / "workflow.rst"),
        "command": "snakemake --cores 1",
        "sections": [
            {
                "id": "capacity",
                "title": "Universality & capacity",
                "authors": "Martin and Mahoney",
                "text": str(study.report / "capacity.rst"),
                "items": items,
                "records": [str(path) for path in sorted(study.folder.glob("*.run.json"))],
            }
        ],
    }


@pytest.fixture(scope="module")
def page(study, results):
    out = study.root / "index.html"
    main(manifest=json.dumps(results), out=out)
    return out


@pytest.fixture(scope="module")
def structure(page):
    return Structure(page.read_text(encoding="utf-8"))


def test_nothing_is_loaded_from_elsewhere(page, structure):
    text = page.read_text(encoding="utf-8")
    assert not structure.all("img", "iframe", "object", "embed", "base", "image", "foreignobject")
    assert [e["href"] for e in structure.all("link")] == ["data:,"]
    assert all("src" not in element for element in structure.all("script"))
    for element in structure.elements:
        assert not [name for name in element if name.startswith("on")]
        target = element.get("href", "#")
        assert target.startswith(("#", "data:")) or not re.match(r"[a-z]+:|//|/", target)
    css = structure.all("style")[0]["text"]
    assert "url(" not in css
    assert "@import" not in css
    # Raised letters are positioned; without this they would widen the page beyond a phone.
    assert re.search(r"\.scroll {[^}]*position: relative", css)
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {
        f"#{element['id']}" for element in structure.all("clippath")
    }


def test_ids_are_unique_and_every_inner_link_leads_somewhere(structure):
    ids = [element["id"] for element in structure.elements if "id" in element]
    assert len(ids) == len(set(ids))
    inner = [e["href"][1:] for e in structure.elements if e.get("href", "").startswith("#")]
    assert len(inner) > 50
    assert set(inner) <= set(ids)
    for name in ("aria-labelledby", "aria-describedby"):
        assert {element[name] for element in structure.elements if name in element} <= set(ids)


def test_every_measured_row_links_to_its_run(study, structure):
    links = [e for e in structure.all("a") if e.get("href", "").startswith("#run-")]
    runs = {e["href"] for e in links if e.get("class") != "from"}  # those are of findings
    records = [json.loads(path.read_text()) for path in study.folder.glob("*.run.json")]
    assert runs == {f"#run-{record['id']}" for record in records}
    cells = {e["data-run"] for e in structure.all("td") if "data-run" in e}
    assert {f"#run-{run}" for run in cells} <= {e["href"] for e in links}
    assert len(cells) >= len(records) - 1
    details = [e for e in structure.all("details") if e.get("class") == "record"]
    assert len(details) == 4 + len(records)
    for record in records:
        (shown,) = [e for e in details if e["id"] == f"run-{record['id']}"]
        for part in ("code", "commit", "finished"):
            assert record[part] in shown["text"]
        assert record["inputs"][0]["sha256"] in shown["text"]
        assert f"numpy {record['versions']['numpy']}" in shown["text"]
        assert f"snakemake --cores 1 -f {study.folder.parent.parent}" not in shown["text"]  # quoted
        assert "snakemake --cores 1 -f '" in shown["text"]


def test_tables_are_labelled_and_no_cell_is_empty(structure):
    cells = structure.all("td", "th")
    assert len(cells) > 300
    assert all(cell["text"].strip() for cell in cells)
    assert all(cell.get("scope") for cell in structure.all("th"))
    for region in [e for e in structure.elements if e.get("class") == "scroll"]:
        assert region["role"] == "region"
        assert region["tabindex"] == "0"


def test_rows_that_were_not_run_stand_apart_with_their_reason(structure):
    (rows,) = [e for e in structure.all("details") if e.get("class") == "rows"]
    assert "Not run: not in this configuration (27 rows)" in rows["text"]
    assert "resnet152" in rows["text"]
    assert "measured" not in rows["text"]
    (absent,) = [e for e in structure.all("p") if e.get("class") == "not-run"]
    assert absent["text"] == "not run: licence"


def test_figures_are_described(structure):
    figures = [e for e in structure.elements if e.get("role") == "img"]
    assert len(figures) == 2
    assert "tiny-4: mean α" in figures[1]["aria-label"]
    assert all(e["aria-hidden"] == "true" for e in structure.all("svg"))
    assert len(structure.all("svg")) == 3


def test_summary_holds_every_finding(structure, results):
    (summary,) = [e for e in structure.all("dl") if e.get("class") == "findings"]
    normal = " ".join(summary["text"].split())
    for item in results["sections"][0]["items"][:2]:
        for finding in json.loads(Path(item["record"]).read_text())["findings"]:
            shown = symbols(finding["text"]).striptags()
            assert " ".join(shown.split()) in normal


def test_the_glance_counts_rows_and_leads_to_every_item(structure, results):
    (glance,) = [e for e in structure.all("section") if e.get("class") == "glance"]
    assert "27 were not run" in " ".join(glance["text"].split())
    (contents,) = structure.all("nav")
    assert "Not run1 of 5 tables and figures" in contents["text"].replace("\n", "")
    targets = [e["href"] for e in structure.all("a") if e["text"].startswith(("Table", "Figure"))]
    assert targets == [
        f"#capacity-{i['label'].lower().replace(' ', '-')}" for i in results["sections"][0]["items"]
    ]


def test_the_search_is_labelled_and_its_count_announced(structure):
    (field,) = structure.all("input")
    (label,) = structure.all("label")
    assert label["for"] == field["id"]
    (output,) = structure.all("output")
    assert output["aria-live"] == "polite"


def test_cells_sort_by_their_value_and_not_by_its_text(structure):
    numbers = [e for e in structure.all("td") if e.get("class") == "n" and e["text"] != "–"]
    assert len(numbers) > 100
    assert sum("data-value" in e for e in numbers) == len(numbers)
    headings = [e for e in structure.all("th") if e.get("scope") == "col"]
    assert all(e["data-column"].isdigit() for e in headings)


def test_hostile_names_are_text(study, page, structure):
    text = page.read_text(encoding="utf-8")
    assert "<script>x_" not in text
    assert study.hostile in {cell["text"] for cell in structure.all("th")}
    assert len(structure.all("script")) == 1
    assert "Number 1 & <b>" in structure.all("figcaption")[0]["text"]
    assert "<i>small_" not in text


def test_downloads_work_from_the_file_alone_or_beside_it(study, page, structure):
    links = [e for e in structure.all("a") if e["text"] in ("CSV", "MD", "TEX", "PNG")]
    assert [link["text"] for link in links] == ["CSV", "MD", "TEX"] * 2 + ["PNG"] * 2
    for link in links[:6]:
        content = base64.b64decode(link["href"].partition("base64,")[2])
        assert content == (study.root / "tables" / link["download"]).read_bytes()
    assert links[6]["href"] == "figures/figure%202.png"
    assert (page.parent / unquote(links[6]["href"])).is_file()


def test_language_viewport_and_schemes(page, structure):
    assert page.read_text(encoding="utf-8").lstrip().startswith("<!DOCTYPE html>")
    (root,) = structure.all("html")
    assert root["lang"] == "en-GB"
    names = {e.get("name"): e.get("content") for e in structure.all("meta")}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert names["color-scheme"] == "light dark"
    levels = [int(e["tag"][1]) for e in structure.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_same_input_same_bytes(page, results, study):
    again = build_page(read_manifest(json.dumps(results)), study.root / "index.html")
    assert again == page.read_text(encoding="utf-8")


def test_manifest_may_be_a_file_and_parts_may_be_missing(tmp_path, results):
    section = {"id": "one", "title": "Only prose", "items": []}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"title": "t", "sections": [section]}))
    main(manifest=str(path), out=tmp_path / "deep" / "index.html")
    shown = Structure((tmp_path / "deep" / "index.html").read_text())
    assert not shown.all("table", "figure", "details", "nav")
    other = {**results["sections"][0], "id": "two", "items": results["sections"][0]["items"][2:]}
    path.write_text(json.dumps({"title": "t", "sections": [section, other]}))
    main(manifest=str(path), out=tmp_path / "index.html")
    shown = Structure((tmp_path / "index.html").read_text())
    assert not shown.all("table")
    (contents,) = shown.all("nav")
    assert "Universality & capacity" in contents["text"]


def test_what_jobs_cost_is_shown_once_it_is_known(tmp_path, results):
    used = {"state": "COMPLETED", "job": "1", "ended": "", "cpus": 2, "gpus": 1}
    used |= {"peak_memory_mb": 500.0, "asked_memory_mb": None, "memory_efficiency": None}
    rows = [
        Use(rule=rule, wildcards="<i>", seconds=s, gpu_hours=s / 3600, cpu_efficiency=e,
            source="accounting", **used)
        for rule, s, e in (("<b>short</b>", 3600.0, 0.5), ("long", 7200.0, None))
    ]  # fmt: skip
    write_usage(rows, tmp_path / "usage.csv")
    shown = {**results, "usage": str(tmp_path / "usage.csv")}
    main(manifest=json.dumps(shown), out=tmp_path / "index.html")
    structure = Structure((tmp_path / "index.html").read_text())
    (section,) = [e for e in structure.all("section") if e.get("id") == "cost"]
    assert "largest memory of a job" in section["text"]
    cells = [cell["text"] for cell in structure.all("td", "th")][-3 * 7 :]
    assert [cells[start : start + 7] for start in (0, 7, 14)] == [
        ["long", "1", "–", "2.000", "2.000", "500", "–"],
        ["<b>short</b>", "1", "–", "1.000", "1.000", "500", "50%"],
        ["all", "2", "–", "3.000", "3.000", "500", "50%"],
    ]
    headings = [e["data-column"] for e in structure.all("th") if e.get("scope") == "col"][-7:]
    assert headings == list("0123456")  # they sort; the sum of all stays below
    assert len([e for e in structure.all("tbody") if e["text"].strip().startswith("all")]) == 1
    assert any(e.get("download") == "usage.csv" for e in structure.all("a"))
    (tmp_path / "usage.csv").write_text("nonsense\n")
    with pytest.raises(InputError, match=r"usage\.csv: its columns"):
        main(manifest=json.dumps(shown), out=tmp_path / "index.html")


def test_an_empty_page_is_a_page(tmp_path):
    main(manifest='{"title": "t", "sections": []}', out=tmp_path / "i.html")
    assert Structure((tmp_path / "i.html").read_text()).all("h1")[0]["text"] == "t"


def test_items_of_one_run_share_its_record(tmp_path, results):
    table = results["sections"][0]["items"][0]
    twice = [table, {**table, "label": "Table 1b"}]
    sections = [{"id": "a", "title": "A", "items": twice, "records": [table["record"]]}]
    text = build_page(read_manifest(json.dumps({"title": "t", "sections": sections})), tmp_path)
    shown = Structure(text)
    ids = [element["id"] for element in shown.elements if "id" in element]
    assert len(ids) == len(set(ids))
    assert [e["text"] for e in shown.all("p") if e.get("class") == "shared-record"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"titel": "x"}, "titel: Extra inputs"),
        ({"title": None}, "title: "),
        ({"sections": [{"id": "A B", "title": "t"}]}, "sections.0.id: "),
        ({"sections": [{"id": "a", "title": "t"}] * 2}, "two sections have the id a"),
        (
            {"sections": [{"id": "a", "title": "t", "items": [{"label": "T", "title": "t"}]}]},
            "one of table, figure and not_run",
        ),
        (
            {
                "sections": [
                    {
                        "id": "a",
                        "title": "t",
                        "items": [{"label": "T", "title": "t", "not_run": "x"}] * 2,
                    }
                ]
            },
            "two items have one label",
        ),
    ],
)
def test_a_bad_manifest_says_where(results, change, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        read_manifest(json.dumps(results | change))
    assert "\n" not in str(caught.value)


def test_manifest_that_is_no_json_or_no_file():
    with pytest.raises(InputError, match="not JSON"):
        read_manifest("{nonsense")
    with pytest.raises(InputError, match=r"absent\.json: cannot be read"):
        read_manifest("absent.json")


@pytest.mark.parametrize(
    ("part", "content", "message"),
    [
        ("table", "{}", "not a table"),
        ("figure", "<svg xmlns='http://www.w3.org/2000/svg'/>", "names no panels"),
        ("figure", "no xml", "not an SVG"),
        ("record", "{}", "not a run record: it lacks id, step"),
        ("record", "[]", "not a run record"),
        ("caption", "*unfinished", "cannot be shown"),
        ("caption", ".. raw:: html\n\n   <script>alert(1)</script>", "cannot be shown"),
        ("caption", ".. include:: /etc/hostname", "cannot be shown"),
    ],
)
def test_bad_parts_are_named(tmp_path, part, content, message):
    bad = tmp_path / "bad.file"
    bad.write_text(content)
    item = {"label": "T", "title": "t", part: str(bad)}
    if part not in ("table", "figure"):
        item["not_run"] = "not run: test"
    sections = [{"id": "a", "title": "t", "items": [item]}]
    with pytest.raises(InputError, match=rf"bad\.file: .*{message}"):
        main(manifest=json.dumps({"title": "t", "sections": sections}), out=tmp_path / "i.html")
    assert not (tmp_path / "i.html").exists()


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<g onload='alert(1)'/>",
        "<use xlink:href='https://example.org/x.svg#a'/>",
        "<image xlink:href='x.png'/>",
        "<foreignObject/>",
    ],
)
def test_an_svg_that_loads_or_runs_something_is_refused(tmp_path, hostile):
    spaces = "xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink'"
    svg = tmp_path / "f.svg"
    svg.write_text(f"<svg {spaces} data-panels='0 0 1 1'><g id='panel-1'>{hostile}</g></svg>")
    with pytest.raises(InputError, match="which no figure of this project does"):
        read_figure(svg, "f")


def test_missing_download_is_named(tmp_path, results):
    item = {**results["sections"][0]["items"][2], "files": [str(tmp_path / "gone.png")]}
    manifest = {"title": "t", "sections": [{"id": "a", "title": "t", "items": [item]}]}
    with pytest.raises(InputError, match=r"gone\.png: no such file"):
        build_page(read_manifest(json.dumps(manifest)), tmp_path / "i.html")


def test_captions_are_clean_and_free_of_the_engines_variables(study):
    captions = sorted(study.report.glob("*.rst"))
    assert len(captions) == 40
    for path in captions:
        assert "<p>" in prose(path)
        assert not re.search(r"{[{%#]", path.read_text(encoding="utf-8"))
