"""What Snakemake's arguments say about folders, settings and the profile."""

import importlib.metadata
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from hearsay.config import load
from hearsay.errors import InputError
from hearsay.provenance import ROOT
from hearsay.settings import Settings

# Options with values that stand between the words of a command line.
_LISTS = ("--configfile", "--configfiles", "--config", "-C")


def values_of(arguments: Sequence[str], *flags: str) -> list[str]:
    """Values given to any of `flags`; an option that takes a list takes all up to the next one."""
    found: list[str] = []
    taking = 0
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument.startswith("-") and argument != "-":
            taking = 0
            if name in flags:
                taking = 2**31 if name in _LISTS else 1
                if equals:
                    found.append(value)
                    taking -= 1
        elif taking:
            found.append(argument)
            taking -= 1
    return found


def directory_of(arguments: Sequence[str]) -> Path:
    """The working directory of the workflow."""
    return Path((values_of(arguments, "--directory", "-d") or ["."])[-1]).resolve()


def profile_of(arguments: Sequence[str]) -> dict[str, Any]:
    """Keys of the profiles named; a later one wins. A list of ``key=value`` becomes a mapping.

    Raises
    ------
    InputError
        if there is no such profile.
    """
    merged: dict[str, Any] = {}
    for name in values_of(arguments, "--profile", "--workflow-profile"):
        folders = [Path(), Path("profiles"), ROOT, ROOT / "profiles"]
        own = [os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"]
        own += (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
        folders += [Path(folder, "snakemake") for folder in own]
        file = next(filter(None, (_profile_at(folder / name) for folder in folders)), None)
        if file is None:
            raise InputError(f"profile {name!r}: no such folder with a profile.yaml")
        merged |= _read(file)
    return merged


def _profile_at(place: Path) -> Path | None:
    """A profile's file, of several the one for the newest Snakemake that is not newer than ours."""
    if place.is_file():
        return place
    version = int(importlib.metadata.version("snakemake").partition(".")[0])
    found = {}
    for file in sorted(place.glob("*.yaml")):
        named = re.fullmatch(r"(?:profile|config)(?:\.v(\d+)\+)?\.yaml", file.name)
        if named and int(named[1] or 0) <= version:
            found[file] = int(named[1] or 0)
    return max(found, key=lambda file: found[file], default=None)


def settings_of(arguments: Sequence[str]) -> Settings:
    """The workflow's settings under Snakemake's arguments and profile.

    Raises
    ------
    InputError
        for a configuration that the workflow refuses too.
    """
    given = values_of(arguments, "--configfile", "--configfiles")
    profile = profile_of(arguments)
    if not given and (named := profile.get("configfile", [])):
        given = [named] if isinstance(named, str) else list(named)
    files = [ROOT / "config" / "config.yaml"]
    for name in given:
        files.append(Path(name) if Path(name).exists() else ROOT / name)
    merged: dict[str, Any] = {}
    for file in files:
        _lay_over(merged, _read(file))
    return load(merged, files, {})


def _read(file: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: cannot be read: {' '.join(str(error).split())}") from None
    return values if isinstance(values, dict) else {}


def _lay_over(lower: dict[str, Any], upper: Mapping[str, Any]) -> None:
    for key, value in upper.items():
        if isinstance(value, Mapping) and isinstance(lower.get(key), dict):
            _lay_over(lower[key], value)
        else:
            lower[key] = value
