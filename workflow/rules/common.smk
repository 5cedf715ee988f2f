"""What every rules file uses: settings, code digests, the command that runs a step."""

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=False)).parent.parent
sys.path.insert(0, str(ROOT / "workflow"))
# Jobs import the library of this checkout, whichever one the environment has installed.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(ROOT / "workflow"), *filter(None, [os.environ.get("PYTHONPATH")])]
)

from hearsay.config import load
from hearsay.errors import InputError
from hearsay.profiles import check_profile, options_of, profiles_of
from hearsay.provenance import code_of

try:
    settings = load(
        config,
        files=[ROOT / "config" / "config.yaml", *workflow.overwrite_configfiles],
        overrides=workflow.config_settings.config,
    )
except InputError as error:
    raise WorkflowError(str(error)) from None

# Jobs find the Python that runs Snakemake, activated or not; a conda environment brings its own.
if not workflow.deployment_settings.deployment_method:
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

# Every rule's command is one step. `exec` puts it in the shell's place, so that a SIGTERM before a
# job's time limit reaches the training loop, which saves and exits.
shell.prefix("exec ")


def as_json(**values):
    """Values for a step's --settings, in one order, so that equal settings are equal params."""
    return json.dumps(values, sort_keys=True)


def check_profiles():
    """Refuse misspelt keys and rules in the profiles given on this command line."""
    import snakemake.cli

    try:
        for file in profiles_of(sys.argv[1:], snakemake.cli) if workflow.is_main_process else []:
            check_profile(file, options_of(snakemake.cli), [rule.name for rule in workflow.rules])
    except InputError as error:
        raise WorkflowError(str(error)) from None
