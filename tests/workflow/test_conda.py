"""The conda environment of the rules can be made by Snakemake; conda itself is stood in for."""

import os
import sys

# What conda does with the pip part of the file that it is given: a file of requirements beside it,
# read by pip with that folder as the working directory.
CONDA = """\
#!{python}
import json, os, sys
from pathlib import Path
import yaml
words = sys.argv[1:]
if words == ["--version"]:
    print("conda 25.1.1")
elif words[:2] == ["info", "--json"]:
    print(json.dumps(dict(conda_prefix={prefix!r}, platform="linux-64")))
elif words[:2] == ["config", "--get"]:
    print(json.dumps(dict(get=dict(channel_priority="strict"))))
elif words[:2] == ["env", "create"]:
    from pip._internal.network.session import PipSession
    from pip._internal.req.req_file import parse_requirements
    file = Path(words[words.index("--file") + 1])
    os.chdir(file.parent)
    wanted = yaml.safe_load(file.read_text())["dependencies"]
    [pip] = [one["pip"] for one in wanted if isinstance(one, dict)]
    Path("requirements.txt").write_text("\\n".join(pip))
    asked = list(parse_requirements("requirements.txt", PipSession()))
    [project] = [one.requirement for one in asked if one.is_editable]
    pinned = sum(one.constraint for one in asked)
    Path({told!r}).write_text(f"{{os.path.realpath(project)}}\\n{{pinned}}")
    Path(words[words.index("--prefix") + 1]).mkdir()
"""


def test_snakemake_makes_the_environment_of_this_checkout(clone, snakemake, tmp_path, monkeypatch):
    checkout, told = clone("a clone"), tmp_path / "told"
    conda = tmp_path / "bin" / "conda"
    conda.parent.mkdir()
    conda.write_text(CONDA.format(python=sys.executable, prefix=str(tmp_path), told=str(told)))
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", str(conda.parent), prepend=os.pathsep)
    done = snakemake(
        checkout,
        *["--configfile", "config/demo.yaml", "--cores", "1", "--software-deployment-method"],
        *["conda", "--conda-create-envs-only", "results/demo/models/digits-2.safetensors"],
    )
    assert done.status == 0, done.text
    project, pinned = told.read_text().splitlines()
    assert project == os.path.realpath(checkout)
    constraints = (checkout / "envs" / "constraints.txt").read_text("utf-8")
    assert int(pinned) == sum("==" in line for line in constraints.splitlines())
