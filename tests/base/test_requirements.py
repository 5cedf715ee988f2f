"""Versions that the project pins, where some must agree."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions

from hearsay.provenance import PACKAGE, ROOT


def test_fabric_and_lightning_are_of_one_version():
    """Both packages hold the same files: the later one to be installed overwrites the other's."""
    text = (ROOT / "envs/constraints.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    assert pinned["lightning-fabric"] == pinned["pytorch-lightning"]


def test_the_library_imports_nothing_that_it_does_not_require():
    """What another package happens to bring may go with its next release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["slurm"]]
    named += [each for each in project["optional-dependencies"]["dev"] if "triton" in each]
    required = {_plain(re.match(r"[\w.-]+", each)[0]) for each in named}
    brought = {
        name: {_plain(distribution) for distribution in distributions}
        for name, distributions in packages_distributions().items()
    }
    undeclared = {
        f"{path.relative_to(PACKAGE)}: {name}"
        for path in PACKAGE.rglob("*.py")
        for name in _imported(ast.parse(path.read_text(encoding="utf-8")))
        if name not in sys.stdlib_module_names
        and name != "hearsay"
        and not {*brought.get(name, ()), _plain(name)} & required
    }
    assert not undeclared


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _imported(tree: ast.AST) -> Iterator[str]:
    """Packages that code imports when it runs, which excludes those for types alone."""
    if isinstance(tree, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and not tree.level:
        yield tree.module.partition(".")[0]
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield from _imported(node)
