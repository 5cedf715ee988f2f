"""Every command in the pages of docs/ does what its page says, as far as that costs little.

Snakemake's commands become dry runs: with `--cores 1` in place of `--profile slurm`, whose own keys
tests/slurm runs, in a fresh clone that has the page's `my.yaml`. Commands of the library run as
they stand. A command that is neither fails.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "cluster.md")


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands():
    """Page and command, of all blocks marked sh; and of README's table of what a user does."""
    found = [(page, line) for page in PAGES for b in blocks(page, "sh") for line in b.splitlines()]
    readme = ROOT / "README.md"
    table = readme.read_text("utf-8").partition("## What a user does")[2].partition("\n\nAfter")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")]
    found += [(readme, c) for row in rows for c in re.findall(r"`(snakemake [^`]*)`", row)]
    return found


COMMANDS = commands()


@pytest.fixture(scope="module")
def checkout(origin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs") / "hearsay"
    subprocess.run(["git", "clone", "--quiet", str(origin), str(folder)], check=True)
    return folder


def test_commands_are_found():
    assert len(COMMANDS) >= 20
    assert len(PAGES) >= 7


@pytest.mark.parametrize(
    ("page", "command"), COMMANDS, ids=[f"{page.name}: {text}" for page, text in COMMANDS]
)
def test_a_command_of_the_documentation_works(page, command, checkout):
    own = [text for text in blocks(page, "yaml") if text.startswith("# my.yaml")]
    if own:
        (checkout / "my.yaml").write_text(own[0], encoding="utf-8")
        # Files that a page's reader has.
        for path in re.findall(r"path: (data/[^,}\s]+)", own[0]):
            (checkout / path).parent.mkdir(exist_ok=True)
            (checkout / path).touch()
    program, *arguments = shlex.split(command)
    if program == "snakemake":
        text = shlex.join(arguments).replace("--profile slurm", "--cores 1")
        if "--lint" not in text:
            text = f"--dry-run {text}"
        if "/timit/" in text:  # licensed: its reader has a copy, and has named it
            (checkout / "data" / "timit").mkdir(parents=True, exist_ok=True)
            licensed = "speech_corpora: {timit: {path: data/timit}}\n"
            (checkout / "timit.yaml").write_text(licensed, encoding="utf-8")
            text += " --configfile timit.yaml"
        arguments = ["-m", "snakemake", *shlex.split(text)]
    else:
        assert program == "python", f"{page.name}: no test knows how to run: {command}"
    environment = {**os.environ, "PYTHONPATH": str(checkout / "workflow")}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{page.name}: {command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8"))
    absent = [link for link in links if not (page.parent / link).exists()]
    assert not absent
