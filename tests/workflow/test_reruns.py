"""What reruns: nothing after cosmetic changes, exactly the readers after a real one."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.demo

TRAIN, AUDIT = "train_digits", "audit_model"
GROUP = {"summarise_audits"}


def tracked(folder):
    listing = subprocess.run(
        ["git", "-C", str(folder), "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    return [folder / name for name in listing.stdout.split("\0") if name]


def edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text(encoding="utf-8")
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.M)
    assert count == 1, f"{pattern!r} is not in {path}"
    path.write_text(changed, encoding="utf-8")


def test_second_run_has_nothing_to_do(demo, dry_run):
    assert dry_run(demo).nothing_to_do


def test_touching_every_source_file_reruns_nothing(copy, dry_run):
    later = time.time() + 60
    for path in tracked(copy):
        if not path.is_symlink():
            os.utime(path, (later, later))
    assert dry_run(copy).nothing_to_do


@pytest.mark.parametrize("metadata", [True, False], ids=["with-metadata", "results-alone"])
def test_a_fresh_clone_with_the_results_copied_in_reruns_nothing(demo, clone, dry_run, metadata):
    fresh = clone("another place")
    names = ["results", ".snakemake"] if metadata else ["results"]
    subprocess.run(["cp", "-a", *(str(demo / name) for name in names), str(fresh)], check=True)
    assert dry_run(fresh).nothing_to_do


def test_a_moved_checkout_reruns_nothing(copy, dry_run):
    moved = copy.with_name("moved here")
    copy.rename(moved)
    assert dry_run(moved).nothing_to_do


def test_editing_comments_and_docstrings_reruns_nothing(copy, dry_run):
    for path in (copy / "workflow" / "hearsay").rglob("*.py"):
        path.write_text("# A comment.\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
    edit(copy / "workflow/hearsay/spectral/power_law.py", r'^"""', '"""Another docstring. ')
    for path in (copy / "workflow" / "rules").glob("*.smk"):
        path.write_text(path.read_text(encoding="utf-8") + "# A comment.\n", encoding="utf-8")
    assert dry_run(copy).nothing_to_do


def test_editing_a_table_reruns_tables_and_page_only(copy, dry_run):
    path = copy / "workflow/hearsay/paper/capacity_table1.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert set(jobs) == {"all", "page", "capacity_table1"}


def test_editing_the_fit_reruns_the_audits_and_trains_nothing(copy, dry_run):
    path = copy / "workflow/hearsay/spectral/power_law.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert TRAIN not in jobs
    assert jobs[AUDIT] == 6
    assert {"summarise_audits", "page", "capacity_table1"} <= set(jobs)


def test_editing_the_training_loop_retrains(copy, dry_run):
    path = copy / "workflow/hearsay/training/loop.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs[TRAIN] == 6
    assert jobs["train_text_prompt"] == 9
    assert jobs["train_fmri_prompt"] == 15
    assert jobs["train_language_model"] == 4
    assert jobs["train_recogniser"] == 12


def test_editing_generation_decodes_again_and_trains_nothing(copy, dry_run):
    path = copy / "workflow/hearsay/brain/generate.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    jobs = dry_run(copy).jobs
    assert jobs["decode_story"] == 15
    assert not {"train_text_prompt", "train_fmri_prompt", "prepare_stories", TRAIN} & set(jobs)


def test_one_setting_of_stage_2_leaves_stage_1_alone(copy, dry_run):
    edit(
        copy / "config/demo.yaml",
        r"^  controls: ",
        "  settings: {wr-frozen: {recipe: {stop: words, finetune: none, temperature: 0.2}}}\n"
        "  controls: ",
    )
    jobs = dry_run(copy).jobs
    assert jobs["train_fmri_prompt"] == jobs["decode_story"] == jobs["score_story"] == 2
    assert not {"train_text_prompt", "prepare_stories", "fetch_subject"} & set(jobs)


def test_adding_a_subject_runs_only_that_one_and_the_tables(copy, dry_run):
    edit(
        copy / "config/demo.yaml", r"subjects: \[SIM01, SIM02, SIM03\]", "subjects: [SIM01, SIM02]"
    )
    edit(copy / "config/demo.yaml", r"^    SIM03: .*$", "")
    jobs = dry_run(copy).jobs
    assert not {"fetch_subject", "train_text_prompt", "decode_story", "score_story"} & set(jobs)
    assert {"bpgpt_table1", "page"} <= set(jobs)


def test_editing_the_settings_module_alone_reruns_nothing(copy, dry_run):
    path = copy / "workflow/hearsay/settings/spectral.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    assert dry_run(copy).nothing_to_do


def test_changing_one_setting_reruns_only_its_readers(copy, dry_run):
    edit(copy / "config/demo.yaml", r"layers: 3, epochs: \d+", "layers: 3, epochs: 7")
    jobs = dry_run(copy).jobs
    assert jobs[TRAIN] == 1
    assert jobs[AUDIT] == 1


def test_adding_a_model_runs_only_that_one_and_the_group_steps(copy, dry_run):
    path = copy / "config/demo.yaml"
    added = "  digits-7: {digits: {layers: 7, epochs: 1}, series: digits}"
    edit(path, r"^models:$", f"models:\n{added}")
    edit(path, r"models: \[", "models: [digits-7, ")
    done = dry_run(copy)
    assert done.jobs[TRAIN] == 1
    assert done.jobs[AUDIT] == 1
    assert "digits-7" in done.text


def test_one_model_alone_is_a_target(copy, dry_run):
    jobs = dry_run(copy, "--forceall", "results/demo/spectral/digits-3.csv").jobs
    assert jobs[TRAIN] == jobs[AUDIT] == 1
    assert not GROUP & set(jobs)


def test_a_deleted_table_is_made_again_without_training(copy, dry_run):
    (copy / "results/demo/tables/capacity_table1.csv").unlink()
    jobs = dry_run(copy).jobs
    assert set(jobs) == {"all", "capacity_table1", "page"}
