"""Datasets by git-annex: clone, plan, fetch, verify, drop; on a small one made here."""

import csv
import fcntl
import hashlib
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from typer.testing import CliRunner

from hearsay.corpora import fetch_subject, openneuro
from hearsay.corpora.clone_dataset import clone_dataset
from hearsay.corpora.clone_dataset import main as clone_step
from hearsay.corpora.dataset_listing import Dataset, manifest_of, read_dataset
from hearsay.corpora.drop_dataset import drop
from hearsay.corpora.fetch_subject import fetch
from hearsay.corpora.fetch_subject import main as fetch_step
from hearsay.corpora.keys import Entry, checksum_of, is_present
from hearsay.corpora.openneuro import derivative_folder, plan
from hearsay.corpora.repository import git, locked, tree
from hearsay.errors import InputError
from hearsay.provenance import ROOT

MANIFEST = ROOT / "resources" / "manifests" / "ds003020-3.1.0.json"
STORIES = {"alpha": 30, "beta": 40, "gamma": 25}
HAVE = {"SIM01": ["alpha", "beta"], "SIM02": ["alpha"]}
RAW = "sub-SIM01/ses-1/func/sub-SIM01_ses-1_task-beta_run-1_bold.nii.gz"


def content_of(path: str) -> bytes:
    return (path * 20).encode()


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose user never told git who they are."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")


def make(folder: Path, root: str = "derivative") -> Path:
    """A dataset like those of OpenNeuro: JSON in git, all else annexed with MD5E; tag 1.0.0."""
    paths = [f"{root}/TextGrids/{story}.TextGrid" for story in STORIES]
    paths += [f"{root}/preprocessed_data/{s}/{x}.hf5" for s in HAVE for x in HAVE[s]]
    paths += [f"{root}/pycortex-db/SIM01/transforms/SIM01_auto/mask_thick.nii.gz", RAW]
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content_of(path))
    (folder / root / "respdict.json").write_text(json.dumps(STORIES))
    (folder / ".gitattributes").write_text(
        "* annex.backend=MD5E\n*.json annex.largefiles=nothing\n"
    )
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "annex", "init", "--quiet", "source")
    git(folder, "annex", "add", "--quiet", ".")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "1.0.0")
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("source") / "ds000001")


@pytest.fixture
def clone(source: Path, tmp_path: Path) -> Path:
    clone_dataset(str(source), "1.0.0", tmp_path / "clone")
    return tmp_path / "clone"


def present(clone: Path) -> set[str]:
    return {e.path for e in tree(clone).values() if e.annexed and is_present(clone, e)}


# --- clone --------------------------------------------------------------------------------------


def test_a_clone_is_recorded_and_repeated_for_nothing(source, tmp_path, monkeypatch):
    settings = {"source": str(source), "version": "1.0.0", "manifest": None}
    clone, record = tmp_path / "datasets" / "ds", tmp_path / "datasets" / "ds.run.json"
    for _ in range(2):
        clone_step(dataset="ds", settings=json.dumps(settings), clone=clone, record=record)
        monkeypatch.setattr("hearsay.corpora.clone_dataset.datalad", None)  # not asked again
    facts = json.loads(record.read_text())
    assert facts["dataset_commit"] == git(source, "rev-parse", "1.0.0").strip()
    assert facts["source"] == str(source)
    assert facts["version"] == "1.0.0"
    assert present(clone) == set()
    assert derivative_folder(clone) == clone / "derivative"
    assert {p.name for p in clone.parent.iterdir()} == {"ds", "ds.run.json", ".ds.lock"}

    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"version": "1.0.0", "commit": "0" * 40}))
    settings["manifest"] = str(manifest)
    with pytest.raises(InputError, match=r"ds: version 1.0.0 .* the tag was moved"):
        clone_step(dataset="ds", settings=json.dumps(settings), clone=clone, record=record)


def test_a_clone_of_something_else_is_refused_with_the_remedy(source, clone, tmp_path):
    with pytest.raises(InputError, match=rf"a clone of {source}, not of https.*remove the clone"):
        clone_dataset("https://example.org/other", "1.0.0", clone)
    git(clone, "commit", "--allow-empty", "--quiet", "--message", "other")
    with pytest.raises(InputError, match=r"not at version 1.0.0 .*or set the version back"):
        clone_dataset(str(source), "1.0.0", clone)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="no clone; move it away"):
        clone_dataset(str(source), "1.0.0", tmp_path / "folder")


def test_a_source_that_was_made_again_is_followed(tmp_path):
    source, clone = make(tmp_path / "ds"), tmp_path / "clone"
    first = clone_dataset(str(source), "1.0.0", clone)
    what = plan(clone, "SIM02")
    fetch(clone, what)
    source.rename(tmp_path / "old")
    make(source)
    other = source / what.files[0].path
    other.unlink()
    other.write_bytes(b"other responses")
    git(source, "annex", "add", "--quiet", ".")
    git(source, "commit", "--quiet", "--message", "second")
    git(source, "tag", "--force", "1.0.0")
    second = clone_dataset(str(source), "1.0.0", clone)
    assert first != second == git(clone, "rev-parse", "HEAD").strip()
    assert present(clone) == {what.files[1].path}
    fetch(clone, plan(clone, "SIM02"))
    assert (clone / what.files[0].path).read_bytes() == b"other responses"


def test_an_unknown_version_or_source_leaves_nothing(source, tmp_path):
    clone = tmp_path / "clone"
    with pytest.raises(InputError, match=rf"{source}: no version '9.9'; its tags: 1.0.0"):
        clone_dataset(str(source), "9.9", clone)
    with pytest.raises(InputError, match="nowhere could not be cloned: "):
        clone_dataset(str(tmp_path / "nowhere"), "1.0.0", clone)
    assert [p.name for p in tmp_path.iterdir() if "clone" in p.name] == [".clone.lock"]


# --- plan ---------------------------------------------------------------------------------------


def test_a_plan_needs_no_content(source, clone):
    what = plan(clone, "SIM01", raw=["beta"])
    assert what.stories == {"alpha": 10, "beta": 20}
    assert what.absent == ("gamma",)
    assert [(f.kind, f.story) for f in what.files] == [
        ("responses", "alpha"),
        ("responses", "beta"),
        ("textgrid", "alpha"),
        ("textgrid", "beta"),
        ("raw", "beta"),
        ("mask", ""),
        ("respdict", ""),
    ]
    first = what.files[0]
    assert first.bytes == len(content_of(first.path))
    assert checksum_of(first.key) == ("md5", hashlib.md5(content_of(first.path)).hexdigest())
    assert what == plan(source, "SIM01", raw=["beta"])
    assert plan(clone, "SIM02", mask=False).of("mask") == []
    assert list(plan(clone, "SIM01", stories=["beta"]).stories) == ["beta"]


def test_the_manifest_plans_as_the_clone_does(clone, tmp_path):
    out = tmp_path / "manifest.json"
    arguments = ["manifest", "--clone", clone, "--version", "1.0.0", "--out", out]
    done = CliRunner().invoke(openneuro.app, [str(a) for a in arguments])
    assert done.exit_code == 0, done.output
    assert json.loads(out.read_text())["dataset"] == "clone"
    for subject in HAVE:
        assert plan(out, subject) == plan(clone, subject)
    with pytest.raises(InputError, match="a manifest lists none"):
        plan(out, "SIM01", raw=["beta"])
    arguments = ["plan", "--manifest", out, "--subject", "SIM01", "--subject", "SIM02", "--stories"]
    text = CliRunner().invoke(openneuro.app, [str(a) for a in arguments]).output
    assert "SIM01: 2 stories, 2 TextGrids; " in text
    assert "free on disk" in text
    assert re.search(r"^  beta +20 +\d", text, re.M)
    assert "not there: gamma" in text
    out.write_text("{}")
    with pytest.raises(InputError, match="not a manifest"):
        plan(out, "SIM01")


def test_later_versions_say_derivatives(tmp_path):
    source = make(tmp_path / "ds", root="derivatives")
    assert derivative_folder(source) == source / "derivatives"
    assert list(plan(source, "SIM01").stories) == ["alpha", "beta"]
    with pytest.raises(InputError, match="neither a folder derivative nor derivatives"):
        derivative_folder(tmp_path)


def test_unknown_names_list_the_valid_ones(source, tmp_path):
    for arguments, message in [
        (("UTS01",), "no subject 'UTS01'; it has: SIM01, SIM02"),
        (("SIM01", ["delta"]), "no story 'delta'; it has: alpha, beta, gamma"),
        (("SIM01", None, ["alpha"]), "no raw scans of SIM01 for story 'alpha'; it has: beta"),
    ]:
        with pytest.raises(InputError, match=message):
            plan(source, *arguments)
    with pytest.raises(InputError, match="no clone and no manifest"):
        plan(tmp_path / "nothing", "SIM01")


# --- fetch --------------------------------------------------------------------------------------


def settings_of(source: Path, **more: object) -> str:
    given = {"dataset": "ds", "version": "1.0.0", "source": str(source), "manifest": None}
    return json.dumps(given | {"stories": None, "raw": ["beta"], "mask": True} | more)


def test_files_fetched_at_once_are_the_options(source, clone, tmp_path, monkeypatch):
    asked = []

    def datalad(*words, **keys):
        asked.append(words[words.index("-J") + 1])
        return real(*words, **keys)

    real = fetch_subject.datalad
    monkeypatch.setattr(fetch_subject, "datalad", datalad)
    given = {"subject": "SIM01", "clone": clone, "present": tmp_path / "present.tsv"}
    record = tmp_path / "run.json"
    fetch_step(settings=settings_of(source, jobs=9), jobs=2, record=record, **given)
    assert asked == ["1", "2"]  # the smallest file alone first
    assert json.loads(record.read_text())["jobs"] == 2


def test_one_subject_is_fetched_verified_listed_and_dropped(
    source, clone, tmp_path, monkeypatch, capsys
):
    listing, record = tmp_path / "present.tsv", tmp_path / "run.json"
    given = {"subject": "SIM01", "clone": clone, "present": listing, "record": record}
    fetch_step(settings=settings_of(source), **given)
    what = plan(clone, "SIM01", raw=["beta"])
    assert present(clone) == {file.path for file in what.files if file.annexed}
    with listing.open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [tuple(row.values()) for row in rows] == [
        (file.kind, file.story, file.path, file.key, str(file.bytes)) for file in what.files
    ]
    for row in rows:
        assert (clone / row["path"]).stat().st_size == int(row["bytes"])
    facts = json.loads(record.read_text())
    assert (facts["absent"], facts["source"]) == (["gamma"], str(clone))
    assert "needed" in capsys.readouterr().err

    monkeypatch.setattr(fetch_subject, "datalad", None)  # all there: git-annex is not asked
    fetch_step(settings=settings_of(source), **given)
    with pytest.raises(InputError, match="not at version"):
        git(
            clone,
            "-c",
            "user.name=x",
            "-c",
            "user.email=x@y",
            "commit",
            "--allow-empty",
            "-qm",
            "x",
        )
        fetch_step(settings=settings_of(source), **given)

    shared = {path for path in present(clone) if path.endswith(".TextGrid")}
    before = sum((clone / path).stat().st_size for path in present(clone) - shared)
    assert drop(clone, "SIM01") == before > 0
    assert present(clone) == shared
    with pytest.raises(InputError, match="no annexed files of a subject 'SIM09'"):
        drop(clone, "SIM09")

    moved = source.rename(source.with_name("moved"))  # no other copy in sight
    try:
        with pytest.raises(InputError, match=r"TextGrid: not dropped, nor 1 others .*--reckless"):
            drop(clone)
        assert present(clone) == shared
    finally:
        moved.rename(source)
    drop(clone)
    assert present(clone) == set()


def test_altered_or_truncated_content_is_refused(clone):
    what = plan(clone, "SIM02")
    fetch(clone, what)
    file = clone / what.files[0].path
    right = file.read_bytes()
    for wrong, found in [(b"!" + right[1:], "its MD5 is"), (right[:-1], "bytes, but its key")]:
        file.resolve().chmod(0o644)
        file.resolve().write_bytes(wrong)
        with pytest.raises(InputError, match=rf"{file}: .*{found}.*annex fsck derivative"):
            fetch(clone, what)


def test_an_unlocked_file_is_fetched_as_any_other(tmp_path):
    source = make(tmp_path / "ds")
    path = "derivative/TextGrids/alpha.TextGrid"
    git(source, "annex", "unlock", "--quiet", path)
    git(source, "commit", "--quiet", "--all", "--message", "unlocked")
    clone = tmp_path / "clone"
    clone_dataset(str(source), "main", clone)
    assert (clone / path).read_bytes().startswith(b"/annex/objects/")
    what = plan(clone, "SIM02", mask=False)
    assert [file.key for file in what.of("textgrid")] == [tree(source, "1.0.0")[path].key]
    fetch(clone, what)
    assert (clone / path).read_bytes() == content_of(path)


def test_a_folder_inside_another_repository_is_no_clone(source):
    (source / "inner").mkdir()
    with pytest.raises(InputError, match="inner: git rev-parse failed: fatal: not a git repo"):
        plan(source / "inner", "SIM01")


def test_runs_of_two_subjects_have_two_ids(source, clone, tmp_path):
    ids = set()
    for subject in ("SIM01", "SIM02"):
        paths = {name: tmp_path / f"{subject}.{name}" for name in ("present", "record")}
        settings = settings_of(source, raw=[], mask=False)
        fetch_step(subject=subject, clone=clone, settings=settings, **paths)
        ids.add(json.loads(paths["record"].read_text())["id"])
    assert len(ids) == 2


def test_a_small_disk_is_refused_before_anything_is_fetched(clone, monkeypatch):
    monkeypatch.setattr(fetch_subject, "free_disk", lambda _: 10)
    with pytest.raises(InputError, match=r"4 files need .* but only 10 B of the disk"):
        fetch(clone, plan(clone, "SIM01", stories=["alpha", "beta"], mask=False))
    assert present(clone) == set()


def test_one_process_at_a_time_works_on_a_clone(clone):
    what = plan(clone, "SIM02", mask=False)
    lock = clone / ".git" / "hearsay.lock"
    with locked(lock):
        thread = threading.Thread(target=fetch, args=(clone, what))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert present(clone) == set()
    thread.join()
    assert present(clone) == {file.path for file in what.files if file.annexed}
    with lock.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # given back


# --- plain HTTPS instead ------------------------------------------------------------------------


@pytest.fixture
def served(source: Path, tmp_path: Path) -> Iterator[tuple[Path, Dataset, dict[str, bytes], list]]:
    """A clone whose source has no content, and a server that knows one version of each file."""
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), str(bare))
    git(bare, "remote", "remove", "origin")  # where DataLad would find the content
    clone = tmp_path / "clone"
    clone_dataset(str(bare), "1.0.0", clone)
    entries = tree(clone)
    contents = {p: content_of(p) for p, e in entries.items() if e.annexed}
    asked: list[tuple[str, str | None]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/bucket/")
            content = contents.get(path)
            asked.append((path, self.headers["Range"]))
            if content is None or parse_qs(parts.query).get("versionId") != ["v+" + path[-9:]]:
                return self.send_error(403)
            start = int((self.headers["Range"] or "bytes=0-")[6:-1])
            self.send_response(206 if self.headers["Range"] else 200)
            if self.headers["Range"]:
                span = f"bytes {start}-{len(content) - 1}/{len(content)}"
                self.send_header("Content-Range", span)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            return self.wfile.write(content[start:]) and None

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/bucket/{{path}}?versionId={{version}}"
    versions = {path: "v+" + path[-9:] for path in contents}
    yield clone, Dataset("ds", STORIES, entries, address, versions), contents, asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_where_git_annex_refuses_the_public_version_is_downloaded(served):
    clone, listing, _, asked = served
    what = plan(clone, "SIM01", stories=["alpha"])
    begun = what.files[0]
    partial = clone / ".git" / "hearsay-partial" / begun.key
    partial.parent.mkdir()
    partial.write_bytes(content_of(begun.path)[:100])  # of a try that broke off
    fetch(clone, what, listing=listing)
    assert present(clone) == {file.path for file in what.files if file.annexed}
    assert asked[0] == (begun.path, "bytes=100-")
    assert sorted(path for path, _ in asked) == sorted(present(clone))
    assert list(partial.parent.iterdir()) == []
    where = git(clone, "annex", "find", "--in", "here").split()
    assert set(where) == present(clone)


def test_wrong_content_or_none_ends_in_one_message(served):
    clone, listing, contents, _ = served
    what = plan(clone, "SIM01", stories=["alpha"])
    second = what.files[1]
    contents[second.path] = b"something else"
    with pytest.raises(InputError, match=r"\(1 more files wait\).*came damaged") as caught:
        fetch(clone, what, listing=listing)
    assert second.path in str(caught.value)
    assert second.key in str(caught.value)
    assert present(clone) == {what.files[0].path}  # what came stays
    assert list((clone / ".git" / "hearsay-partial").iterdir()) == []
    del contents[second.path]
    with pytest.raises(InputError, match=r"error: 403.*Check the network and run again"):
        fetch(clone, what, listing=listing)
    assert "\n" not in str(caught.value)


def test_without_a_public_address_git_annex_reason_is_told(served):
    clone, _, _, asked = served
    with pytest.raises(InputError, match=r"alpha\.hf5: its content MD5E.*git-annex: .*no public"):
        fetch(clone, plan(clone, "SIM02"))
    assert asked == []
    assert present(clone) == set()


# --- the real dataset, without its content ------------------------------------------------------


@pytest.fixture(scope="module")
def ds003020(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = real_data / "ds003020" / "ds003020-v3.1.0.git.tar.gz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    clone_dataset(str(folder / "repo"), "3.1.0", folder / "ds003020")
    return folder / "ds003020"


@pytest.mark.real_data
def test_the_real_dataset_is_planned_without_content(ds003020):
    dataset = read_dataset(ds003020)
    known = json.loads((ds003020 / "derivative" / "respdict.json").read_text())
    rows = 0
    for subject, gigabytes in [("UTS01", 20.12), ("UTS02", 23.37), ("UTS03", 23.70)]:
        what = plan(dataset, subject, raw=["wheretheressmoke"])
        assert len(what.stories) == len(what.of("textgrid")) == len(what.of("responses")) == 84
        assert what.stories == {story: scans - 20 for story, scans in known.items()}
        assert round(what.bytes("responses") / 1e9, 2) == gigabytes
        assert len(what.of("raw")) == 10
        assert len(what.of("mask")) == 1
        rows = sum(what.stories.values())
        assert plan(dataset, subject) == plan(MANIFEST, subject)
    assert rows == 28_088
    assert "life" in plan(dataset, "UTS04").absent
    with pytest.raises(InputError, match="nearest of 84: wheretheressmoke"):
        plan(dataset, "UTS01", stories=["wherethersmoke"])


@pytest.mark.real_data
def test_the_committed_manifest_is_the_repository_s(ds003020, real_data):
    ours = json.loads(MANIFEST.read_text())
    assert manifest_of(ds003020, "3.1.0") == ours
    theirs = json.loads((real_data / "ds003020" / "manifest-v3.1.0.json").read_text())
    assert ours["commit"] == theirs["commit"]
    shared = ours["files"].keys() & theirs["files"].keys()
    assert len(shared) == 84 * 4 + 3
    for path in shared:
        row = theirs["files"][path]
        assert ours["files"][path] == [row["size"], row["md5"], row["key"], row["s3_version"]]


@pytest.mark.real_data
def test_the_real_content_without_network_ends_in_one_message(ds003020, monkeypatch):
    for name in ("http_proxy", "https_proxy", "ALL_PROXY"):  # no network, wherever this runs
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    what = plan(ds003020, "UTS01", stories=["souls", "avatar"], mask=False)
    with pytest.raises(InputError) as caught:
        fetch(ds003020, what, jobs=2)
    message = str(caught.value)
    first = what.files[0]
    assert first.path.endswith("UTS01/avatar.hf5")
    for part in (first.path, first.key, "(3 more files wait)", "curl: ", "run again"):
        assert part in message
    assert "\n" not in message
    assert present(ds003020) == set()


def test_the_committed_manifest_holds_all_subjects():
    dataset = read_dataset(MANIFEST)
    assert dataset.subjects == [f"UTS0{k}" for k in range(1, 10)]
    assert isinstance(dataset.files["derivative/TextGrids/souls.TextGrid"], Entry)
    assert dataset.address_of("derivative/TextGrids/wheretheressmoke.TextGrid") == (
        "https://s3.amazonaws.com/openneuro.org/ds003020/derivative/TextGrids/"
        "wheretheressmoke.TextGrid?versionId=Fmw3qaCQdgPuhaeIEI_8B47ZAoN9ahhh"
    )
