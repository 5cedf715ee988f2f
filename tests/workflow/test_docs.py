"""Every command of docs/ and of README's table does what its page says, where that costs little.

Snakemake's commands become dry runs, under their own profile, in a fresh clone that has the page's
`my.yaml`. Commands of the library run as they stand. Those that ask a Slurm or results, of which a
fresh clone has none, end with the one line that says so. A command that is neither fails.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = sorted((ROOT / "docs").glob("*.md"))
CLUSTER = "python -m hearsay.cluster"
NO_SLURM = "not found; run this on a node from which jobs are submitted"
# What a command says in a clone where nothing has run and from where no Slurm is reached.
ONE_LINE = {
    f"{CLUSTER} doctor": f"scontrol: {NO_SLURM}",
    f"{CLUSTER} resume": f"squeue: {NO_SLURM}",
    f"{CLUSTER} usage": "{clone}/logs/paper/benchmarks: no such folder; run the workflow first",
    "python -m hearsay.trace egru_table1": (
        "results/paper/tables/egru_table1.json: no such table; run `snakemake tables` first"
    ),
    "python -m hearsay.compare results/paper": "results/paper: no such folder",
}


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands_of(page):
    """Commands of a page's blocks marked sh, and those that its text or a table names in full."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    text = page.read_text("utf-8")
    if page == README:
        text = text.partition("## What a user does")[2].partition("## Where to change what")[0]
    text = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.M | re.S)
    named = re.findall(r"`((?:snakemake --|python -m hearsay\.|… )[^`]*)`", text)
    named = [command.replace("…", CLUSTER) for command in named]
    return [command for command in [*lines, *named] if "…" not in command]


COMMANDS = [(page, c) for page in [*PAGES, README] for c in dict.fromkeys(commands_of(page))]


@pytest.fixture(scope="module")
def checkout(origin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "hearsay"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)
    return folder


def test_commands_are_found():
    assert len(COMMANDS) >= 35
    assert len(PAGES) >= 8
    of_readme = [command for page, command in COMMANDS if page == README]
    assert sum(command.startswith("python ") for command in of_readme) >= 7


def test_no_block_of_commands_is_left_out():
    """A block without a language, or of another, holds none of the commands that are run here."""
    for page in PAGES:
        text = re.sub(r"^````\n.*?^````$", "", page.read_text("utf-8"), flags=re.M | re.S)
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
            if language != "sh":
                assert not re.search(r"^(snakemake|python|make) ", block, re.M), (page.name, block)


def files_of_a_reader(page, command, checkout):
    """What a page's reader has: the page's my.yaml and tables, files they name, licensed data."""
    own = [text for text in blocks(page, "yaml") if text.startswith("# my.yaml")]
    if own:
        (checkout / "my.yaml").write_text(own[0], encoding="utf-8")
    for path in re.findall(r"path: (data/[^,}\s]+)", "\n".join([*own[:1], command])):
        (checkout / path).parent.mkdir(exist_ok=True)
        (checkout / path).touch()
    for table in blocks(page, "tsv"):
        (checkout / table.splitlines()[0].removeprefix("# ")).write_text(table, encoding="utf-8")
    if "mine.yaml" in command:
        (checkout / "mine.yaml").write_text("brain: {subjects: [UTS02]}\n", encoding="utf-8")
    if " model.safetensors" in command:
        drawn = np.random.default_rng(0).standard_normal((60, 80)).astype(np.float32)
        save_file({"layer.weight": drawn}, checkout / "model.safetensors")
    for corpus in copies_wanted(page, command):
        (checkout / "data" / corpus).mkdir(parents=True, exist_ok=True)
        licensed = f"speech_corpora: {{{corpus}: {{path: data/{corpus}}}}}\n"
        (checkout / f"{corpus}.yaml").write_text(licensed, encoding="utf-8")


def copies_wanted(page, command):
    """Corpora of which README's table wants a copy named, where it gives the command."""
    wanted = {"/timit/": "timit", "/asr/de/": "cv-de"}
    return [corpus for part, corpus in wanted.items() if page == README and part in command]


def run(arguments, checkout, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "workflow"), **environment},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.name}: {text}" for page, text in COMMANDS]
)
def test_a_command_of_the_documentation_works(page, command, checkout, tmp_path):
    files_of_a_reader(page, command, checkout)
    program, *arguments = shlex.split(command, comments=True)
    if program == "snakemake" and "--report" in arguments:
        # A report of the demo's results is tested in test_report.py; here there are none.
        done = run(["-m", "snakemake", *arguments], checkout)
        assert done.returncode == 1
        assert "marked for report but does not exist" in done.stdout + done.stderr
        return
    if program == "snakemake":
        if "--lint" not in arguments:
            arguments.insert(0, "--dry-run")
        for corpus in copies_wanted(page, command):
            arguments += ["--configfile", f"{corpus}.yaml"]
        done = run(["-m", "snakemake", *arguments], checkout)
        assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}{done.stderr}"
        return
    assert program == "python", f"{page.name}: no test knows how to run: {command}"
    lines = [line for start, line in ONE_LINE.items() if command.startswith(start)]
    if not lines or "--help" in arguments:
        done = run(arguments, checkout)
        assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}{done.stderr}"
        return
    if NO_SLURM in lines[0] and importlib.util.find_spec("pyslurm"):
        pytest.skip("pyslurm is installed, and asked in place of Slurm's commands")
    done = run(arguments, checkout, PATH=str(tmp_path))  # where no program is, Slurm's neither
    assert done.returncode == 1, f"{page.name}: {command}\n{done.stdout}{done.stderr}"
    assert done.stderr == f"error: {lines[0].format(clone=checkout)}\n"


def test_the_profile_works_from_another_folder(checkout, tmp_path):
    text = " ".join(README.read_text("utf-8").split())
    told = re.search(r"from elsewhere give `([^`]*)`", text)[1]
    options = told.replace("PATH/", f"{checkout}/").replace("WORK", str(tmp_path / "work"))
    (tmp_path / "work").mkdir()
    done = run(["-m", "snakemake", "--dry-run", *shlex.split(options), "spectral"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "audit_model" in done.stdout


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    absent = [link for link in links if not (page.parent / link).exists()]
    assert not absent
