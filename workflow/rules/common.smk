"""What every rules file uses: settings, code digests, the command that runs a step."""

import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
# A profile may have imported the installed library: rules and digests are this checkout's.
for name in [name for name in sys.modules if name.partition(".")[0] == "hearsay"]:
    del sys.modules[name]

from hearsay.config import load
from hearsay.errors import InputError
from hearsay.provenance import code_of as digest_of
from hearsay.step import share_with_jobs


@contextmanager
def told_by_snakemake():
    """Hand what a user can put right to Snakemake, which shows the message without a traceback."""
    try:
        yield
    except InputError as error:
        raise WorkflowError(str(error)) from None


with told_by_snakemake():
    settings = load(
        config,
        files=[ROOT / "config" / "config.yaml", *workflow.overwrite_configfiles],
        overrides=workflow.config_settings.config,
    )

share_with_jobs(python=not workflow.deployment_settings.deployment_method)

# Every rule's command is one step. `exec` puts it in the shell's place, so that a SIGTERM before a
# job's time limit reaches the training loop, which saves and exits.
shell.prefix("exec ")


if settings.container:

    container: settings.container


# Names are parts of paths: none of them spans folders.
wildcard_constraints:
    model="[^/]+",
    dataset="[^/]+",
    subject="[^/]+",
    setting="[^/]+",
    story="[^/]+",
    corpus="[^/]+",
    run="[^/]+",
    seed=r"\d+",
    language="[^/]+",
    part="[^/]+",
    archive="[^/]+",


# Committed lists of a dataset's files, by which a dry run plans without network.
MANIFESTS = [dataset.manifest for dataset in settings.fmri_datasets.values() if dataset.manifest]


for name in MANIFESTS:
    if ".." in Path(name).parts or not (ROOT / name).is_file():
        raise WorkflowError(
            f"fmri_datasets: manifest {name!r} is no file of the repository; correct it, or set it "
            "to null"
        )


def code_of(step, *files):
    """Digest of a step's code, made when a job needs it: a Slurm job digests its own step only."""
    return lambda wildcards: digest_of(step, *files)


def table_path(key, table):
    """A table that a setting names: in the working directory, else in the repository."""
    for path in (Path(table), ROOT / table):
        if path.is_file():
            return path
    raise WorkflowError(
        f"{key}: no file {table!r}, neither in {Path.cwd()} nor in {ROOT}; correct it, or set it "
        "to null"
    )


def as_json(**values):
    """Values for a step's --settings, in one order, so that equal settings are equal params."""
    return json.dumps(values, sort_keys=True)


def grown(value):
    """A resource for the first attempt, and as much again for the second and for all others.

    `value` is a number (MB of memory), a time such as "2h", or a function of the wildcards. Steps
    that train do not grow in time, since they go on where the time limit cut them off; they may need
    many attempts, which must not end with more memory than any node has.
    """
    if isinstance(value, str):
        value = int(value[:-1]) * {"m": 1, "h": 60}[value[-1]]
    return lambda wildcards, attempt: (
        min(attempt, 3) * (value(wildcards) if callable(value) else value)
    )
