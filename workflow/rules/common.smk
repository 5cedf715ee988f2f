"""What every rules file uses: settings, code digests, the command that runs a step."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
# A profile may have imported the installed library: rules and digests are this checkout's.
for name in [name for name in sys.modules if name.partition(".")[0] == "hearsay"]:
    del sys.modules[name]

from hearsay.config import load
from hearsay.errors import InputError
from hearsay.profiles import check_profile, options_of, profiles_of
from hearsay.provenance import code_of
from hearsay.step import share_with_jobs

try:
    settings = load(
        config,
        files=[ROOT / "config" / "config.yaml", *workflow.overwrite_configfiles],
        overrides=workflow.config_settings.config,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

share_with_jobs(python=not workflow.deployment_settings.deployment_method)

# Every rule's command is one step. `exec` puts it in the shell's place, so that a SIGTERM before a
# job's time limit reaches the training loop, which saves and exits.
shell.prefix("exec ")


def as_json(**values):
    """Values for a step's --settings, in one order, so that equal settings are equal params."""
    return json.dumps(values, sort_keys=True)


def model_settings(model, *kinds):
    """The settings of a model, which is one of `kinds` (hub, url, path, digits) if any are given."""
    if model not in settings.models:
        raise ValueError(f"no model {model!r}; there are: {', '.join(settings.models)}")
    source = settings.models[model]
    if kinds and all(getattr(source, kind) is None for kind in kinds):
        raise ValueError(f"models.{model} is none of: {', '.join(kinds)}")
    return source


def weights_of(model):
    """File or folder that holds a model's weights."""
    source = model_settings(model)
    if source.path is not None:
        return source.path
    if source.digits is not None:
        return f"<results>/models/{model}.safetensors"
    return f"<resources>/models/{model}"


def page_manifest(results, records):
    """What the page shows, in the form that hearsay.paper.manifest describes."""
    items = [
        {
            "label": label,
            "title": title,
            kind: f"{results}/{kind}s/{name}.{'json' if kind == 'table' else 'svg'}",
            "caption": f"{name}.rst",
            "record": f"{results}/{kind}s/{name}.run.json",
            "files": [f"{results}/{kind}s/{name}.{ending}" for ending in endings],
        }
        for kind, shown, endings in (
            ("table", TABLES, ("csv", "md", "tex")),
            ("figure", FIGURES, ("svg", "png")),
        )
        for name, (label, title) in shown.items()
    ]
    capacity = {
        "id": "capacity",
        "title": "Universality and Capacity Metrics in Deep Neural Networks",
        "authors": "Martin and Mahoney, 2019",
        "text": "capacity.rst",
        "items": items,
        "records": records,
    }
    configuration = os.path.basename(results)
    return as_json(
        title="hearsay", configuration=configuration, about="workflow.rst", sections=[capacity]
    )


def check_profiles():
    """Refuse misspelt keys and rules in the profiles given on this command line."""
    import snakemake.cli

    try:
        for file in profiles_of(sys.argv[1:], snakemake.cli) if workflow.is_main_process else []:
            check_profile(file, options_of(snakemake.cli), [rule.name for rule in workflow.rules])
    except InputError as error:
        raise WorkflowError(str(error)) from None


def check_python_path():
    """Refuse a cluster run that could not start: the Slurm plugin does not quote Python's path."""
    if " " in sys.executable and not workflow.executor_plugin.common_settings.local_exec:
        raise WorkflowError(
            f"{sys.executable}: Slurm jobs cannot start a Python whose path holds a space; "
            "put the environment elsewhere, such as: make install VENV=$HOME/hearsay-env"
        )
