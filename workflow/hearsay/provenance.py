"""Where a number comes from: code digests and run records.

Nothing here changes a number, so this module is left out of every code digest (`NOT_CODE`).
"""

import ast
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from hearsay.files import sha256_of, write_text
from hearsay.surroundings import surroundings

PACKAGE = Path(__file__).resolve().parent
ROOT = PACKAGE.parent.parent

# Settings reach a step as values in its params, and the others write records or messages: an edit
# of them changes no number, and must not retrain anything.
NOT_CODE = frozenset(
    f"hearsay.{name}"
    for name in (
        "settings",
        "provenance",
        "surroundings",
        "files",
        "storage",
        "errors",
        "step",
        "step_server",
    )
)


def _no_code(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NOT_CODE)


# --- what reruns: digests over syntax trees -----------------------------------------------------


@cache
def code_of(step: str, *files: str) -> str:
    """Digest of everything in `hearsay` that `step` imports, directly or not.

    Parameters
    ----------
    step : dotted module name, such as ``"hearsay.spectral.audit_model"``.
    files : further files that the step reads from the repository (templates, tables of published
        values), relative to its root; their bytes enter the digest.

    Returns
    -------
    16 hexadecimal digits. Comments, docstrings, formatting, the places of files and the version of
    Python do not matter; any change of a statement does.

    Raises
    ------
    ValueError
        for a step or file that does not exist, and for an import through a package's front
        (``from hearsay.spectral import audit``), which would hide what is really used.
    """
    digest = hashlib.sha256()
    for module in sorted(import_closure(step)):
        if _no_code(module):
            continue
        digest.update(f"{module}={_module_digest(_module_file(module))};".encode())
    for name in sorted(files):
        path = ROOT / name
        if not path.is_file():
            raise ValueError(f"code_of({step!r}): no file {name} in the repository")
        digest.update(f"{name}={sha256_of(path)};".encode())
    return digest.hexdigest()[:16]


def forget_code() -> None:
    """Forget what was read of the library, for a process in which its files change."""
    for cached in (code_of, import_closure, _module_file, _imports, _module_digest):
        cached.cache_clear()


@cache
def import_closure(module: str) -> frozenset[str]:
    """Names of `module` and of all modules inside `hearsay` that importing it brings in."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        if _module_file(name) is None:
            raise ValueError(f"no module {name} in {PACKAGE}")
        seen.add(name)
        # Importing a.b.c runs a and a.b first.
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:k]) for k in range(1, len(parents) + 1)]
        waiting += _imports(name)
    return frozenset(seen)


@cache
def _module_file(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file() and module.split(".")[0] == "hearsay":
            return path
    return None


@cache
def _imports(module: str) -> tuple[str, ...]:
    path = _module_file(module)
    assert path is not None
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found: list[str] = []
    for node in _without_type_checking(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [a.name for a in node.names if a.name.split(".")[0] == "hearsay"]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            if base.split(".")[0] != "hearsay":
                continue
            for alias in node.names:
                if _module_file(f"{base}.{alias.name}"):
                    found.append(f"{base}.{alias.name}")
                elif (file := _module_file(base)) and file.name == "__init__.py":
                    raise ValueError(
                        f"{module} imports {alias.name} through {base}; "
                        "import it from the module that defines it, so that its code is tracked"
                    )
                else:
                    found.append(base)
    return tuple(found)


def _without_type_checking(tree: ast.Module) -> Iterator[ast.AST]:
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


@cache
def _module_digest(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return hashlib.sha256(_canonical(tree).encode()).hexdigest()


def _canonical(node: Any) -> str:
    """Text of a syntax tree that is the same for every Python that parses it alike."""
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(
                node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            ):
                value = value[1:] if ast.get_docstring(node, clean=False) is not None else value
            # Newer versions of Python add empty fields; `kind` only tells u"" from "".
            if value is None or value == [] or name in ("kind", "type_comment", "ctx"):
                continue
            fields.append(f"{name}={_canonical(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    return f"{type(node).__name__}:{node!r}"


# --- what a number is: run records ----------------------------------------------------------------


class Run:
    """One execution of a step; `write` leaves its record beside the step's results.

    Parameters
    ----------
    step : dotted module name of the step.
    settings : what the step was told, JSON-serialisable.
    inputs : files and folders whose contents determine the result.
    seed : the seed of everything random, if anything is.

    Attributes
    ----------
    id : 12 hexadecimal digits over step, settings, code and inputs: equal runs have equal ids, on
        every machine. Score rows carry it in their column ``run``.
    """

    def __init__(
        self,
        step: str,
        *,
        settings: dict[str, Any],
        inputs: Sequence[Path | str] = (),
        seed: int | None = None,
    ) -> None:
        self._started = time.monotonic()
        self.record: dict[str, Any] = {
            "step": step,
            "settings": settings,
            "seed": seed,
            "code": code_of(step),
            "inputs": [
                {"path": os.path.relpath(path), "sha256": sha256_of(path)} for path in inputs
            ],
        }
        identity = {**self.record, "inputs": [i["sha256"] for i in self.record["inputs"]]}
        text = json.dumps(identity, sort_keys=True)
        self.id = hashlib.sha256(text.encode()).hexdigest()[:12]

    def write(self, path: Path | str, **more: Any) -> None:
        """Write the record as JSON; `more` adds facts, such as the backend that was chosen."""
        record = {
            "id": self.id,
            **self.record,
            **more,
            "wall_seconds": round(time.monotonic() - self._started, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **surroundings(),
        }
        write_text(path, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
