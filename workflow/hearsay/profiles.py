"""Check Snakemake's profiles: what Snakemake passes over in silence, or buries in its usage text.

Nothing here imports Snakemake; the caller hands its command line module over.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

import yaml

from hearsay.config import keys_twice, pairs, relative, yaml_nodes
from hearsay.dangling_names import nearest
from hearsay.errors import InputError

# Profile keys whose own keys are names of rules.
BY_RULE = ("set-resources", "set-threads", "groups", "consider-ancient")
ARRAYS = "slurm-array-jobs"
CONFIG_FILES = ("--configfile", "--configfiles")
TEMPLATE_KEYS = ("__use_yte__", "__definitions__", "__variables__")


def check_profile(file: Path, options: Iterable[str], rules: Iterable[str] | None = None) -> None:
    """Check the keys of one profile.

    Parameters
    ----------
    file : the profile's YAML file.
    options : long options of Snakemake and its plugins, without dashes.
    rules : names of all rules; None where they are not known yet.

    Raises
    ------
    InputError
        with one line for every unknown key, every key that stands twice, and every unknown rule
        under ``set-resources``, ``set-threads``, ``groups`` and the like.
    """
    options = {*options, *TEMPLATE_KEYS}
    rules = None if rules is None else set(rules)
    root = yaml_nodes(file)
    lines = keys_twice(file, root)
    for key, node, value in pairs(root):
        line = f"{relative(file)}, line {node.start_mark.line + 1}"
        if key not in options:
            shown = f" = {value.value}" if isinstance(value.value, str) else ""
            lines.append(f"{line}: {key}{shown}: no such option{nearest(key, sorted(options))}")
        named = [(rule, at) for rule, at, _ in pairs(value)] if key in BY_RULE else []
        if key == ARRAYS and isinstance(value.value, str):
            named = [(rule, node) for rule in array_rules(value.value) - {"all"}]
        for rule, rule_node in named:
            if rules is not None and rule not in rules:
                line = f"{relative(file)}, line {rule_node.start_mark.line + 1}"
                lines.append(f"{line}: {key}.{rule}: no such rule{nearest(rule, sorted(rules))}")
    if lines:
        raise InputError("the profile is not valid", *lines)


def array_rules(text: str) -> set[str]:
    """Names in the value of ``slurm-array-jobs``."""
    return {name.strip() for name in text.split(",") if name.strip()}


def check_arrays(
    selected: set[str], jobs: Mapping[str, int], limit: int, limited: Mapping[str, set[str]]
) -> None:
    """Refuse a run whose job arrays may be cut short.

    The Slurm plugin (2.8) collects the jobs of an array until all that are ready have come. One
    that Snakemake holds back, for its limit of jobs in flight or of a resource, never comes, and
    the others are never sent.

    Parameters
    ----------
    selected : rules whose jobs go in arrays; ``all`` is every rule.
    jobs : number of jobs that will run, by rule.
    limit : most jobs in flight at once.
    limited : resources with a limit over all jobs that a rule's jobs ask for, by rule.

    Raises
    ------
    InputError
        that names the limit and says what to set.
    """
    in_arrays = [r for r in jobs if (r in selected or "all" in selected) and jobs[r] > 1]
    total = sum(jobs.values())
    if in_arrays and total > limit:
        raise InputError(
            f"{total} jobs, of which {limit} may be in flight: a job array of {in_arrays[0]} that "
            'is cut short would never be sent; give --jobs unlimited, or --slurm-array-jobs ""'
        )
    for rule in in_arrays:
        if names := limited.get(rule):
            raise InputError(
                f"{rule} is in slurm-array-jobs and asks for {', '.join(sorted(names))}, of which "
                "there are only so many (resources in the profile): its arrays could be cut short "
                "and would never be sent; take it out of slurm-array-jobs"
            )


def profiles_of(arguments: list[str], cli: ModuleType) -> list[Path]:
    """Profile files that a command line (or SNAKEMAKE_PROFILE) names; `cli` is snakemake.cli."""
    named = os.environ.get("SNAKEMAKE_PROFILE", "").split(",")
    for k, argument in enumerate(arguments):
        for flag in ("--profile", "--workflow-profile"):
            if argument == flag:
                named += arguments[k + 1 : k + 2]
            elif argument.startswith(f"{flag}="):
                named.append(argument.partition("=")[2])
    # A workflow profile may lie in a folder `profiles` beside the Snakefile.
    beside = [f"profiles/{name}" for name in named if name and not Path(name).exists()]
    found = [cli.get_profile_dir(name) for name in [*named, *beside] if name and name != "none"]
    return [entry[1] for entry in found if entry is not None]


def options_of(cli: ModuleType) -> list[str]:
    """All long options of Snakemake and its plugins; `cli` is the module snakemake.cli."""
    flags = [flag for a in cli.get_argument_parser()._actions for flag in a.option_strings]
    return [flag[2:] for flag in flags if flag.startswith("--")]


def check_config_files(arguments: Iterable[str]) -> None:
    """Check that the configuration files of a command line can be read and have keys.

    Raises
    ------
    InputError
        with the file, and the line where it is not YAML.
    """
    named, follow = [], False
    for argument in arguments:
        option, _, value = argument.partition("=")
        if argument.startswith("-"):
            follow = argument in CONFIG_FILES
            named += [value] if option in CONFIG_FILES and value else []
        elif follow:
            named.append(argument)
    for file in map(Path, named):
        if not isinstance(yaml_nodes(file), yaml.MappingNode):
            raise InputError(
                f"{relative(file)}: has no keys with values; give it some, or leave it out"
            )


def check_options(arguments: list[str], cli: ModuleType) -> None:
    """Check what a command line names before Snakemake reads it; exit with one message.

    The shipped profiles call this, since Snakemake answers a misspelt key of theirs with its whole
    usage, and a configuration file that cannot be read with a traceback.
    """
    try:
        check_config_files(arguments)
        for file in profiles_of(arguments, cli):
            check_profile(file, options_of(cli))
    except InputError as error:
        raise SystemExit(f"error: {error}") from None
