"""`hearsay.trace` and `hearsay.compare` on the demo's results."""

import shlex

import pytest

from hearsay.chain import chain, lost
from hearsay.compare import compare_folders
from hearsay.lineage import Lineage, command_of
from hearsay.paper.tables import read_table
from hearsay.trace import configured, runs_of

RESULTS = {".csv", ".json", ".npz", ".safetensors", ".h5", ".hf5", ".jsonl", ".svg", ".tex", ".txt"}
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
    assert len(tables) >= 19
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
            assert {link.state for link in links} <= {"unchanged", "here"}, path.name
            assert not list(lost(links)), path.name


def test_every_result_has_a_record(lineage):
    files = [p for p in lineage.results.rglob("*") if p.is_file() and p.suffix in RESULTS]
    made = [
        p for p in files if not any(part.startswith(".") or ".training" in part for part in p.parts)
    ]
    unknown = [p.name for p in made if lineage.maker_of(p) is None]
    assert set(unknown) <= {"usage.csv", "index.html"}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("lm/tales-400/scores.csv", "hearsay.demo.write_text_corpus"),
        ("brain/SIM01/scores.csv", "hearsay.demo.write_fmri_dataset"),
        ("brain/SIM02/scores.csv", "hearsay.demo.train_tiny_model"),
        ("asr/de/scores.csv", "hearsay.demo.write_speech_corpus"),
        ("slu/alignment.csv", "hearsay.demo.write_timit"),
        ("spectral/summary.csv", "hearsay.spectral.train_digits"),
    ],
)
def test_a_chain_goes_on_to_the_step_that_made_the_data(lineage, start, end):
    record = lineage.maker_of(lineage.results / start)
    steps = {link.record.content["step"] for link in links_of(lineage, record) if link.record}
    assert end in steps


def test_the_command_that_a_trace_shows_runs_that_step_alone(lineage, demo, snakemake):
    path = lineage.results / "lm" / "tales-400" / "gru-96" / "0" / "scores.run.json"
    record, target = lineage.maker_of(path), lineage.target_of(path)
    assert target == path.relative_to(demo)
    text = command_of(record, target, f"{configured(lineage)} --dry-run")
    command, *arguments = shlex.split(text.split(" && ")[-1])
    assert (command, "config/demo.yaml" in arguments) == ("snakemake", True)
    done = snakemake(demo, *arguments)
    assert done.status == 0, done.text
    assert set(done.jobs) == {"evaluate_language_model"}


def test_the_demo_compared_with_itself_has_no_difference(lineage):
    found = compare_folders(lineage.results, lineage.results)
    assert found.rows.empty
    assert sum(found.equal.values()) > 1000
    assert not found.runs
