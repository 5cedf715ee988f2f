"""`hearsay.trace` and `hearsay.compare` on the demo's results."""

import shlex

import pytest

from hearsay.compare import compare_folders
from hearsay.lineage import Lineage
from hearsay.paper.tables import read_table
from hearsay.trace import chain, command_of, runs_of

pytestmark = pytest.mark.demo


@pytest.fixture
def lineage(demo, monkeypatch):
    monkeypatch.chdir(demo)
    return Lineage(demo / "results" / "demo")


def links_of(lineage, record):
    waiting = chain(lineage, record, set())
    while waiting:
        link = waiting.pop()
        yield link
        waiting += link.inputs


def test_a_cell_of_every_table_leads_to_files_as_they_were(lineage):
    tables = sorted(
        path
        for path in (lineage.results / "tables").glob("*.json")
        if not path.name.endswith(".run.json")
    )
    assert len(tables) >= 15
    for path in tables:
        measured = read_table(path).measured
        assert measured, path.name
        runs = [run for row in measured for run in runs_of(row)]
        # Tables without runs in their rows are traced through their own record.
        own = lineage.maker_of(path)
        records = [lineage.by_id[run][0] for run in dict.fromkeys(runs)] or [own]
        for record in records[:3]:
            links = list(links_of(lineage, record))
            assert links, path.name
            assert {link.state for link in links} == {"unchanged"}, path.name


def test_the_command_that_a_trace_shows_runs_that_step_alone(lineage, demo, snakemake):
    path = lineage.results / "lm" / "tales-400" / "gru-96" / "0" / "scores.run.json"
    record = Lineage(path.relative_to(demo).parents[4]).maker_of(path.relative_to(demo))
    command, *arguments = shlex.split(command_of(record, "--profile profiles/demo --dry-run"))
    assert command == "snakemake"
    done = snakemake(demo, *arguments)
    assert done.status == 0, done.text
    assert set(done.jobs) == {"evaluate_language_model"}


def test_the_demo_compared_with_itself_has_no_difference(lineage):
    found = compare_folders(lineage.results, lineage.results)
    assert found.rows.empty
    assert sum(found.equal.values()) > 1000
    assert not found.runs
