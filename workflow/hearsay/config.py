"""Read the configuration; say in one readable message what is wrong with it, and where."""

import datetime
import itertools
import json
import re
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hearsay.dangling_names import dangling_names, nearest
from hearsay.errors import InputError
from hearsay.provenance import ROOT
from hearsay.settings import Settings
from hearsay.settings.closed import SECRET

_MOST = 40  # faults that are told at once
_TOKEN = re.compile(r"\bhf_[A-Za-z0-9]{8,}")
_PASSWORD = re.compile(r"://[^/\s\"]*@")
_PARAMETER = re.compile(
    r"([?&][\w.-]*(?:token|secret|passw|key|sig|credential)[\w.-]*)=[^&\s\"]*", re.I
)

MAY_REPEAT = ("<<", "?")  # keys of YAML's merging, and of the templates that profiles are
COMMAND_LINE = "--config on the command line"


def load(
    config: Mapping[str, Any], files: Iterable[Path | str], overrides: Mapping[str, Any]
) -> Settings:
    """Check a merged configuration and return it as settings.

    Parameters
    ----------
    config : the merged configuration.
    files : the files it was merged from, later ones winning; used to tell where an error lies.
    overrides : what was given on the command line.

    Raises
    ------
    InputError
        with one line for every fault: file and line, key path, value, and the nearest valid key.
    """
    sources = [(Path(file), yaml_nodes(Path(file))) for file in files]
    if twice := [line for file, root in sources for line in keys_twice(file, root)]:
        raise InputError("the configuration is not valid", *twice[:_MOST])
    try:
        settings = Settings.model_validate(dict(config))
        faults = [(path, value, text) for path, value, text in dangling_names(settings)]
    except ValidationError as error:
        faults = [(_keys_of(e, config), e["input"], _explain(e)) for e in error.errors()]
    else:
        if not faults:
            return settings
    lines = []
    for path, value, text in faults[:_MOST]:
        where = _locate(path, sources, overrides)
        shown = f" = {_short(value, path)}" if value is not None and path else ""
        lines.append(f"{where}: {_dotted(path)}{shown}: {text}")
    if len(faults) > _MOST:
        lines.append(f"and {len(faults) - _MOST} faults more")
    raise InputError("the configuration is not valid", *lines)


def _keys_of(error: Any, config: Any) -> tuple[str | int, ...]:
    """Keys that lead to a fault; pydantic's path also names the kinds a value may have."""
    keys: list[str | int] = []
    for part in error["loc"]:
        indexed = isinstance(config, list | tuple) and isinstance(part, int)
        if indexed or (isinstance(config, Mapping) and part in config):
            keys.append(part)
            config = config[part]
    if error["type"] == "missing":
        keys.append(error["loc"][-1])
    return tuple(keys)


def _explain(error: Any) -> str:
    kind, path = error["type"], [p for p in error["loc"] if p != "[key]"]
    if kind == "extra_forbidden":
        return f"no such setting{nearest(str(path[-1]), _keys_at(path[:-1]))}"
    if kind == "string_pattern_mismatch":
        return f"does not look like {error['ctx']['pattern']}"
    given = error["input"]
    if kind == "model_type":
        nothing = "has nothing in it; give its keys, or leave it out"
        return nothing if given is None else "input should be keys with values"
    text = error["msg"].removeprefix("Value error, ")
    unquoted = kind == "string_type" and isinstance(given, int | float | datetime.date)
    if unquoted or (kind == "literal_error" and repr(str(given)) in text):
        text += "; put it in quotes, which make it text"
    return text[:1].lower() + text[1:]


def _keys_at(path: list[str | int]) -> list[str]:
    """Setting names that are valid below `path`."""
    kind: Any = Settings
    for part in path:
        if typing.get_origin(kind) is dict:
            kind = typing.get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        if typing.get_origin(kind) in (typing.Union, types.UnionType):
            kind = next(a for a in typing.get_args(kind) if a is not type(None))
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return list(kind.model_fields) if is_model else []


def yaml_nodes(file: Path) -> yaml.Node | None:
    """Compose YAML into nodes, which know their lines."""
    try:
        return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{relative(file)}: byte {error.start + 1} is not UTF-8; convert the file"
        ) from None
    except RecursionError:
        raise InputError(f"{relative(file)}: is nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{relative(file)}{line}: {problem}") from None


def pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """Key, key node and value node of every entry of a mapping; nothing for another node."""
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), key, value) for key, value in node.value]


def keys_twice(file: Path, root: yaml.Node | None) -> list[str]:
    """A line for every key that its mapping has twice: YAML would take the last without a word."""
    lines: list[str] = []
    waiting: list[tuple[tuple[str | int, ...], yaml.Node | None]] = [((), root)]
    seen = set()  # aliases share their node, and may lead back to it
    while waiting:
        path, node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += [((*path, k), each) for k, each in enumerate(node.value)]
        first: dict[str, int] = {}
        for name, key, value in pairs(node):
            line = key.start_mark.line + 1
            if name in first and not name.startswith(MAY_REPEAT):
                lines.append(
                    f"{relative(file)}, line {line}: {_dotted((*path, name))}: is on line "
                    f"{first[name]}, too, and only one would be read: make them one"
                )
            first.setdefault(name, line)
            waiting.append(((*path, name), value))
    return lines


def _locate(
    path: tuple[str | int, ...],
    sources: list[tuple[Path, yaml.Node | None]],
    overrides: Mapping[str, Any],
) -> str:
    """File and line that set the value at `path`, or the nearest part of it that is set."""
    given: Any = overrides
    for part in path:
        if not (isinstance(given, Mapping) and part in given):
            break
        given = given[part]
    else:
        if path:
            return COMMAND_LINE
    best: tuple[int, str] = (0, relative(sources[-1][0]) if sources else "the configuration")
    for file, root in sources:
        node, depth, line = root, 0, 1
        for part in path:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                below = {key: (k, value) for key, k, value in pairs(node)}
                if str(part) not in below:
                    break
                key_node, node = below[str(part)]
                line = key_node.start_mark.line + 1
            depth += 1
        if depth and depth >= best[0]:
            best = (depth, f"{relative(file)}, line {line}")
    return best[1]


def relative(file: Path) -> str:
    """A path as a reader would write it: from here, or from the repository's root."""
    for base in (Path.cwd(), ROOT):
        if file.resolve().is_relative_to(base):
            return str(file.resolve().relative_to(base))
    return str(file)


def _dotted(path: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return _printable(_TOKEN.sub("…", text.lstrip(".")))[:200] or "the whole"


def _short(value: Any, path: tuple[str | int, ...]) -> str:
    """A value for a message: its beginning, on one line, without passwords and tokens."""
    if any(SECRET.search(str(part)) for part in path):
        return "(not shown)"
    text = json.dumps(_beginning(value), default=str, ensure_ascii=False)
    text = _PASSWORD.sub("://…@", _PARAMETER.sub(r"\1=…", _TOKEN.sub("…", text)))
    return _printable(text if len(text) <= 60 else text[:57] + "...")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _beginning(value: Any, depth: int = 3) -> Any:
    """So much of a value as is shown: YAML's aliases make huge and endless ones of few bytes."""
    if isinstance(value, Mapping):
        shown = itertools.islice(value.items(), 8 if depth else 0)
        return {
            str(k)[:80]: "…" if SECRET.search(str(k)) else _beginning(v, depth - 1)
            for k, v in shown
        }
    if isinstance(value, list | tuple | set):
        return [_beginning(each, depth - 1) for each in itertools.islice(value, 20 if depth else 0)]
    if isinstance(value, str):
        return value[:300]
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    return value
