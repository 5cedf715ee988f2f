"""Which steps of the workflow train, found in their code and in the rules; none is listed here."""

import ast
import re
from functools import cache

from hearsay.provenance import PACKAGE, ROOT, import_closure

LOOP = "hearsay.training.loop"


@cache
def steps() -> dict[str, str]:
    """Every module of the library that has a `main()`, and its source."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if re.search(r"^def main\(", source, re.M):
            name = path.relative_to(PACKAGE).with_suffix("")
            found[".".join([PACKAGE.name, *name.parts])] = source
    return found


@cache
def near_the_loop() -> frozenset[str]:
    """Steps whose imports, direct or not, bring in the training loop.

    A module that `import_closure` refuses is no step: `code_of` would refuse its rule.
    """
    found = []
    for step in steps():
        try:
            closure = import_closure(step)
        except ValueError:
            continue
        if LOOP in closure:
            found.append(step)
    return frozenset(found)


@cache
def with_checkpoints() -> frozenset[str]:
    """Steps that some rule gives a folder for checkpoints."""
    rules = "".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    )
    found = set()
    for rule in re.split(r"^rule ", rules, flags=re.M):
        if "--checkpoints" in rule:
            found |= set(re.findall(r'code_of\("([\w.]+)"', rule))
    return frozenset(found)


@cache
def training_steps() -> frozenset[str]:
    """Steps that train: `fit` is called in their closure, or their rule names checkpoints."""
    return frozenset(step for step in near_the_loop() if _calls_fit(step)) | with_checkpoints()


def _calls_fit(step: str) -> bool:
    """Whether a module in the step's closure takes `fit` from the loop, or the loop as a module.

    Some steps only read what a training wrote, and share its batches: these take other names.
    """
    return any(_takes_fit(module) for module in import_closure(step) if not module.startswith(LOOP))


@cache
def _takes_fit(module: str) -> bool:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    path = base.with_suffix(".py")
    path = path if path.is_file() else base / "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            if node.module == LOOP and names & {"fit", "*"}:
                return True
            if node.module == "hearsay.training" and "loop" in names:
                return True
        elif isinstance(node, ast.Import) and any(alias.name == LOOP for alias in node.names):
            return True
    return False
