"""What reruns: the digest changes with every statement a step can reach, and with nothing else."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearsay import files, provenance, surroundings
from hearsay.errors import InputError

STEP = "hearsay.system.step"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small package in hearsay's place: a step, what it imports, and a bystander."""
    root = tmp_path / "workflow" / "hearsay"
    files = {
        "__init__.py": '"""Front."""\n',
        "errors.py": "class InputError(Exception):\n    pass\n",
        "system/__init__.py": '"""Front."""\n\ndef __getattr__(name):\n    raise AttributeError\n',
        "system/step.py": (
            '"""Step."""\nfrom hearsay.system import model\nfrom hearsay.errors import InputError\n'
            "def main():\n    from hearsay.base import late\n    return model.f(late.g())\n"
        ),
        "system/model.py": (
            '"""Model."""\nfrom .relative import h\n\n\ndef f(x):\n    return h(x)\n'
        ),
        "system/relative.py": "def h(x):\n    return x + 1\n",
        "system/bystander.py": "value = 1\n",
        "base/__init__.py": "",
        "base/late.py": "def g():\n    return 2\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(provenance, "PACKAGE", root)
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    return root


def digest(*files):
    provenance.forget_code()
    return provenance.code_of(STEP, *files)


@pytest.fixture(autouse=True)
def _fresh_caches():
    yield
    provenance.forget_code()


def test_closure_follows_absolute_relative_and_late_imports(package):
    assert provenance.import_closure(STEP) == {
        "hearsay",
        "hearsay.errors",
        "hearsay.base",
        "hearsay.base.late",
        "hearsay.system",
        "hearsay.system.step",
        "hearsay.system.model",
        "hearsay.system.relative",
    }


@pytest.mark.parametrize(
    "edit",
    [
        lambda s: "# a comment\n" + s,
        lambda s: s.replace("\n", "\n\n\n"),
        lambda s: s.replace('"""Model."""', '"""Another docstring, longer."""'),
        lambda s: s.replace("return h(x)", "return (h(x))  # same"),
        lambda s: s.replace("def f(x):", 'def f(x):\n    """New docstring."""'),
    ],
)
def test_comments_docstrings_and_formatting_do_not_count(package, edit):
    before = digest()
    path = package / "system" / "model.py"
    path.write_text(edit(path.read_text()))
    assert digest() == before


@pytest.mark.parametrize("name", ["step", "model", "relative"])
def test_every_reachable_statement_counts(package, name):
    before = digest()
    path = package / "system" / f"{name}.py"
    path.write_text(path.read_text() + "\nadded = 1\n")
    assert digest() != before


def test_a_function_without_docstring_is_not_mistaken_for_its_first_statement(package):
    path = package / "system" / "relative.py"
    path.write_text("def h(x):\n    x += 1\n    return x\n")
    before = digest()
    path.write_text("def h(x):\n    x += 2\n    return x\n")
    assert digest() != before


@pytest.mark.parametrize("name", ["system/bystander.py", "errors.py"])
def test_unreachable_modules_and_message_modules_do_not_count(package, name):
    before = digest()
    (package / name).write_text("class InputError(Exception):\n    other = 5\n")
    assert digest() == before


def test_the_place_of_the_checkout_does_not_count(package, tmp_path, monkeypatch):
    before = digest()
    moved = tmp_path / "else where" / "hearsay"
    shutil.copytree(package, moved)
    monkeypatch.setattr(provenance, "PACKAGE", moved)
    assert digest() == before


def test_named_files_count_by_content(package, tmp_path):
    file = tmp_path / "page.html"
    file.write_text("a")
    before = digest("page.html")
    assert before != digest()
    file.write_text("b")
    assert digest("page.html") != before
    with pytest.raises(ValueError, match=r"no file missing\.html"):
        digest("missing.html")


def test_an_import_through_a_front_is_refused(package):
    (package / "system" / "model.py").write_text("from hearsay.system import f\n")
    with pytest.raises(ValueError, match="import it from the module that defines it"):
        digest()


def test_an_unknown_step_is_refused(package):
    with pytest.raises(ValueError, match=r"no module hearsay\.system\.absent"):
        provenance.code_of("hearsay.system.absent")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(RuntimeError), files.whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_folder_leaves_the_old_folder_and_no_rest(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "weights").write_text("old")
    with pytest.raises(RuntimeError), files.whole_folder(path) as temporary:
        (temporary / "weights").write_text("half")
        raise RuntimeError
    assert (path / "weights").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@given(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), max_size=4))
def test_run_ids_tell_settings_apart(settings):
    step = "hearsay.metrics.scores"
    same = provenance.Run(step, settings=dict(reversed(settings.items())))
    assert provenance.Run(step, settings=settings).id == same.id
    assert provenance.Run(step, settings={**settings, "\0": 1}).id != same.id


def test_run_record_holds_what_the_contract_asks(tmp_path):
    data = tmp_path / "in.txt"
    data.write_text("x")
    run = provenance.Run("hearsay.metrics.scores", settings={"a": 1}, inputs=[data], seed=3)
    run.write(tmp_path / "run.json", backend="plain")
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["id"] == run.id
    assert record["settings"] == {"a": 1}
    assert record["seed"] == 3
    assert record["inputs"][0]["sha256"] == files.sha256_of(data)
    assert record["backend"] == "plain"
    assert {"commit", "code", "versions", "hardware", "wall_seconds", "finished"} <= set(record)
    data.write_text("y")
    changed = provenance.Run("hearsay.metrics.scores", settings={"a": 1}, inputs=[data], seed=3)
    assert changed.id != run.id


def test_folder_checksum_covers_names_and_contents(tmp_path):
    folder = tmp_path / "m"
    folder.mkdir()
    (folder / "a").write_text("1")
    first = files.sha256_of(folder)
    (folder / "a").rename(folder / "b")
    assert files.sha256_of(folder) != first


def test_files_behind_links_to_folders_count(tmp_path):
    folder, elsewhere = tmp_path / "m", tmp_path / "disk" / "part"
    (folder / "own").mkdir(parents=True)
    elsewhere.mkdir(parents=True)
    (elsewhere / "weights").write_text("1")
    (elsewhere / "back").symlink_to(folder)
    (folder / "part").symlink_to(elsewhere)
    (folder / "own" / "round").symlink_to(folder / "own")
    (folder / "nowhere").symlink_to(tmp_path / "gone")
    (folder / "a").write_text("1")
    assert files.files_below(folder) == [folder / "a", folder / "part" / "weights"]
    first = files.sha256_of(folder)
    (elsewhere / "weights").write_text("2")
    assert files.sha256_of(folder) != first


def test_what_is_not_yet_finished_is_told_by_its_name(tmp_path):
    for name in ("a", "a.csv", "a.run.json", ".a.tar.gz"):
        for whole in (files.whole_file, files.whole_folder):
            with pytest.raises(RuntimeError), whole(tmp_path / name) as temporary:
                assert files.unfinished(temporary.relative_to(tmp_path)) == Path(temporary.name)
                raise RuntimeError
        assert files.unfinished(Path("b") / name) is None
    inside = Path("b/.c.x1.partial/d/.e.2.partial.csv")
    assert files.unfinished(inside) == Path("b/.c.x1.partial")
    assert files.unfinished(Path("b/partial.csv")) is None


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path, monkeypatch):
    scandir = files.os.scandir

    def refuse(place):
        if Path(place).name == "closed":
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(files.os, "scandir", refuse)
    with pytest.raises(InputError, match="closed: cannot be read: Permission denied"):
        files.files_below(tmp_path)


def test_the_commit_of_another_project_around_this_code_is_not_told(tmp_path, monkeypatch):
    code = tmp_path / "thesis" / "hearsay" / "surroundings.py"
    code.parent.mkdir(parents=True)
    code.write_text("")

    def git(*arguments):
        command = ["git", "-C", code.parents[1], "-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run([*command, *arguments], check=True, capture_output=True, text=True)

    git("init")
    git("commit", "--allow-empty", "-m", "thesis")
    monkeypatch.setattr(surroundings, "__file__", str(code))
    assert surroundings.git_commit() == "not in git"
    git("add", ".")
    git("commit", "-m", "with the code")
    commit = git("rev-parse", "HEAD").stdout.strip()
    assert surroundings.git_commit() == commit
    code.write_text("changed = True")
    assert surroundings.git_commit() == f"{commit}-dirty"


def test_every_step_of_the_project_has_a_digest():
    steps = [
        path
        for path in Path(provenance.PACKAGE).rglob("*.py")
        if "typer.run(main)" in path.read_text(encoding="utf-8")
    ]
    assert steps
    for path in steps:
        name = ".".join(["hearsay", *path.relative_to(provenance.PACKAGE).with_suffix("").parts])
        assert len(provenance.code_of(name)) == 16
