"""What every rules file uses: settings, code digests, the command that runs a step."""

import json
import os
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
# Jobs import the library of this checkout, whichever one the environment has installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

from hearsay.config import check_profile, load
from hearsay.errors import InputError
from hearsay.provenance import code_of

try:
    settings = load(
        config,
        files=[ROOT / "config" / "config.yaml", *workflow.overwrite_configfiles],
        overrides=workflow.config_settings.config,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

# A conda environment brings its own Python; otherwise jobs use the one that runs Snakemake.
uses_conda = bool(workflow.deployment_settings.deployment_method)
step = f"{'python' if uses_conda else shlex.quote(sys.executable)} -m hearsay.step"


def as_json(**values):
    """Values for a step's --settings, in one order, so that equal settings are equal params."""
    return json.dumps(values, sort_keys=True)


def check_profiles():
    """Refuse misspelt keys and rules in the profiles given on this command line."""
    if not workflow.is_main_process:
        return
    import snakemake.cli

    parser, arguments = snakemake.cli.parse_args(sys.argv[1:])
    named = [*(arguments.profile or []), *filter(None, [arguments.workflow_profile])]
    options = [flag[2:] for a in parser._actions for flag in a.option_strings if flag[:2] == "--"]
    for name in named:
        found = snakemake.cli.get_profile_dir(str(name))
        if found is not None:
            try:
                check_profile(found[1], [rule.name for rule in workflow.rules], options)
            except InputError as error:
                raise WorkflowError(str(error)) from None
