"""Every kind of wrong configuration or profile ends with file, line, key path, value and advice."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hearsay import config, profiles, settings_documents
from hearsay.errors import InputError

BASE = """\
models:
  first: {path: a.pt, series: one, accuracy: 70}
  second: {hub: some/where, series: one}
spectral:
  convention: paper
"""
DECODED = """\
fmri_datasets: {ours: {version: "1", simulated: {subjects: {S1: 1, S2: 1}}}}
brain:
  subjects: [S1]
  dataset: ours
  encoder: first
  language_model: first
  scores: {bertscore: first}
  settings: {a: {}}
"""
SPOKEN = "speech_corpora: {own: {kind: table, language: de, path: x}}\n"


def load(tmp_path, overlay="", **overrides):
    base = tmp_path / "config.yaml"
    base.write_text(BASE)
    files, merged = [base], yaml.safe_load(BASE)
    if overlay:
        over = tmp_path / "mine.yaml"
        over.write_text(overlay)
        files.append(over)
        merged = merge(merged, yaml.safe_load(overlay))
    return config.load(merge(merged, overrides), files, overrides)


def merge(a, b):
    return {**a, **{k: merge(a.get(k, {}), v) if isinstance(v, dict) else v for k, v in b.items()}}


def test_a_valid_configuration_loads(tmp_path):
    settings = load(tmp_path)
    assert settings.models["first"].accuracy == 70
    assert settings.spectral.convention == "paper"


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        (
            "spectral:\n  convension: paper\n",
            'mine.yaml, line 2: spectral.convension = "paper": no such setting; '
            "did you mean 'convention'?",
        ),
        (
            "spectrall: 1\n",
            "mine.yaml, line 1: spectrall = 1: no such setting; did you mean 'spectral'?",
        ),
        (
            "models:\n  third:\n    digits:\n      layer: 3\n",
            "mine.yaml, line 4: models.third.digits.layer = 3: no such setting; "
            "did you mean 'layers'?",
        ),
        (
            "models:\n  third:\n    paht: x\n",
            "mine.yaml, line 3: models.third.paht = \"x\": no such setting; did you mean 'path'?",
        ),
        (
            "spectral:\n  min_size: many\n",
            'mine.yaml, line 2: spectral.min_size = "many": input should be a valid integer',
        ),
        (
            "spectral:\n  convention: mine\n",
            'mine.yaml, line 2: spectral.convention = "mine": input should be '
            "'weightwatcher-2019', 'paper', 'pooled' or 'flattened'",
        ),
        (
            "models:\n  third: {series: x}\n",
            "mine.yaml, line 2: models.third",
        ),
        (
            "models:\n  first: {hub: x/y}\n",
            "hub, url, path, digits, tiny, tiny_speech (found: ['hub', 'path'])",
        ),
        (
            "models:\n  a/b: {path: x}\n",
            "mine.yaml, line 2: models.a/b",
        ),
        (
            "spectral:\n  models: [first, secnod]\n",
            'mine.yaml, line 2: spectral.models[1] = "secnod": no such model; '
            "did you mean 'second'? (there are: first, second)",
        ),
        (
            "spectral:\n  models: [first]\n  pair: [first, second]\n",
            'mine.yaml, line 3: spectral.pair[1] = "second": not among the audited models '
            "(spectral.models: first); add it there, or set spectral.pair to null",
        ),
        (
            "models:\n  first: {series: ''}\nspectral:\n  esd: first\n",
            'mine.yaml, line 4: spectral.esd = "first": not among the audited models '
            "(those with a series: second); ",
        ),
        (
            "spectral:\n  pair: [first, secnod]\n",
            "line 2: spectral.pair[1] = \"secnod\": no such model; did you mean 'second'?",
        ),
        (
            "asr:\n  tables: {3: {dev: a/b}}\n",
            "mine.yaml, line 2: asr.tables[3] = 3: input should be '3', '4', '5' or '6'; put it",
        ),
        (
            "speech_corpora:\n  own: {kind: table, language: de, path: x}\n"
            "asr:\n  tables:\n    '6': {WER: {de: own/dev}}\n    '3': {a: owm/dev, b: own/dev}\n",
            'mine.yaml, line 6: asr.tables.3.a = "owm/dev": no such part of a corpus in '
            "speech_corpora; did you mean 'own/dev'?",
        ),
        (
            "brain:\n  subjects: [S1, S2, S1]\n",
            'mine.yaml, line 2: brain.subjects = ["S1", "S2", "S1"]: names \'S1\' twice: rem',
        ),
        (
            "brain:\n  validation: -3\n",
            "mine.yaml, line 2: brain.validation = -3: input should be greater than or equal to 0",
        ),
        (
            "asr:\n  tables: {'3': {a: {b: 5}}}\n",
            "mine.yaml, line 2: asr.tables.3.a.b = 5: input should be a valid string",
        ),
        (
            "brain:\n  voxels: {method: indices}\n",
            "method 'indices' reads a file: name it as file",
        ),
        (
            "brain:\n  word_rate: {alphas: [1.0, -1.0]}\n",
            "mine.yaml, line 2: brain.word_rate.alphas[1] = -1.0: input should be greater than 0",
        ),
        (
            "brain:\n  scores: {protocols: []}\n",
            "mine.yaml, line 2: brain.scores.protocols = []: list should have at least 1 item",
        ),
        (
            "lm:\n  event_speed: {active: [5]}\n",
            "mine.yaml, line 2: lm.event_speed.active[0] = 5: input should be less than or equal",
        ),
        (
            "brain:\n  subjects: [1]\n",
            "line 2: brain.subjects[0] = 1: input should be a valid string; put it in quotes",
        ),
        (
            "brain:\n",
            "mine.yaml, line 1: brain: has nothing in it; give its keys, or leave it out",
        ),
        (
            "brain: 5\n",
            "mine.yaml, line 1: brain = 5: input should be keys with values",
        ),
        (
            "pathvars:\n  results: ''\n",
            'mine.yaml, line 2: pathvars.results = "": is empty; name a file or folder',
        ),
        (
            "brain:\n  subjects: [S1]\n  dataset: ours\n",
            'mine.yaml, line 3: brain.dataset = "ours": no such fMRI dataset (there are: none)',
        ),
        (
            "brain:\n  subjects: [S1]\n  settings: {a: {preset: paper}}\n  controls: [b]\n",
            'mine.yaml, line 4: brain.controls[0] = "b": no such setting',
        ),
        (
            "models:\n  third: {digits: {}, accuracy: 90}\n",
            "mine.yaml, line 2: models.third.accuracy = 90: accuracy of a digits model is "
            "measured here: leave it out, or set it to null",
        ),
        (
            DECODED + "  raw: {S2: [a]}\n",
            'mine.yaml, line 9: brain.raw.S2 = "S2": no such subject in brain.subjects; did you '
            "mean 'S1'? (there are: S1)",
        ),
        (
            DECODED + "  raw: {S1: [a, c]}\n  stories: [a, b]\n  test_story: a\n",
            'mine.yaml, line 9: brain.raw.S1[1] = "c": no such story in brain.stories',
        ),
        (
            DECODED + "  stories: [a, b]\n  test_story: c\n",
            'mine.yaml, line 10: brain.test_story = "c": no such story in brain.stories',
        ),
        (
            DECODED + "  stories: [a, b]\n  test_story: a\n  validation: [b, c]\n",
            'mine.yaml, line 11: brain.validation[1] = "c": no such story in brain.stories',
        ),
        (
            DECODED.replace("[S1]", "[S1, S3]"),
            'mine.yaml, line 3: brain.subjects[1] = "S3": no such subject in '
            "fmri_datasets.ours.simulated.subjects",
        ),
        (
            "lm:\n  corpora: [tales]\n",
            'mine.yaml, line 2: lm.corpora[0] = "tales": no such corpus in text_corpora',
        ),
        (
            "asr:\n  figures: {'2': [a, b]}\n",
            'mine.yaml, line 2: asr.figures.2 = ["a", "b"]: in which language? name it as '
            "asr.figure_languages.2",
        ),
        (
            "asr:\n  figure_languages: {'3': de}\n",
            'mine.yaml, line 2: asr.figure_languages.3 = "de": asr.figures.3 names no runs; name '
            "them, or leave this out",
        ),
        (
            "models:\n  third: {tiny_speech: {speech: [own/dve]}}\n" + SPOKEN,
            'mine.yaml, line 2: models.third.tiny_speech.speech[0] = "own/dve": no such part of a '
            "corpus in speech_corpora; did you mean 'own/dev'?",
        ),
        (
            "models:\n  third: {tiny_speech: {speech: [own/dev*0.5]}}\n" + SPOKEN,
            'mine.yaml, line 2: models.third.tiny_speech.speech[0] = "own/dev*0.5": no such part',
        ),
        (
            "slu:\n  alignment: [own/dve]\n" + SPOKEN,
            'mine.yaml, line 2: slu.alignment[0] = "own/dve": no such part of a corpus in '
            "speech_corpora; did you mean 'own/dev'?",
        ),
        *(
            (
                f"slu:\n  {key}: frist\n",
                f"mine.yaml, line 2: slu.{key} = \"frist\": no such model; did you mean 'first'?",
            )
            for key in ("speech_encoder", "text_encoder", "ctc_model")
        ),
        (
            "brain:\n  device: gpu\n",
            "mine.yaml, line 2: brain.device = \"gpu\": input should be 'auto', 'cpu' or 'cuda'",
        ),
        (
            "spectral:\n  device: gpu\n",
            'mine.yaml, line 2: spectral.device = "gpu": does not look like ^(cpu|cuda',
        ),
        (
            "asr:\n  precision: bf16\n",
            "mine.yaml, line 2: asr.precision = \"bf16\": input should be 'auto', '32-true', 'bf16",
        ),
        (
            "brain:\n  recipe:\n    learning_rate: .inf\n",
            "mine.yaml, line 3: brain.recipe.learning_rate = Infinity: input should be a finite",
        ),
        (
            "brain:\n  recipe:\n    prompt_lenght: 3\n",
            "mine.yaml, line 3: brain.recipe.prompt_lenght = 3: no such setting; "
            "did you mean 'prompt_length'?",
        ),
    ],
)
def test_a_fault_is_named_with_its_place_and_its_remedy(tmp_path, overlay, expected):
    with pytest.raises(InputError) as caught:
        load(tmp_path, overlay)
    assert expected in str(caught.value)


@pytest.mark.parametrize("group", ["asr", "brain", "lm", "slu"])
@pytest.mark.parametrize(("key", "wrong"), [("device", "gpu"), ("precision", "bf16_mixed")])
def test_what_no_training_could_run_with_is_refused_before_any_starts(tmp_path, group, key, wrong):
    with pytest.raises(InputError, match=rf"line 2: {group}\.{key} = .{wrong}.*auto"):
        load(tmp_path, f"{group}:\n  {key}: {wrong}\n")


def test_a_fault_of_the_base_file_is_found_there(tmp_path):
    with pytest.raises(InputError) as caught:
        base = tmp_path / "config.yaml"
        base.write_text(BASE + "  extra: 1\n")
        config.load(yaml.safe_load(base.read_text()), [base], {})
    assert "config.yaml, line 6: spectral.extra = 1" in str(caught.value)


def test_a_fault_of_the_command_line_is_found_there(tmp_path):
    with pytest.raises(InputError) as caught:
        load(tmp_path, spectral={"min_sise": 40})
    assert "--config on the command line: spectral.min_sise = 40" in str(caught.value)


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(InputError) as caught:
        load(tmp_path, "spectral: {a: 1, b: 2}\n")
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ("brain:\n  seed: 1\nbrain:\n  seed: 2\n", "mine.yaml, line 3: brain: is on line 1, too"),
        ("brain:\n  {preset: best, preset: paper}\n", "mine.yaml, line 2: brain.preset: is on li"),
        (
            "spectral:\n  models:\n  - {a: 1, a: 2}\n",
            "mine.yaml, line 3: spectral.models[0].a: is on line 3, too",
        ),
    ],
)
def test_a_key_that_stands_twice_is_named_with_both_lines(tmp_path, overlay, expected):
    with pytest.raises(InputError) as caught:
        load(tmp_path, overlay)
    assert expected in str(caught.value)


def test_one_value_in_two_places_is_no_key_twice(tmp_path):
    """An anchor's alias, and a key that overrides one that is merged in."""
    overlay = "models:\n  third: &other {path: a, series: b}\n  fourth: {<<: *other, path: c}\n"
    base, mine = tmp_path / "config.yaml", tmp_path / "mine.yaml"
    base.write_text(BASE)
    mine.write_text(overlay)
    merged = merge(yaml.safe_load(BASE), yaml.safe_load(overlay))
    assert config.load(merged, [base, mine], {}).models["fourth"].path == "c"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "my.yaml: cannot be read: No such file or directory"),
        (b"", "my.yaml: has no keys with values; give it some, or leave it out"),
        (b"# brain:\n", "my.yaml: has no keys with values"),
        (b"- a\n", "my.yaml: has no keys with values"),
        (b"brain:\n\tseed: 1\n", "my.yaml, line 2: found character"),
        (b"a: \xe9\n", "my.yaml: byte 4 is not UTF-8; convert the file"),
    ],
)
@pytest.mark.parametrize("joined", [True, False])
def test_a_configuration_file_that_cannot_be_read_is_named(tmp_path, content, expected, joined):
    good, file = tmp_path / "good.yaml", tmp_path / "my.yaml"
    good.write_text(BASE)
    if content is not None:
        file.write_bytes(content)
    named = [f"--configfile={file}"] if joined else ["--configfile", str(good), str(file)]
    with pytest.raises(InputError) as caught:
        profiles.check_config_files(["--profile", "absent", *named, "--", "absent.csv"])
    assert expected in str(caught.value)


@pytest.mark.parametrize("module", ["settings_documents", "step", "step_server.server"])
def test_programs_without_typer_have_a_help_that_names_them(tmp_path, module):
    program = [sys.executable, "-m", f"hearsay.{module}", "--help"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert f"usage: python -m hearsay.{module} " in done.stdout
    assert not list(tmp_path.iterdir())


def test_broken_yaml_names_the_line(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(InputError, match=r"broken\.yaml, line 3"):
        config.load({}, [broken], {})


RULES, OPTIONS = ["train_digits", "audit_model"], ["set-resources", "default-resources", "jobs"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "jobs: 5\ndefaul-resources: {}\n",
            "line 2: defaul-resources: no such option; did you mean 'default-resources'?",
        ),
        (
            "set-resources:\n  train_digit: {gpu: 1}\n",
            "line 2: set-resources.train_digit: no such rule; did you mean 'train_digits'?",
        ),
    ],
)
def test_a_misspelt_profile_is_refused(tmp_path, text, expected):
    file = tmp_path / "profile.yaml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        profiles.check_profile(file, OPTIONS, RULES)
    assert expected in str(caught.value)


def test_a_good_profile_passes(tmp_path):
    file = tmp_path / "profile.yaml"
    file.write_text("jobs: 5\nset-resources:\n  audit_model: {gpu: 1}\n")
    profiles.check_profile(file, OPTIONS, RULES)


def test_documents_made_from_the_settings_are_current(capsys):
    assert settings_documents.main(["--check"]) == 0, "run: make format"


def test_every_setting_is_described():
    tables = settings_documents.table() + settings_documents.columns()
    assert all("| None |" not in line for line in tables.splitlines())


@pytest.mark.parametrize("table", ["lm", "asr", "slu", "slu-sentiment"])
def test_every_column_of_a_table_of_experiments_is_described(table):
    shipped = Path(config.ROOT, "config", "experiments", f"{table}.tsv").read_text("utf-8")
    header = next(line for line in shipped.splitlines() if line[0] != "#").split("\t")
    readme = Path(config.ROOT, "config", "README.md").read_text("utf-8")
    name = {"slu": "aligners", "slu-sentiment": "sentiment"}.get(table, "experiments")
    key = f"{table.partition('-')[0]}.{name}"
    recipe = readme.partition(f"### Recipe in `{key}`\n")[2].partition("###")[0]
    told = next(line for line in readme.splitlines() if line.startswith(f"| `{key}` |"))
    assert recipe
    assert [c for c in header if f"| `{c}` |" not in recipe and f"{c}," not in told] == []


def test_shipped_configurations_are_valid():
    folder = Path(config.ROOT) / "config"
    base = yaml.safe_load((folder / "config.yaml").read_text())
    demo = yaml.safe_load((folder / "demo.yaml").read_text())
    assert config.load(base, [folder / "config.yaml"], {}).models
    assert config.load(merge(base, demo), [folder / "config.yaml"], {}).spectral.models


def test_the_table_of_datasets_agrees_with_the_configuration():
    folder = Path(config.ROOT) / "config"
    lines = (folder / "datasets.tsv").read_text(encoding="utf-8").splitlines()
    header, *rows = [line.split("\t") for line in lines]
    assert header == ["name", "version", "url", "bytes", "checksum", "licence", "access"]
    table = {row[0]: dict(zip(header, row, strict=True)) for row in rows}
    assert len(table) == len(rows)
    models = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["models"]
    for name, model in models.items():
        row = table[name]
        assert row["url"] == model.get("url", f"https://huggingface.co/{model.get('hub')}")
        assert row["version"] == model.get("revision", row["version"])
        assert row["checksum"] == (f"sha256:{model['sha256']}" if "sha256" in model else "")
        assert row["licence"]
