"""The result page: one self-contained HTML file with every table, figure and run record.

``python -m hearsay.paper.page --manifest MANIFEST --out results/demo/index.html``

MANIFEST is JSON, or the path of a JSON file; paths in it are relative to the working directory,
those of prose (about, text, caption) to `workflow/report`::

    {"title": "hearsay",                      # heading of the page
     "configuration": "demo",                 # optional
     "about": "workflow.rst",                 # optional prose below the heading
     "usage": "results/demo/usage.csv",       # optional: what jobs cost, a row a job
     "command": "snakemake --cores 1",        # optional: starts the workflow as it was configured
     "sections": [                            # one for each paper, any number
      {"id": "capacity",                      # anchor: lower-case letters and digits
       "title": "Universality and Capacity Metrics …",
       "authors": "Martin and Mahoney, 2019", # optional
       "text": "capacity.rst",                # optional methods prose
       "items": [                             # in the order shown; one of table, figure, not_run
        {"label": "Table 1", "title": "…",
         "table": "results/demo/tables/capacity_table1.json",
         "caption": "capacity_table1.rst",                                # optional
         "record": "results/demo/tables/capacity_table1.run.json",       # optional
         "files": ["results/demo/tables/capacity_table1.csv"]},          # optional downloads
        {"label": "Figure 1", "title": "…", "figure": "…/capacity_figure1.svg", …},
        {"label": "Table 3", "title": "…", "not_run": "not run: licence"}],
       "clips": [                             # optional: speech to listen to
        {"title": "…", "manifest": "results/demo/speech/demo-timit/test.jsonl",
         "heard": [["best", "…/test.words.csv"]]}],
       "records": ["results/demo/spectral/vgg11.run.json"]}]}            # runs behind the items

What is not in the manifest is not shown. A table comes from `hearsay.paper.tables`, a figure from
`hearsay.paper.style`, a record from `hearsay.provenance.Run`; a record's ``findings``, a list of
``{"subject", "text"}`` and, where the text checks claims, ``"verdicts"``, make the summary at the
top of the page. The page depends on its inputs alone: it holds no time or place of its own making.
"""

import base64
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from hearsay.cluster.usage import read_usage, summarise
from hearsay.errors import InputError
from hearsay.files import write_text
from hearsay.paper.command import run_command
from hearsay.paper.html_text import cell, duration, pretty_json, prose, short_commit, symbols
from hearsay.paper.inline_svg import InlineFigure, read_figure
from hearsay.paper.manifest import Item, Manifest, Section, read_manifest
from hearsay.paper.page_clips import ShownClip, read_clips
from hearsay.paper.page_records import Origins, Record, read_record
from hearsay.paper.page_summary import Counts, count
from hearsay.paper.tables import Column, Row, Table, by_group, is_missing, read_table

HERE = Path(__file__).parent
EMBEDDED = {".csv": "text/csv", ".md": "text/markdown", ".tex": "text/x-tex"}


@dataclass
class ShownItem:
    """An item with its files read."""

    id: str
    item: Item
    caption: Markup
    table: Table | None = None
    figure: InlineFigure | None = None
    record: Record | None = None
    holds_record: bool = False
    downloads: list[dict[str, str]] = field(default_factory=list)

    def run_behind(self, row: Row, column: Column, known: set[str]) -> str:
        """Id of the run, one of `known`, that a cell's number comes from; empty if there is none.

        Published values, and rows without a run of their own, come from the table's run.
        """
        if row.not_run or column.kind == "run":
            return ""
        run = row.cells.get(column.run)
        if self.record and (is_published(column) or run not in known):
            run = self.record.id
        return run if run in known else ""


@dataclass
class ShownSection:
    """A paper's section; `records` are those that no item of the page shows already."""

    section: Section
    text: Markup
    items: list[ShownItem]
    records: list[Record] = field(default_factory=list)
    clips: list[tuple[str, list[ShownClip]]] = field(default_factory=list)

    @property
    def findings(self) -> list[dict[str, Any]]:
        """All sentences of the items, in order, each with the `run` that found it."""
        records = [item.record for item in self.items if item.record]
        return [{**finding, "run": record.id} for record in records for finding in record.findings]

    @property
    def counts(self) -> Counts:
        """Claims and rows by what became of them."""
        tables = [item.table for item in self.items if item.table]
        absent = sum(bool(item.item.not_run) for item in self.items)
        return count(tables, self.findings, absent)


def build_page(manifest: Manifest, out: Path) -> str:
    """HTML of the page that `manifest` describes; `out` is where relative links start."""
    anchors: set[str] = set()  # a record that several items share is shown once
    sections = []
    for section in manifest.sections:
        items = [_read_item(item, f"{section.id}-{item.anchor}", out) for item in section.items]
        for item in items:
            item.holds_record = item.record is not None and item.record.id not in anchors
            anchors |= {item.record.id} if item.record else set()
        clips = [(each.title, read_clips(each)) for each in section.clips]
        sections.append(ShownSection(section, prose(section.text), items, clips=clips))
    for shown in sections:
        for record in map(read_record, shown.section.records):
            if record.id not in anchors:
                anchors.add(record.id)
                shown.records.append(record)
    records = _all_records(sections)
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        f.__name__: f for f in (symbols, cell, pretty_json, duration, short_commit, by_group)
    }
    return environment.get_template("page.html").render(
        manifest=manifest,
        about=prose(manifest.about),
        sections=sections,
        facts=_facts(records),
        counts=sum((section.counts for section in sections), Counts()),
        origins=Origins(records),
        usage=list(summarise(read_usage(manifest.usage))) if manifest.usage else [],
        usage_file=_download(manifest.usage, out) if manifest.usage else None,
        known_runs=anchors,
        css=Markup((HERE / "page.css").read_text(encoding="utf-8")),
        js=Markup((HERE / "page.js").read_text(encoding="utf-8")),
        columns_with_values=_columns_with_values,
        is_published=is_published,
    )


def is_published(column: Column) -> bool:
    """Whether a column holds what a paper printed."""
    return column.key.endswith("published")


def _columns_with_values(table: Table, rows: list[Row]) -> list[Column]:
    """The shown columns in which one of `rows` at least has a value."""
    return [
        column
        for column in table.shown
        if any(not is_missing(row.cells.get(column.key)) for row in rows)
    ]


def _read_item(item: Item, identifier: str, out: Path) -> ShownItem:
    return ShownItem(
        identifier,
        item,
        prose(item.caption),
        table=read_table(item.table) if item.table else None,
        figure=read_figure(item.figure, identifier) if item.figure else None,
        record=read_record(item.record) if item.record else None,
        downloads=[_download(path, out) for path in item.files],
    )


def _download(path: Path, out: Path) -> dict[str, str]:
    """A link that works wherever the page lies for text, else one relative to the page."""
    name = path.suffix.lstrip(".").upper()
    try:
        if path.suffix in EMBEDDED:
            content = base64.b64encode(path.read_bytes()).decode()
            href = f"data:{EMBEDDED[path.suffix]};charset=utf-8;base64,{content}"
            return {"name": name, "file": path.name, "href": href}
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not path.is_file():
        raise InputError(f"{path}: no such file to link to")
    href = quote(Path(os.path.relpath(path, out.parent)).as_posix())
    return {"name": name, "file": "", "href": href}


def _all_records(sections: list[ShownSection]) -> list[Record]:
    records = [item.record for s in sections for item in s.items if item.record]
    records += [record for s in sections for record in s.records]
    return list({record.id: record for record in records}.values())


def _facts(records: list[Record]) -> dict[str, Any]:
    """What ran, when, on what: over all records of the page."""
    finished = sorted(record.content["finished"] for record in records)
    return {
        "runs": len(records),
        "first": finished[0][:10] if finished else "",
        "last": finished[-1][:10] if finished else "",
        "seconds": sum(record.content["wall_seconds"] for record in records),
        "commits": sorted({record.content["commit"] for record in records}),
        "machines": sorted({record.content["hardware"]["cpu"] for record in records}),
    }


def main(
    manifest: Annotated[str, typer.Option(help="what to show: JSON, or the path of a JSON file")],
    out: Annotated[Path, typer.Option(help="the page")],
) -> None:
    """Write the result page."""
    write_text(out, build_page(read_manifest(manifest), out))


if __name__ == "__main__":
    run_command(main)
