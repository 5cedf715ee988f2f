"""Read the configuration and the profiles; say in one readable message what is wrong with them.

``python -m hearsay.config --check`` tells whether `config/schema.json` and the table in
`config/README.md` match `hearsay.settings`; ``--write`` makes them anew.
"""

import difflib
import json
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from hearsay.errors import InputError
from hearsay.provenance import ROOT, write_text
from hearsay.settings import Settings

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
    sources = [(Path(file), _load_nodes(Path(file))) for file in files]
    try:
        settings = Settings.model_validate(dict(config))
        faults = [(path, value, text) for path, value, text in _dangling_names(settings)]
    except ValidationError as error:
        faults = [(tuple(e["loc"]), e["input"], _explain(e)) for e in error.errors()]
    else:
        if not faults:
            return settings
    lines = []
    for path, value, text in faults:
        path = tuple(p for p in path if p != "[key]")
        where = _locate(path, sources, overrides)
        shown = f" = {_short(value)}" if value is not None and path else ""
        lines.append(f"{where}: {_dotted(path)}{shown}: {text}")
    raise InputError("the configuration is not valid\n  " + "\n  ".join(lines))


def check_profile(file: Path, rules: Iterable[str], options: Iterable[str]) -> None:
    """Check one profile: Snakemake passes over unknown keys and rules in silence, we do not.

    Parameters
    ----------
    file : the profile's YAML file.
    rules : names of all rules of the workflow.
    options : long options of Snakemake, without dashes, plugins included.

    Raises
    ------
    InputError
        with one line for every unknown key, and for every unknown rule under ``set-resources``,
        ``set-threads``, ``groups`` and the like.
    """
    rules, options = sorted(rules), sorted(options)
    root = _load_nodes(file)
    lines = []
    for key, node, value in _pairs(root):
        line = f"{_relative(file)}, line {node.start_mark.line + 1}"
        if key not in options:
            lines.append(f"{line}: {key}: no such option of Snakemake{_nearest(key, options)}")
        if key in ("set-resources", "set-threads", "groups", "consider-ancient", "retries-rule"):
            for rule, rule_node, _ in _pairs(value):
                if rule not in rules:
                    lines.append(
                        f"{_relative(file)}, line {rule_node.start_mark.line + 1}: "
                        f"{key}.{rule}: no such rule{_nearest(rule, rules)}"
                    )
    if lines:
        raise InputError("the profile is not valid\n  " + "\n  ".join(lines))


def _dangling_names(settings: Settings) -> list[tuple[tuple[str | int, ...], Any, str]]:
    """Names in one place of the settings that another place does not define."""
    known = list(settings.models)
    audited = settings.spectral.models if settings.spectral.models is not None else known
    named = [(("spectral", "models", k), name, known) for k, name in enumerate(audited)]
    named += [
        (("spectral", "pair", k), n, audited) for k, n in enumerate(settings.spectral.pair or ())
    ]
    if settings.spectral.esd is not None:
        named.append((("spectral", "esd"), settings.spectral.esd, audited))
    return [
        (
            path,
            name,
            f"no such model{_nearest(name, valid)} (there are: {', '.join(valid) or 'none'})",
        )
        for path, name, valid in named
        if name not in valid
    ]


def _explain(error: Any) -> str:
    kind, path = error["type"], [p for p in error["loc"] if p != "[key]"]
    if kind == "extra_forbidden":
        return f"no such setting{_nearest(str(path[-1]), _keys_at(path[:-1]))}"
    if kind == "string_pattern_mismatch":
        return f"does not look like {error['ctx']['pattern']}"
    text = error["msg"].removeprefix("Value error, ")
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


def _nearest(name: str, valid: Iterable[str]) -> str:
    valid = list(valid)
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; valid here: {', '.join(valid)}" if 0 < len(valid) <= 12 else ""


def _load_nodes(file: Path) -> yaml.Node | None:
    """Compose YAML into nodes, which know their lines."""
    try:
        return yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not YAML"
        raise InputError(f"{_relative(file)}{line}: {problem}") from None


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), key, value) for key, value in node.value]


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
    best: tuple[int, str] = (0, _relative(sources[-1][0]) if sources else "the configuration")
    for file, root in sources:
        node, depth, line = root, 0, 1
        for part in path:
            if isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                if part >= len(node.value):
                    break
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                pairs = {key: (k, value) for key, k, value in _pairs(node)}
                if str(part) not in pairs:
                    break
                key_node, node = pairs[str(part)]
                line = key_node.start_mark.line + 1
            depth += 1
        if depth and depth >= best[0]:
            best = (depth, f"{_relative(file)}, line {line}")
    return best[1]


def _relative(file: Path) -> str:
    for base in (Path.cwd(), ROOT):
        if file.resolve().is_relative_to(base):
            return str(file.resolve().relative_to(base))
    return str(file)


def _dotted(path: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the whole"


def _short(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


# --- documents made from the settings -------------------------------------------------------------

BEGIN, END = "<!-- settings: begin (made by `make format`) -->", "<!-- settings: end -->"


def schema() -> str:
    """JSON schema of the configuration, for editors."""
    return json.dumps(Settings.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def table() -> str:
    """Markdown table of every setting: key, type, default, meaning."""
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    lines += _table_rows(Settings, "")
    return "\n".join(lines)


def _table_rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        arguments = typing.get_args(kind)
        inner = [a for a in (kind, *arguments) if isinstance(a, type) and issubclass(a, BaseModel)]
        default = "" if inner else f"`{json.dumps(field.default)}`"
        shown = _type_name(kind).replace("|", "or")
        rows.append(
            f"| `{key}` | {'group' if inner else shown} | {default} | {field.description} |"
        )
        if inner:
            below = f"{key}.<name>." if typing.get_origin(kind) is dict else f"{key}."
            rows += _table_rows(inner[0], below)
    return rows


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin in (list, tuple):
        return f"{origin.__name__} of {', '.join(_type_name(a) for a in arguments)}"
    if origin is not None:
        return " or ".join(_type_name(a) for a in arguments if a is not type(None))
    return {"str": "text", "int": "whole number", "float": "number"}.get(
        kind.__name__, kind.__name__
    )


def _documents() -> dict[Path, str]:
    readme = ROOT / "config" / "README.md"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        raise InputError(f"{readme}: the lines that mark the table are gone: {BEGIN} and {END}")
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    return {
        ROOT / "config" / "schema.json": schema(),
        readme: f"{head}{BEGIN}\n{table()}\n{END}{tail}",
    }


def main(arguments: list[str]) -> int:
    """Check or write the documents made from the settings."""
    if arguments not in (["--check"], ["--write"]):
        print(f"{__doc__}\nusage: python -m hearsay.config --check | --write")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    stale = [
        path
        for path, text in _documents().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if arguments == ["--write"]:
        for path in stale:
            write_text(path, _documents()[path])
            print(f"wrote {_relative(path)}")
        return 0
    for path in stale:
        print(f"error: {_relative(path)} does not match hearsay.settings; run: make format")
    return 1 if stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as problem:
        sys.exit(f"error: {problem}")
