"""The documents made from the settings: `config/schema.json`, the tables in `config/README.md`.

``python -m hearsay.settings_documents --check`` tells whether they match `hearsay.settings`;
``--write`` makes them anew.
"""

import json
import sys
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hearsay.errors import InputError
from hearsay.files import write_text
from hearsay.provenance import ROOT
from hearsay.settings import Settings
from hearsay.settings.asr import RecogniserRecipe
from hearsay.settings.lm import LanguageModelRecipe
from hearsay.settings.slu import AlignerRecipe, SentimentRecipe

BEGIN, END = "<!-- settings: begin (made by `make format`) -->", "<!-- settings: end -->"

HEAD = ["| key | type | default | meaning |", "|---|---|---|---|"]
# Whose keys are columns of the table that a setting names.
RECIPES: dict[str, type[BaseModel]] = {
    "lm.experiments": LanguageModelRecipe,
    "asr.experiments": RecogniserRecipe,
    "slu.aligners": AlignerRecipe,
    "slu.sentiment": SentimentRecipe,
}


def schema() -> str:
    """JSON schema of the configuration, for editors."""
    return json.dumps(Settings.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def table() -> str:
    """Markdown table of every setting: key, type, default, meaning."""
    return "\n".join([*HEAD, *_table_rows(Settings, "", {})])


def columns() -> str:
    """Markdown tables of the columns of the tables of experiments that are keys of a recipe."""
    lines = []
    for key, recipe in RECIPES.items():
        lines += ["", f"### Recipe in `{key}`", "", *HEAD, *_table_rows(recipe, "", {})]
    return "\n".join(lines)


def _table_rows(
    model: type[BaseModel], prefix: str, shown_at: dict[type[BaseModel], str]
) -> list[str]:
    """Rows of a group; a group that comes twice is listed once and named the second time."""
    rows = []
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        arguments = typing.get_args(kind)
        inner = [a for a in (kind, *arguments) if isinstance(a, type) and issubclass(a, BaseModel)]
        default = ""
        if not inner:
            default = "to be given" if field.is_required() else f"`{json.dumps(field.default)}`"
        shown = _type_name(kind).replace("|", "or")
        rows.append(
            f"| `{key}` | {'group' if inner else shown} | {default} | {field.description} |"
        )
        if inner and inner[0] in shown_at:
            rows[-1] = rows[-1].removesuffix(" |") + f"; keys as in `{shown_at[inner[0]]}` |"
        elif inner:
            shown_at[inner[0]] = key
            below = f"{key}.<name>." if typing.get_origin(kind) is dict else f"{key}."
            rows += _table_rows(inner[0], below, shown_at)
    return rows


def _type_name(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{a}`" for a in arguments)
    if origin in (list, tuple):
        return f"{origin.__name__} of {', '.join(_type_name(a) for a in arguments)}"
    if origin is dict:
        return f"mapping of {_type_name(arguments[1])}"
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
        readme: f"{head}{BEGIN}\n{table()}\n{columns()}\n{END}{tail}",
    }


def main(arguments: list[str]) -> int:
    """Check or write the documents made from the settings."""
    if arguments not in (["--check"], ["--write"]):
        print(f"{__doc__}\nusage: python -m hearsay.settings_documents --check | --write")
        return 0 if arguments in (["-h"], ["--help"]) else 2
    stale = [
        path
        for path, text in _documents().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if arguments == ["--write"]:
        for path in stale:
            write_text(path, _documents()[path])
            print(f"wrote {path.relative_to(ROOT)}")
        return 0
    for path in stale:
        print(f"error: {path.relative_to(ROOT)} does not match hearsay.settings; run: make format")
    return 1 if stale else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except InputError as problem:
        sys.exit(f"error: {problem}")
