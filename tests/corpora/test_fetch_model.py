"""Fetching over real HTTP from a server on this machine: whole, resumed, wrong, absent."""

import hashlib
import http.server
import json
import threading

import pytest
import torch
from safetensors.torch import save

from hearsay.corpora import fetch_model
from hearsay.errors import InputError

WEIGHTS = save({"layer.weight": torch.arange(6000.0).reshape(60, 100)})
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"

FILES = {"model.safetensors": WEIGHTS, "config.json": b"{}", "pytorch_model.bin": b"no"}
ASKED: list[tuple[str, str | None]] = []


class Server(http.server.BaseHTTPRequestHandler):
    """One weights file at /file.th, with ranges; and the hub's two calls for repository a/b."""

    def do_HEAD(self):
        self.do_GET(body=False)

    def do_GET(self, body=True):
        path = self.path.split("?")[0]
        ASKED.append((path, self.headers.get("Range")))
        if path == "/file.th":
            return self.send(WEIGHTS, body)
        if path == "/api/models/a/b":
            return self.send(json.dumps({"id": "a/b", "sha": COMMIT}).encode(), body)
        if path == f"/api/models/a/b/tree/{COMMIT}":
            listing = [
                {"type": "file", "path": name, "size": len(data), "oid": name}
                for name, data in FILES.items()
            ]
            return self.send(json.dumps(listing).encode(), body)
        name = path.rpartition("/")[2]
        if any(each.endswith(name) for each in FILES) and name:
            return self.send(FILES.get(name, WEIGHTS), body, name)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, data, body, name=None):
        start = 0
        if self.headers.get("Range"):
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if name:
            self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if body:
            self.wfile.write(data[start:])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        ASKED.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(tmp_path, **source):
    source = {"hub": None, "revision": None, "url": None, "sha256": None, **source}
    folder = tmp_path / "models"
    fetch_model.main("m", json.dumps(source), folder / "m", folder / "m.run.json")
    return folder / "m"


def record_of(tmp_path):
    return json.loads((tmp_path / "models" / "m.run.json").read_text())


def partial_folder(tmp_path):
    return next((tmp_path / "models").glob(".m.*.partial"))


def test_a_file_is_fetched_verified_and_recorded(tmp_path, address):
    folder = fetch(tmp_path, url=f"{address}/file.th", sha256=SHA256)
    assert (folder / "file.th").read_bytes() == WEIGHTS
    record = record_of(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["file.th"]
    assert record["files"] == {"file.th": {"bytes": len(WEIGHTS), "sha256": SHA256}}
    assert not list((tmp_path / "models").glob(".m.*"))


def test_a_broken_download_goes_on_where_it_broke_off(tmp_path, address):
    with pytest.raises(InputError):
        fetch(tmp_path, url=f"{address}/file.th", sha256="0" * 64)
    source = {"url": f"{address}/file.th", "sha256": SHA256}
    run = fetch_model.Run(fetch_model.STEP, settings={"hub": None, "revision": None, **source})
    folder = tmp_path / "models" / f".m.{run.id}.partial"
    folder.mkdir()
    (folder / "file.th.partial").write_bytes(WEIGHTS[:10_000])
    assert (fetch(tmp_path, **source) / "file.th").read_bytes() == WEIGHTS
    assert ASKED[-1] == ("/file.th", "bytes=10000-")


def test_a_file_of_the_wrong_checksum_never_appears(tmp_path, address):
    with pytest.raises(InputError, match=f"file.th .*has the sha256 {SHA256}, not 0{{64}}"):
        fetch(tmp_path, url=f"{address}/file.th", sha256="0" * 64)
    assert not (tmp_path / "models" / "m").exists()
    assert not list((tmp_path / "models").rglob("file.th*"))


def test_a_missing_address_says_how_to_point_at_a_local_copy(tmp_path, address):
    with pytest.raises(InputError, match=r"404.*set models\.m\.path"):
        fetch(tmp_path, url=f"{address}/absent.th")


@pytest.fixture
def hub(address, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    return address


def test_a_hub_model_comes_as_safetensors_at_its_commit(tmp_path, hub):
    folder = fetch(tmp_path, hub="a/b", sha256=SHA256)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert record_of(tmp_path)["revision"] == COMMIT


def test_a_hub_model_of_the_wrong_checksum_is_refused(tmp_path, hub):
    with pytest.raises(InputError, match=r"model\.safetensors has the checksum"):
        fetch(tmp_path, hub="a/b", revision=COMMIT, sha256="0" * 64)
    assert not (tmp_path / "models" / "m").exists()


def test_an_unknown_hub_model_is_named(tmp_path, hub):
    with pytest.raises(InputError, match=r"models\.m: .*c/d"):
        fetch(tmp_path, hub="c/d")


def test_without_network_a_hub_model_names_the_file_and_the_remedy(tmp_path, monkeypatch):
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError) as caught:
        fetch(tmp_path, hub="timm/vgg11.tv_in1k")
    assert "timm/vgg11.tv_in1k/model.safetensors" in str(caught.value)
    assert "set models.m.path to it and models.m.hub to null" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "models").iterdir())


def test_a_hub_that_names_files_elsewhere_writes_nothing_there(tmp_path, hub, monkeypatch):
    """Its own client sees to that."""
    monkeypatch.setitem(FILES, "model/../../../escaped.safetensors", WEIGHTS)
    with pytest.raises(InputError, match=r"\Amodels\.m: [^\n]*could not be fetched"):
        fetch(tmp_path / "a" / "b", hub="a/b", sha256=SHA256)
    assert [path for path in tmp_path.rglob("*") if "escaped" in path.name] == []


def test_a_checksum_of_weights_in_shards_says_so(tmp_path, hub, monkeypatch):
    monkeypatch.delitem(FILES, "model.safetensors")
    monkeypatch.setitem(FILES, "model-00001-of-00001.safetensors", WEIGHTS)
    with pytest.raises(InputError, match=r"there is no model\.safetensors.*set it to null"):
        fetch(tmp_path, hub="a/b", sha256=SHA256)


@pytest.mark.parametrize(
    "path", ["", "/", "/..", "/.hidden", "/a%00b", "/a%0Ab", "/" + "a" * 300, "/%2e%2e", "/x/"]
)
def test_an_address_without_a_files_name_is_refused(tmp_path, path):
    with pytest.raises(InputError, match=r"\Amodels\.m\.url: [^\n]*name"):
        fetch(tmp_path, url=f"http://127.0.0.1:9{path}")
    assert list(tmp_path.rglob("*partial*")) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"<!DOCTYPE html><html>log in</html>", "is a page of the web"),
        (WEIGHTS[:-10], "is a truncated or damaged safetensors file"),
        (WEIGHTS[:100], "is a truncated or damaged safetensors file"),
        (b"\xff" * 8 + b"{}", "is a truncated or damaged safetensors file"),
        (b"PK\3\4" + bytes(100), "is truncated or damaged"),
    ],
)
def test_without_a_checksum_weights_must_at_least_be_whole(tmp_path, content, reason):
    file = tmp_path / "given.th"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason):
        fetch(tmp_path, url=file.as_uri())
    assert not (tmp_path / "models" / "m").exists()
