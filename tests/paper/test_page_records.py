"""Run records on the page: which came from which, their seeds, and how to make them again."""

import json
from pathlib import Path

import pytest

from hearsay.errors import InputError
from hearsay.lineage import RECORD_PARTS
from hearsay.paper.claims import VERDICTS
from hearsay.paper.page_records import Origins, Record, read_record
from hearsay.provenance import Run


def record(path, *inputs, seed=None, commit="0" * 40):
    content = dict.fromkeys(RECORD_PARTS) | {"id": path, "seed": seed, "commit": commit}
    content["inputs"] = [{"path": file, "sha256": "f"} for file in inputs]
    return Record(Path(path), content)


def test_a_run_is_known_by_the_names_of_its_files():
    records = [
        record("r/t/table.run.json", "r/de/scores.csv", "resources/published/asr.csv"),
        record("r/de/scores.run.json", "r/de/a/0/transcripts.csv", "r/de/a/1/transcripts.csv"),
        record("r/de/a/0/transcripts.run.json", "r/de/a/0/weights.safetensors"),
        record("r/de/a/1/transcripts.run.json", "r/de/a/1/weights.safetensors"),
        record("r/de/a/0/training.run.json", "r/de/a/0/training.run.json", seed=0),
        record("r/de/a/1/training.run.json", seed=1),
    ]
    origins = Origins(records)
    assert origins.maker("r/de/scores.csv") == "r/de/scores.run.json"
    assert origins.maker("r/de/a/0/weights.safetensors") == "r/de/a/0/training.run.json"
    assert origins.maker("resources/published/asr.csv") == ""
    assert origins.maker("r/de/window_scores.csv") == "r/de/scores.run.json"
    assert [r.id for r in origins.behind(records[0])] == [r.id for r in records[1:]]
    assert origins.seeds(records[0]) == [0, 1]
    assert origins.seeds(records[4]) == []


def test_a_run_is_known_by_the_files_in_its_folder():
    origins = Origins([record("r/text/tales-1.5.run.json"), record("r/models/gpt2.run.json")])
    assert origins.maker("r/text/tales-1.5/deep/train.txt") == "r/text/tales-1.5.run.json"
    assert origins.maker("r/models/gpt2") == "r/models/gpt2.run.json"
    assert origins.maker("r/text/tales-1/train.txt") == ""


def test_the_command_checks_out_what_can_be_checked_out():
    one = record("results/a b/scores.run.json")
    command = "snakemake --cores 1 --configfile config/demo.yaml"
    checkout, again = one.again(command).split(" && ")
    assert checkout == f"git checkout {'0' * 40}"
    assert again == f"{command} -f 'results/a b/scores.run.json'"
    for commit in ("0" * 40 + "-dirty", "not in git", "$(rm -rf x)" + "0" * 29):
        assert record("r.run.json", commit=commit).again(command) == f"{command} -f r.run.json"


@pytest.fixture
def with_finding(tmp_path):
    """Write a run record that holds one finding; its path."""
    path = tmp_path / "table.run.json"

    def written(finding):
        Run("hearsay.paper.tables", settings={}).write(path)
        content = json.loads(path.read_text(encoding="utf-8")) | {"findings": [finding]}
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    return written


@pytest.mark.parametrize("more", [{}, {"verdicts": []}, {"verdicts": [*VERDICTS, "hold"]}])
def test_findings_are_read_with_their_verdicts(with_finding, more):
    finding = {"subject": "Table 1", "text": "It holds."} | more
    assert read_record(with_finding(finding)).findings == [finding]


@pytest.mark.parametrize(
    "verdicts", ["hold", None, 1, {"hold": 1}, ["holds"], ["hold", ""], [["hold"]], ["no\nline"]]
)
def test_an_unknown_verdict_is_refused_in_one_line(with_finding, verdicts):
    path = with_finding({"subject": "Table 1", "text": "It holds.", "verdicts": verdicts})
    with pytest.raises(InputError) as caught:
        read_record(path)
    told = f"{path}: verdicts are a list of hold, partly, fail, undecided, not {verdicts!r}"
    assert str(caught.value) == told
    assert "\n" not in told


def test_a_finding_that_holds_something_else_is_refused(with_finding):
    for finding in ({"subject": "Table 1"}, {"subject": "a", "text": "b", "verdict": ["hold"]}):
        with pytest.raises(InputError, match=r"table\.run\.json: a finding has a subject and a te"):
            read_record(with_finding(finding))
