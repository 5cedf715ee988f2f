"""Names that are commands, options or ways out, in real runs of Snakemake: none takes effect."""

import shutil

import pytest
import torch
import yaml
from safetensors.torch import save_file

from hearsay.config import load
from hearsay.errors import InputError

NAMES = {
    "a second command": "a; touch PWNED",
    "a substitution": "$(touch PWNED)",
    "backticks": "`touch PWNED`",
    "a quotation mark": "x' ; touch PWNED #",
    "two quotation marks": 'x" ; touch PWNED ; "',
    "a line break": "a\ntouch PWNED\n",
    "a pipe": "a | touch PWNED",
    "a redirection": "a > PWNED",
    "a dash": "-rf --help",
    "spaces": "  two  spaces ",
    "a wildcard": "*?[a-z]",
    "a tilde": "~root",
    "a variable": "${HOME}",
}
OUTSIDE = {
    "the parent": "../../escaped",
    "a root": "/tmp/hearsay-escaped",
    "a dot": "..",
    "sub": "a/b",
}


def write(folder, **content):
    settings = {
        "pathvars": {
            name: f"{folder / 'run' / name}"
            for name in ("results", "logs", "benchmarks", "resources")
        },
        "models": {"mine": {"path": str(net(folder / "net.safetensors"))}},
        "spectral": {"models": ["mine"], "pair": None},
        "brain": {"subjects": []},
        "lm": {"experiments": None, "tables": {}},
        "asr": {"experiments": None},
        "slu": {"aligners": None, "sentiment": None, "shown_runs": []},
    }
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump(settings | content), encoding="utf-8")
    return file


@pytest.fixture
def run(origin, snakemake, tmp_path):
    """Run a target with settings; afterwards nothing has been touched that should not be."""
    here = tmp_path / "here"
    here.mkdir()

    def run(target, **content):
        config = write(tmp_path, **content)
        arguments = ["-s", origin / "Snakefile", "--directory", here, "--configfile", config]
        done = snakemake(here, *arguments, "--cores", "1", "--show-failed-logs", "--", target)
        assert list(tmp_path.rglob("PWNED*")) == []
        assert not (origin / "PWNED").exists()
        assert "Traceback (most recent" not in done.text, done.text
        return done

    return run


def net(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    save_file({"layer.weight": torch.randn(60, 60, generator=generator)}, path)
    return path


# Each run takes seconds: a few file names hold all that is above.
TOGETHER = {
    "commands": "a; touch PWNED; b && touch PWNED | touch PWNED",
    "substitutions": "$(touch PWNED)`touch PWNED`$PATH~",
    "quotation marks": "x' ; touch PWNED # \" ; touch PWNED #",
    "lines": "a\ntouch PWNED\n",
    "options": "-rf --help  > PWNED *?[a-z]",
}


@pytest.mark.parametrize("name", TOGETHER)
def test_weights_of_a_hostile_name_are_audited(run, tmp_path, name):
    weights = net(tmp_path / "given" / f"{TOGETHER[name]}.safetensors")
    results = tmp_path / "run" / "results"
    done = run(results / "spectral/mine.csv", models={"mine": {"path": str(weights)}})
    assert done.status == 0, done.text
    assert (results / "spectral/mine.csv").is_file()


@pytest.mark.parametrize("kind", ["models", "text_corpora", "speech_corpora"])
def test_braces_in_a_path_are_refused(tmp_path, kind):
    """Snakemake takes them for wildcards, which it fills in or misses."""
    more = {"kind": "table", "language": "en"} if kind == "speech_corpora" else {}
    with pytest.raises(InputError, match="holds a brace"):
        load({kind: {"mine": {"path": "${HOME}/a", **more}}}, [], {})


@pytest.mark.parametrize("name", ["commands", "options"])
def test_a_corpus_in_a_hostile_folder_is_read(run, tmp_path, name):
    folder = tmp_path / "given" / TOGETHER[name] / TOGETHER[name]
    folder.mkdir(parents=True)
    (folder / f"{TOGETHER[name]}.txt").write_text("a few words on a line\n" * 40, encoding="utf-8")
    tokens = tmp_path / "run/results/lm/mine/tokens.npz"
    done = run(tokens, text_corpora={"mine": {"path": str(folder)}})
    assert done.status == 0, done.text
    assert tokens.is_file()


@pytest.mark.parametrize("name", ["quotation marks"])
def test_hostile_folders_of_results_are_written(run, tmp_path, name):
    weights = net(tmp_path / "a.safetensors")
    pathvars = {
        kind: str(tmp_path / "run" / TOGETHER[name] / kind)
        for kind in ("results", "logs", "benchmarks", "resources")
    }
    target = f"{pathvars['results']}/spectral/mine.csv"
    done = run(target, models={"mine": {"path": str(weights)}}, pathvars=pathvars)
    assert done.status == 0, done.text


@pytest.mark.parametrize("name", [*NAMES, *OUTSIDE])
@pytest.mark.parametrize("kind", ["models", "text_corpora", "speech_corpora", "fmri_datasets"])
def test_a_hostile_name_in_the_settings_is_refused(tmp_path, name, kind):
    """In-process: the message is the whole of what a user sees, as other tests show."""
    value = NAMES.get(name) or OUTSIDE[name]
    with pytest.raises(InputError) as caught:
        load({kind: {value: {"path": "a"}}}, [], {})
    message = str(caught.value)
    if kind == "models":
        assert len(message.splitlines()) == 2, message
    assert "does not look like" in message


@pytest.mark.parametrize("name", ["a substitution"])
@pytest.mark.parametrize("target", ["brain/{}/present.tsv", "spectral/{}.csv", "lm/{}/tokens.npz"])
def test_a_hostile_target_starts_nothing(run, tmp_path, name, target):
    done = run(tmp_path / "run/results" / target.format(NAMES[name]))
    assert done.status != 0


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_hostile_subject_reaches_the_step_as_it_is(run, tmp_path):
    """A subject is given as a target; of a dataset without a list of files any name gets there."""
    record = tmp_path / "run/resources/datasets/mine.run.json"
    content = {
        "fmri_datasets": {"mine": {"source": str(tmp_path / "absent"), "version": "1"}},
        "brain": {"subjects": [], "dataset": "mine"},
    }
    record.parent.mkdir(parents=True)
    record.write_text("{}", encoding="utf-8")
    done = run(tmp_path / "run/results/brain" / NAMES["a substitution"] / "present.tsv", **content)
    assert done.status != 0
    assert "error: " in done.text
