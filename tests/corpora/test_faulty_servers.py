"""Every step that fetches, against servers that break off, stall, lie, refuse and send astray.

Whatever the server does, a step ends with the right file, at once or when it is run again, or with
one message that names the address and what to do; half a file never lies under an output's name.
"""

import gzip
import hashlib
import http.server
import io
import json
import random
import subprocess
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from safetensors.torch import save

from hearsay.corpora import curl, fetch_listed_speech, fetch_model, fetch_speech, fetch_text
from hearsay.corpora.download import download
from hearsay.corpora.keys import Entry
from hearsay.corpora.repository import environment
from hearsay.errors import InputError
from hearsay.provenance import PACKAGE, import_closure

COMMIT = "0123456789abcdef0123456789abcdef01234567"
STALL = 300  # seconds; no step may wait as long, on the slowest machine
NOISE = random.Random(0).randbytes(200_000)  # packs badly: half an archive is half of it


def zipped():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for split in ("train", "valid", "test"):
            archive.writestr(f"wiki.{split}.tokens", NOISE.hex()[:60_000])
    return data.getvalue()


def tarred():
    data = io.BytesIO()
    packed = gzip.GzipFile("", "wb", fileobj=data, mtime=0)
    with packed, tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("a.wav")
        member.size = len(NOISE)
        tar.addfile(member, io.BytesIO(NOISE))
    return data.getvalue()


WEIGHTS = save({"layer.weight": torch.arange(30_000.0).reshape(300, 100)})
CONTENT = {"a.zip": zipped(), "a.tar.gz": tarred(), "model.safetensors": WEIGHTS, "a.bin": NOISE}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# --- the server -----------------------------------------------------------------------------------


class Server(http.server.BaseHTTPRequestHandler):
    """A file at ``/FAULT/NAME``, as `CONTENT` has it; a list and the hub's calls lead there."""

    asked: ClassVar[Counter[str]] = Counter()
    fault = ""  # of the hub's files
    parts: ClassVar[list[int]] = []  # where each answer began

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        self.close_connection = True
        path = self.path.partition("?")[0]
        fault, _, name = path.lstrip("/").partition("/")
        if fault == "list":  # of one file, at the fault that it names
            fault, _, name = name.partition("/")
            base = f"http://127.0.0.1:{self.server.server_port}"
            return self.send(f"{base}/{fault}/{name}\n".encode(), body)
        if path.startswith("/api/models/a/b"):
            return self.hub_call(path, body)
        if path.startswith("/a/b/resolve"):
            fault, name = self.fault, path.rpartition("/")[2]
        data = CONTENT.get(name)
        if data is None:
            return self.send_error(404)
        if not body:
            return self.send(data, body, headers=self.hub_headers(data))
        self.asked[fault] += 1
        return getattr(self, fault.replace("-", "_"))(data, self.asked[fault])

    def hub_call(self, path, body):
        listing = {"type": "file", "path": "model.safetensors", "size": len(WEIGHTS), "oid": "x"}
        tree = path.endswith(f"/tree/{COMMIT}")
        return self.send(
            json.dumps([listing] if tree else {"id": "a/b", "sha": COMMIT}).encode(), body
        )

    def hub_headers(self, data):
        return {"ETag": f'"{sha256(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}

    def send(self, data, body=True, *, sent=None, length=None, headers=None):
        """All of `data` from the byte asked for, or only `sent` bytes of it; `length` may lie."""
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        self.parts.append(start)
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(data[start:][:sent])
            self.wfile.flush()

    def redirect(self, place):
        self.send_response(302)
        self.send_header("Location", place)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def busy(self, after):
        self.send_response(503)
        self.send_header("Retry-After", str(after))
        self.send_header("Content-Length", "0")
        self.end_headers()

    # Faults: each is given the file, and how often it was asked for.

    def whole(self, data, count):
        self.send(data)

    def moved(self, data, count):
        name = next(name for name, value in CONTENT.items() if value is data)
        self.redirect(f"/whole/{name}")

    def moved_in_a_circle(self, data, count):
        self.redirect(self.path)

    def moved_to_a_file(self, data, count):
        self.redirect(Path(__file__).as_uri())

    def cut_once(self, data, count):
        self.send(data, sent=len(data) // 2 if count == 1 else None)

    def cut_always(self, data, count):
        self.send(data, sent=1000)

    def stalls_once(self, data, count):
        self.send(data, sent=len(data) // 2 if count == 1 else None)
        if count == 1:
            time.sleep(STALL)

    def stalls_always(self, data, count):
        self.send(data, sent=10)
        time.sleep(STALL)

    def says_nothing(self, data, count):
        time.sleep(STALL)

    def states_too_little(self, data, count):
        self.send(data, sent=len(data) // 2, length=len(data) // 2)

    def states_too_much(self, data, count):
        self.send(data, length=len(data) + 1000)

    def forbidden(self, data, count):
        self.send_error(403)

    def busy_once(self, data, count):
        self.busy(1) if count == 1 else self.send(data)

    def busy_always(self, data, count):
        self.busy(1)

    def busy_until_tomorrow(self, data, count):
        self.busy(86_400)

    def altered(self, data, count):
        half = len(data) // 2
        self.send(
            data[:half] + bytes(255 - byte for byte in data[half : half + 50]) + data[half + 50 :]
        )

    def a_page(self, data, count):
        self.send(b"<!DOCTYPE html><html><body>Please log in</body></html>")

    def nothing(self, data, count):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


class Quiet(http.server.ThreadingHTTPServer):
    """Clients that give up are meant to."""

    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        pass


@contextmanager
def patience(seconds: int) -> Iterator[None]:
    """The steps wait so long for a server that says nothing.

    As long as in earnest where it is to answer: a loaded machine's server, and curl itself, take
    their time.
    """
    import huggingface_hub.constants as constants

    earnest = " ".join(curl._COMMAND)
    assert "--speed-time 60" in earnest
    with pytest.MonkeyPatch.context() as patch:
        shorter = earnest.replace("--speed-time 60", f"--speed-time {seconds}")
        patch.setattr(curl, "_COMMAND", shorter.split())
        patch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", seconds)
        patch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", seconds)
        yield


@pytest.fixture
def address(monkeypatch):
    """Of the server; the hub's patience is that of curl."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(curl, "RETRIES", 1)
    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 60)
    monkeypatch.setattr(constants, "HF_HUB_ETAG_TIMEOUT", 60)
    with Quiet(("127.0.0.1", 0), Server) as server:
        Server.asked.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", here)
        template = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", here + template)
        yield here
        server.shutdown()


# --- the steps ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """How a fetching step is run.

    Attributes
    ----------
    module : of the step.
    name : of the file in `CONTENT`.
    run : fetch from (folder, address, fault), and return the file that was written.
    named : what its messages name besides the address.
    """

    module: str
    name: str
    run: Callable[[Path, str, str], Path]
    named: str = ""


def model(checksum):
    def run(folder, address, fault):
        url = f"{address}/{fault}/model.safetensors"
        source = {"hub": None, "revision": None, "url": url}
        source["sha256"] = sha256(WEIGHTS) if checksum else None
        fetch_model.main("m", json.dumps(source), folder / "out", folder / "run.json")
        return folder / "out" / "model.safetensors"

    return Step("fetch_model", "model.safetensors", run, "models.m")


def hub(folder, address, fault):
    Server.fault = fault
    source = {"hub": "a/b", "revision": COMMIT, "url": None, "sha256": sha256(WEIGHTS)}
    fetch_model.main("m", json.dumps(source), folder / "out", folder / "run.json")
    return folder / "out" / "model.safetensors"


def text(checksum):
    def run(folder, address, fault):
        known = sha256(CONTENT["a.zip"]) if checksum else None
        settings = {"url": f"{address}/{fault}/a.zip", "sha256": known}
        fetch_text.main("mine", json.dumps(settings), folder / "out", folder / "run.json")
        return folder / "out"

    return Step("fetch_text", "a.zip", run, "text_corpora.mine")


def speech(checksum):
    def run(folder, address, fault):
        md5 = hashlib.md5(CONTENT["a.tar.gz"], usedforsecurity=False).hexdigest()
        settings = {"url": f"{address}/{fault}/a.tar.gz", "md5": md5 if checksum else None}
        settings = json.dumps({**settings, "sha256": None})
        fetch_speech.main("c", "a.tar.gz", settings, folder / "out", folder / "run.json")
        return folder / "out"

    return Step("fetch_speech", "a.tar.gz", run, "speech_corpora.c.archives.a.tar.gz")


def listed(folder, address, fault):
    settings = {"url": f"{address}/list/{fault}/a.tar.gz", "names": ["*"]}
    fetch_listed_speech.main("c", json.dumps(settings), folder / "out", folder / "run.json")
    return folder / "out" / "a.tar.gz"


def annexed(folder, address, fault):
    """The plain download behind `fetch_subject`, into a real repository of git-annex."""
    clone = folder / "clone"
    if not clone.exists():
        clone.mkdir()
        (clone / "a.bin").write_bytes(NOISE)
        who = {
            f"GIT_{who}_{what}": "t"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        for command in (
            "git init -q",
            "git annex init -q",
            "git annex add -q a.bin",
            "git commit -q -m a",
            "git annex drop -q --force a.bin",
        ):
            subprocess.run(command.split(), cwd=clone, check=True, env={**environment(), **who})
    entry = Entry("a.bin", (clone / "a.bin").readlink().name, len(NOISE))
    download(clone, entry, f"{address}/{fault}/a.bin", lambda _: None)
    return clone / "a.bin"


STEPS = {
    "fetch_model": model(True),
    "fetch_model without a checksum": model(False),
    "fetch_model from the hub": Step("fetch_model", "model.safetensors", hub, "models.m"),
    "fetch_text": text(True),
    "fetch_text without a checksum": text(False),
    "fetch_speech": speech(True),
    "fetch_speech without a checksum": speech(False),
    "fetch_listed_speech": Step(
        "fetch_listed_speech", "a.tar.gz", listed, "speech_corpora.c.listed"
    ),
    "fetch_subject": Step("fetch_subject", "a.bin", annexed),
}
steps = pytest.mark.parametrize("name", STEPS)


def test_every_step_that_fetches_is_tested_here():
    """A new one has to be added to `STEPS`."""
    found = {
        file.stem
        for file in (PACKAGE / "corpora").glob("*.py")
        if "typer.run(main)" in file.read_text(encoding="utf-8")
        and (
            "hearsay.corpora.curl" in import_closure(f"hearsay.corpora.{file.stem}")
            or "huggingface_hub" in file.read_text(encoding="utf-8")
        )
    }
    assert found == {step.module for step in STEPS.values()}


def silent(fault):
    """Whether the server lets a step wait."""
    return "stalls" in fault or fault == "says-nothing"


def slow_and_told_apart(name, fault):
    """Whether patience takes seconds, and another way of running the same step shows the same."""
    return "without" in name and silent(fault)


def outputs(folder):
    """What lies under an output's name."""
    return [path for path in (folder / "out", folder / "run.json") if path.exists()]


def right(step, folder, address, fault):
    assert step.run(folder, address, fault).read_bytes() == CONTENT[step.name]
    assert step.module == "fetch_subject" or len(outputs(folder)) == 2


def refusal(step, folder, address, fault):
    """The step's message: one line that names what could not be had."""
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"\A[^\n]*\Z") as caught:
        step.run(folder, address, fault)
    assert time.monotonic() - begun < STALL
    assert outputs(folder) == []
    message = str(caught.value)
    assert step.named in message
    return message


@steps
@pytest.mark.parametrize("fault", ["whole", "moved", "busy-once", "stalls-once"])
def test_the_file_comes(tmp_path, address, name, fault):
    if slow_and_told_apart(name, fault):
        pytest.skip("takes seconds, and the step with a checksum shows the same")
    if "hub" in name and fault == "busy-once":
        refusal(
            STEPS[name], tmp_path, address, fault
        )  # its client does not ask twice; the rule does
    with patience(5 if silent(fault) else 60):
        right(STEPS[name], tmp_path, address, fault)
    if fault == "stalls-once" and "hub" not in name:
        assert Server.parts[-1] > 10_000  # it went on where it stood


@steps
def test_a_second_run_goes_on(tmp_path, address, name):
    """The hub's own client goes on within the first run."""
    if "hub" not in name:
        assert "curl: (18)" in refusal(STEPS[name], tmp_path, address, "cut-once")
    right(STEPS[name], tmp_path, address, "cut-once")


@steps
@pytest.mark.parametrize(
    "fault",
    [
        *("forbidden", "moved-in-a-circle", "moved-to-a-file", "cut-always", "stalls-always"),
        *("says-nothing", "states-too-little", "states-too-much", "busy-always"),
        *("busy-until-tomorrow", "altered", "a-page", "nothing"),
    ],
)
def test_anything_else_is_one_message_and_no_output(tmp_path, address, name, fault):
    step = STEPS[name]
    if slow_and_told_apart(name, fault):
        pytest.skip("takes seconds, and the step with a checksum shows the same")
    if fault == "altered" and name == "fetch_model without a checksum":
        pytest.skip("bytes of weights changed under way are found by a checksum alone")
    with patience(1 if silent(fault) else 60):
        message = refusal(step, tmp_path, address, fault)
    if step.named:
        assert "local copy" in message or "checksum" in message or "sha256" in message
    right(step, tmp_path, address, "whole")  # nothing of the failure is in the way


@steps
@pytest.mark.parametrize("rest", [b"", b"more than there is"])
def test_all_of_it_that_was_not_shown_yet_is_no_dead_end(tmp_path, address, name, rest):
    """As when a step is killed between the last byte and the file's own name."""
    step = STEPS[name]
    refusal(step, tmp_path, address, "cut-always")
    begun = [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size == 1000]
    if "hub" in name:
        pytest.skip("the hub's own client keeps its partial files")
    assert len(begun) == 1, begun
    begun[0].write_bytes(CONTENT[step.name] + rest)
    if rest:
        refusal(step, tmp_path, address, "cut-always")
    right(step, tmp_path, address, "whole")
