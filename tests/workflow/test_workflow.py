"""The workflow from outside: plans without network, runs anywhere, says what is wrong."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import save_file

from hearsay.files import sha256_of
from hearsay.metrics.scores import read_scores
from hearsay.step_server.starter import can_serve


def write_config(path, **config):
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def one_model_config(path, weights, name="mine", **spectral):
    return write_config(
        path,
        pathvars={"results": "results/test", "logs": "logs/test", "benchmarks": "logs/test/b"},
        models={name: {"path": str(weights), "series": "mine", "accuracy": 50.0}},
        spectral={"models": [name], "pair": None, **spectral},
        brain={"subjects": []},
        lm={"experiments": None},
        asr={"experiments": None},
    )


def net_file(path, break_it=False):
    generator = torch.Generator().manual_seed(0)
    tensors = {f"layer{k}.weight": torch.randn(96, 64, generator=generator) for k in range(3)}
    if break_it:
        tensors["layer1.weight"][5, 5] = float("nan")
    save_file(tensors, path)
    return path


def test_the_papers_scale_plans_without_network_or_data(origin, snakemake):
    done = snakemake(origin, "--dry-run", "--cores", "1")
    assert done.status == 0, done.text
    assert done.jobs["fetch_model"] == 32
    assert done.jobs["audit_model"] == 30


def test_planning_imports_no_heavy_library(origin):
    program = (
        "import sys; sys.argv[1:] = ['--dry-run', '--quiet', 'all', '--cores', '1'];\n"
        "from snakemake.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "heavy = ('torch', 'lightning_fabric', 'nemo', 'sklearn', 'matplotlib')\n"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=origin, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_named_targets(origin, snakemake):
    for target in ("all", "data", "brain", "asr", "lm", "spectral", "tables", "figures", "page"):
        done = snakemake(origin, "--profile", "profiles/demo", "--dry-run", target)
        assert done.status == 0, done.text
        assert done.jobs or done.nothing_to_do


def test_every_rule_logs_and_asks_for_resources(origin):
    for file in (origin / "workflow" / "rules").glob("*.smk"):
        for block in file.read_text(encoding="utf-8").split("\nrule ")[1:]:
            if "shell:" in block:
                for directive in ("log:", "benchmark:", "mem_mb", "runtime", "code=code_of("):
                    assert directive in block, (
                        f"{file.name}: rule {block.split(':')[0]}: {directive}"
                    )


def logs_of_steps(demo):
    return [path for path in (demo / "logs/demo").rglob("*.log") if path.name != "step_server.log"]


@pytest.mark.demo
@pytest.mark.skipif(bool(can_serve()), reason=f"no step server: {can_serve()}")
def test_the_step_server_refuses_no_step_of_the_demo(demo):
    assert (demo / "logs/demo/step_server.log").is_file()
    refused = [path for path in logs_of_steps(demo) if "\n  alone " in "\n" + path.read_text()]
    assert refused == []


@pytest.mark.demo
def test_logs_tell_host_commit_and_versions(demo):
    logs = logs_of_steps(demo)
    assert len(logs) >= 14
    commit = subprocess.run(
        ["git", "-C", str(demo), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for log in logs:
        text = log.read_text(encoding="utf-8")
        assert "  host " in text, log
        assert commit in text, log
        assert "torch 2" in text, log


def test_the_traceback_of_an_import_error_is_in_the_log(clone, snakemake):
    folder = clone()
    path = folder / "workflow/hearsay/spectral/train_digits.py"
    path.write_text("import a_package_that_is_absent\n" + path.read_text(encoding="utf-8"))
    done = snakemake(
        folder, "--profile", "profiles/demo", "results/demo/models/digits-2.safetensors"
    )
    assert done.status != 0
    log = (folder / "logs/demo/models/digits-2/train_digits.log").read_text(encoding="utf-8")
    assert "ModuleNotFoundError: No module named 'a_package_that_is_absent'" in log
    assert "  host " in log
    assert "a_package_that_is_absent" in done.text  # show-failed-logs


def test_a_model_given_as_a_path_in_a_folder_with_a_space(origin, snakemake, tmp_path):
    here = tmp_path / "a folder with spaces"
    here.mkdir()
    weights = net_file(here / "my net.safetensors")
    config = one_model_config(here / "my.yaml", weights)
    arguments = ["-s", origin / "Snakefile", "--directory", here, "--configfile", config]
    done = snakemake(tmp_path, *arguments, "--cores", "2", "all")
    assert done.status == 0, done.text
    scores = read_scores(here / "results/test/spectral/summary.csv")
    assert set(scores["model"]) == {"mine"}
    audit = pd.read_csv(here / "results/test/spectral/mine.csv")
    assert list(audit["name"]) == ["layer0.weight", "layer1.weight", "layer2.weight"]
    assert (here / "results/test/index.html").is_file()
    assert snakemake(tmp_path, *arguments, "--dry-run", "all").nothing_to_do


def test_a_model_given_as_an_address_is_fetched_and_its_record_is_on_the_page(
    origin, snakemake, tmp_path
):
    weights = net_file(tmp_path / "my net.safetensors")
    config = write_config(
        tmp_path / "my.yaml",
        pathvars={"results": "results/test", "logs": "logs/test", "resources": "fetched"},
        models={"mine": {"url": weights.as_uri(), "sha256": sha256_of(weights)}},
        spectral={"models": ["mine"], "pair": None},
        brain={"subjects": []},
        lm={"experiments": None},
        asr={"experiments": None},
    )
    arguments = ["-s", origin / "Snakefile", "--configfile", config, "--cores", "2"]
    done = snakemake(tmp_path, *arguments)
    assert done.status == 0, done.text
    record = json.loads((tmp_path / "fetched/models/mine.run.json").read_text(encoding="utf-8"))
    assert record["files"]["my net.safetensors"]["sha256"] == sha256_of(weights)
    assert record["id"] in (tmp_path / "results/test/index.html").read_text(encoding="utf-8")
    assert snakemake(tmp_path, *arguments, "--dry-run").nothing_to_do


@pytest.mark.parametrize("name", ["summary-net", "summary.v2"])
def test_a_models_name_may_begin_like_the_summarys(origin, snakemake, tmp_path, name):
    config = one_model_config(tmp_path / "my.yaml", net_file(tmp_path / "n.safetensors"), name=name)
    arguments = ["-s", origin / "Snakefile", "--configfile", config, "--cores", "1", "--dry-run"]
    done = snakemake(tmp_path, *arguments, "spectral")
    assert done.status == 0, done.text
    assert (done.jobs["audit_model"], done.jobs["summarise_audits"]) == (1, 1)


def test_a_model_may_not_be_named_as_the_summary(origin, snakemake, tmp_path):
    weights = net_file(tmp_path / "n.safetensors")
    config = one_model_config(tmp_path / "my.yaml", weights, name="summary")
    arguments = ["-s", origin / "Snakefile", "--configfile", config, "--cores", "1", "--dry-run"]
    done = snakemake(tmp_path, *arguments, "spectral")
    assert done.status != 0
    assert "models.summary: spectral/summary.csv is the summary of all audits" in done.text


def test_a_broken_weight_stops_that_model_and_keeps_the_rest(origin, snakemake, tmp_path):
    weights = net_file(tmp_path / "net.safetensors", break_it=True)
    config = one_model_config(tmp_path / "my.yaml", weights)
    done = snakemake(
        tmp_path,
        *["-s", origin / "Snakefile", "--configfile", config, "--cores", "1"],
        *["--show-failed-logs", "spectral"],
    )
    assert done.status != 0
    assert "mine: 1 of 3 weights hold NaN or Inf: layer1.weight" in done.text
    kept = pd.read_csv(tmp_path / "results/test/spectral/mine.rejected.csv")
    assert list(kept["status"] == "not_finite") == [False, True, False]
    assert list(np.isnan(kept["alpha"])) == [False, True, False]
    assert not (tmp_path / "results/test/spectral/mine.csv").exists()


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"spectral": {"convension": "paper"}}, "did you mean 'convention'?"),
        ({"modles": {}}, "did you mean 'models'?"),
        ({"spectral": {"models": [], "pair": None, "esd": None}}, "there is no model to audit"),
        ({"spectral": {"models": ["resnet19"]}}, "did you mean 'resnet18'?"),
        ({"spectral": {"device": "auto"}}, 'spectral.device = "auto": does not look like'),
        ({"slu": {"aligners": "mine.tsv"}}, "slu.aligners: no file 'mine.tsv', neither in /"),
        (
            {"models": {"x": {"hub": "a/b", "path": "c"}}},
            "name exactly one of hub, url, path, digits",
        ),
    ],
)
def test_a_wrong_configuration_ends_with_one_message(
    origin, snakemake, tmp_path, overlay, expected
):
    config = write_config(tmp_path / "my.yaml", **overlay)
    done = snakemake(origin, "--configfile", config, "--dry-run", "--cores", "1")
    assert done.status != 0
    assert expected in done.text
    of_rules = ("spectral.models: there", "slu.aligners: no file")
    assert "my.yaml, line" in done.text or any(words in done.text for words in of_rules)
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        (
            "latency-wiat: 5\n",
            "latency-wiat = 5: no such option; did you mean 'latency-wait'?",
        ),
        (
            "defaul-resources: {mem_mb: 5}\n",
            "defaul-resources: no such option; did you mean 'default-resources'?",
        ),
        (
            "set-resources:\n  train_digit: {gpu: 1}\n",
            "set-resources.train_digit: no such rule; did you mean 'train_digits'?",
        ),
        (
            "set-threads:\n  audit_modle: 4\n",
            "set-threads.audit_modle: no such rule; did you mean 'audit_model'?",
        ),
        ("resources: [annex=2]\n", "resources: is on line 14, too, and only one would be read"),
    ],
)
@pytest.mark.parametrize("how", ["--profile", "--workflow-profile"])
def test_a_wrong_profile_ends_with_one_message(origin, snakemake, tmp_path, added, expected, how):
    profile = tmp_path / "mine"
    profile.mkdir()
    shipped = (origin / "profiles/demo/profile.yaml").read_text(encoding="utf-8")
    (profile / "profile.yaml").write_text(shipped + added, encoding="utf-8")
    done = snakemake(origin, how, profile, "--dry-run")
    assert done.status != 0
    assert expected in done.text
    line = len(shipped.splitlines()) + len(added.splitlines())
    assert f"profile.yaml, line {line}" in done.text
    assert "Traceback" not in done.text
    assert "usage:" not in done.text


def test_dicts_and_rules_are_checked_in_a_profile_of_another_hand(origin, snakemake, tmp_path):
    """One without the lines that make the shipped profiles check themselves."""
    profile = tmp_path / "mine"
    profile.mkdir()
    (profile / "profile.yaml").write_text("cores: 1\nset-resourses:\n  page: {gpu: 1}\n")
    done = snakemake(origin, "--profile", profile, "--dry-run")
    assert done.status != 0
    assert "line 2: set-resourses: no such option; did you mean 'set-resources'?" in done.text


def test_shipped_profiles_are_valid(origin, snakemake):
    for profile in ("profiles/demo", "slurm", "profiles/slurm"):
        done = snakemake(
            origin, "--profile", profile, "--configfile", "config/demo.yaml", "--dry-run"
        )
        assert done.status == 0, done.text


def test_an_unknown_model_as_a_target_lists_the_known_ones(origin, snakemake):
    done = snakemake(
        origin, "--profile", "profiles/demo", "--dry-run", "results/demo/spectral/digits-9.csv"
    )
    assert done.status != 0
    assert "digits-9" in done.text
    assert "digits-4-untrained" in done.text


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("asr/xx/scores.csv", "no language 'xx' in asr.experiments and asr.languages; there are:"),
        ("asr/de/scores.csv", "nothing is trained for 'de': speech_corpora.cv-de is not download"),
        ("lm/mine/scores.csv", "no corpus 'mine' in lm.experiments and lm.corpora; there are:"),
        ("slu/alignment.csv", "no aligner can be scored: speech_corpora.timit is not downloaded"),
        ("slu/sentiment.csv", "no classifier can be scored: speech_corpora.slue is not download"),
    ],
)
def test_scores_that_nothing_can_be_trained_for_are_refused_before_a_job_fails(
    origin, snakemake, target, expected
):
    done = snakemake(origin, "--dry-run", "--cores", "1", f"results/paper/{target}")
    assert done.status != 0, done.text
    assert expected in done.text


@pytest.mark.parametrize(
    ("key", "value"), [("test_story", "nowhere"), ("validation", ["alternateithicatom", "nowhere"])]
)
def test_a_story_that_the_manifest_lacks_is_named_before_anything_is_fetched(
    origin, snakemake, tmp_path, key, value
):
    config = write_config(tmp_path / "my.yaml", brain={key: value})
    done = snakemake(origin, "--configfile", config, "--dry-run", "--cores", "1", "brain")
    assert done.status != 0
    assert f"brain.{key}: UTS01 has no story 'nowhere' in brain.stories and resources" in done.text


def test_published_values_of_another_form_are_refused_before_anything_is_trained(clone, snakemake):
    folder = clone()
    files = sorted((folder / "resources" / "published").glob("*.csv"))
    assert len(files) == 5
    for file in files:
        text = file.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        file.write_text("".join([*lines[:2], lines[1], *lines[2:]]), encoding="utf-8")
        done = snakemake(folder, "--dry-run", "--cores", "1", "spectral")
        assert done.status != 0, file
        assert f"resources/published/{file.name}: line 3: more than one row of" in done.text
        assert "Traceback" not in done.text
        file.write_text(text, encoding="utf-8")


def test_a_missing_weights_file_is_named(origin, snakemake, tmp_path):
    config = one_model_config(tmp_path / "my.yaml", tmp_path / "absent.safetensors")
    done = snakemake(origin, "--configfile", config, "--dry-run", "--cores", "1")
    assert done.status != 0
    assert "absent.safetensors" in done.text


@pytest.mark.real_data
def test_four_real_resnets_from_weights_to_table_and_figures(
    origin, snakemake, tmp_path, real_data
):
    """Expected values: notes on the CIFAR-10 ResNets under the 2019 protocol (measured)."""
    files = {20: "12fca82f", 32: "d509ac18", 44: "014dd654", 56: "4bfd9763"}
    accuracy = {20: 91.73, 32: 92.63, 44: 93.10, 56: 93.39}
    models = {
        f"net{n}": {
            "path": str(real_data / "cifar-resnets" / f"resnet{n}-{digest}.th"),
            "series": "ResNet-CIFAR10",
            "accuracy": accuracy[n],
        }
        for n, digest in files.items()
    }
    config = write_config(
        tmp_path / "my.yaml",
        pathvars={"results": "results/cifar", "logs": "logs/cifar"},
        models=models,
        spectral={"models": list(models), "pair": ["net20", "net56"], "esd": "net20"},
        brain={"subjects": []},
        lm={"experiments": None},
        asr={"experiments": None},
    )
    done = snakemake(
        tmp_path, "-s", origin / "Snakefile", "--configfile", config, "--cores", "2", "all"
    )
    assert done.status == 0, done.text
    results = tmp_path / "results/cifar"
    scores = read_scores(results / "spectral/summary.csv")
    measured = scores.pivot_table(index="model", columns="metric", values="value").loc[list(models)]
    fitted = measured["status_ok"] + measured["status_small_tail"]
    assert list(fitted) == [45, 81, 117, 153]
    assert list(measured["alpha"].round(4)) == [3.1435, 3.4224, 3.0836, 2.9776]
    assert list(measured["alpha_hat"].round(4)) == [1.1268, 0.5354, 0.1173, -0.1425]
    assert list(measured["alpha_hat_sum"].round(1)) == [50.7, 43.4, 13.7, -21.8]
    assert list(measured["alpha_hat_normalised_sum"].round(1)) == [-204.8, -457.3, -637.9, -844.7]

    table2 = pd.read_csv(results / "tables/capacity_table2.csv")
    here = table2[(table2["series"] == "ResNet-CIFAR10") & (table2["values"] == "measured")]
    tau = here.set_index("metric")["tau"]
    p = here.set_index("metric")["p"]
    assert tau["alpha_hat"] == pytest.approx(-1)
    assert p["alpha_hat"] == pytest.approx(1 / 12)
    assert tau["alpha"] == pytest.approx(-2 / 3)
    assert tau["alpha_hat_normalised"] == pytest.approx(-1 / 3)
    assert tau["depth"] == pytest.approx(1)
    assert abs(tau["log_spectral_norm"]) == pytest.approx(1)
    page = (results / "index.html").read_text(encoding="utf-8")
    assert "no better" in page
    for figure in ("capacity_figure1", "capacity_figure2", "capacity_figure4", "capacity_esd"):
        assert (results / f"figures/{figure}.svg").stat().st_size > 5000
        assert (results / f"figures/{figure}.png").stat().st_size > 5000


@pytest.mark.demo
def test_the_demo_trains_nets_that_read_digits(demo):
    results = demo / "results/demo"
    scores = read_scores(results / "spectral/summary.csv")
    accuracy = scores[scores["metric"] == "accuracy"].set_index("model")["value"]
    assert len(accuracy) == 6
    assert accuracy.drop("digits-4-untrained").min() > 95
    assert accuracy["digits-4-untrained"] < 30


@pytest.mark.demo
def test_every_score_traces_to_its_run_record(demo):
    results = demo / "results/demo"
    for path in [results / "spectral/summary.csv", *results.glob("models/*.scores.csv")]:
        ids = set(read_scores(path)["run"])
        beside = path.with_name(path.name.replace(".scores.csv", ".run.json"))
        record = beside if beside != path else path.with_name("summary.run.json")
        assert ids == {json.loads(record.read_text(encoding="utf-8"))["id"]}


@pytest.mark.parametrize(
    ("system", "rule", "target"),
    [
        ("asr", "train_recogniser", "asr/en/15x5-ls/0/weights.safetensors"),
        ("slu", "train_aligner", "slu/aligners/best/0/weights.safetensors"),
        ("brain", "train_fmri_prompt", "brain/UTS01/bpgpt/fmri_prompt.safetensors"),
    ],
)
def test_every_process_of_a_training_has_its_memory(
    origin, snakemake, tmp_path, system, rule, target
):
    asked = {}
    for devices in (1, 8):
        mine = tmp_path / "mine.yaml"
        mine.write_text(yaml.safe_dump({system: {"devices": devices, "device": "cuda"}}))
        arguments = ["--dry-run", "--configfile", mine, "--cores", "1", f"results/paper/{target}"]
        done = snakemake(origin, *arguments)
        jobs = re.findall(rf"rule {rule}:.*?resources: ([^\n]*)", done.text, re.DOTALL)
        assert jobs, done.text[-3000:]
        assert f"gpu={devices}" in jobs[0]
        asked[devices] = int(re.search(r"mem_mb=(\d+)", jobs[0])[1])
    assert asked[8] == 8 * asked[1]
