"""Passwords and tokens: read from the environment alone, never recorded, never shown."""

import http.server
import json
import subprocess
import sys
import threading

import pytest
import torch
import yaml
from safetensors.torch import save

from hearsay.config import load
from hearsay.errors import InputError
from hearsay.provenance import PACKAGE

TOKEN = "hf_ThisIsNoRealTokenButSecret0123456789"
OTHER = "mdc-ThisIsNoRealTokenEither-9876543210"
ADDRESSES = [
    "https://user:{}@example.org/a.tar.gz",
    "https://{}@example.org/a.tar.gz",
    "https://example.org/a.tar.gz?token={}",
    "https://example.org/a.tar.gz?x=1&access_token={}",
    "https://example.org/a.tar.gz?api-key={}",
    "https://example.org/a.tar.gz?X-Amz-Signature={}",
    "https://example.org/a.tar.gz?sig={}",
    "https://example.org/a.tar.gz?X-Amz-Security-Token={}",
]
PLACES = {
    "models": lambda url: {"models": {"m": {"url": url}}},
    "text": lambda url: {"text_corpora": {"c": {"url": url}}},
    "listed": lambda url: {
        "speech_corpora": {"c": {"kind": "coraal", "language": "en", "listed": {"url": url}}}
    },
    "archives": lambda url: {
        "speech_corpora": {
            "c": {"kind": "coraal", "language": "en", "archives": {"a.tar.gz": {"url": url}}}
        }
    },
    "datasets": lambda url: {"fmri_datasets": {"d": {"source": url, "version": "1"}}},
}


def refusal(tmp_path, content):
    file = tmp_path / "my.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(yaml.safe_load(file.read_text(encoding="utf-8")), [file], {})
    return str(caught.value)


@pytest.mark.parametrize("secret", [TOKEN, OTHER])
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("place", PLACES)
def test_an_address_with_a_secret_is_refused_and_not_shown(tmp_path, place, address, secret):
    message = refusal(tmp_path, PLACES[place](address.format(secret)))
    assert "leave it out" in message
    assert "HF_TOKEN" in message
    assert secret not in message
    assert secret[4:20] not in message


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org/a.tar.gz",
        "https://example.org/a.tar.gz?download=1&version=2",
        "https://example.org/monkey@home/a.tar.gz?keyword=x",
        "git@github.com:OpenNeuroDatasets/ds003020.git",
        "ssh://git@example.org/a.git",
        "/data/my dataset@home",
    ],
)
def test_other_addresses_are_taken(tmp_path, address):
    content = {"fmri_datasets": {"d": {"source": address, "version": "1"}}}
    assert load(content, [], {}).fmri_datasets["d"].source == address


@pytest.mark.parametrize("address", ["--upload-pack=touch PWNED", "https://[::1", "http://a\nb"])
def test_what_is_no_address_is_refused(tmp_path, address):
    assert "is no address" in refusal(tmp_path, PLACES["datasets"](address))


def test_a_version_is_no_option(tmp_path):
    content = {"fmri_datasets": {"d": {"source": "a", "version": "--output=PWNED"}}}
    assert "does not look like" in refusal(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        {"hub_token": TOKEN},
        {"models": {"m": {"hub": "a/b", "token": OTHER}}},
        {"models": {"m": {"hub": "a/b", "HF_TOKEN": TOKEN}}},
        {"models": {"m": {"hub": "a/b", "api_key": OTHER}}},
        {"spectral": {"auth": {"password": OTHER}}},
        {"models": {"m": {"hub": "a/b", "note": f"Bearer {TOKEN}"}}},
        {"models": {"m": {"hub": "a/b", "path": f"https://x:{OTHER}@h/y"}}},
    ],
)
def test_a_secret_in_the_configuration_is_refused_and_not_shown(tmp_path, content):
    message = refusal(tmp_path, content)
    assert TOKEN not in message
    assert OTHER not in message


WEIGHTS = save({"layer.weight": torch.ones(60, 60)})
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEARD: list[str | None] = []


class Hub(http.server.BaseHTTPRequestHandler):
    """Hands a/b over to whoever has the token; refuses c/d with a message that repeats it."""

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        HEARD.append(self.headers.get("Authorization"))
        path = self.path.partition("?")[0]
        if "c/d" in path:
            body, status = f"no access with {self.headers.get('Authorization')}".encode(), 403
        elif "/resolve/" in path:
            body, status = WEIGHTS, 200
        else:
            listing = {"type": "file", "path": "model.safetensors", "size": len(WEIGHTS), "oid": ""}
            tree = "/tree/" in path
            body = json.dumps([listing] if tree else {"id": "a/b", "sha": COMMIT}).encode()
            status = 200
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"x"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("X-Error-Message", "" if status == 200 else body.decode())
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("MDC_API_KEY", OTHER)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        HEARD.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()


@pytest.mark.parametrize("repository", ["a/b", "c/d"])
def test_the_hubs_token_is_used_and_told_to_nobody(tmp_path, hub, repository):
    """Through the real command; also when the server's own message repeats it."""
    settings = {"hub": repository, "revision": None, "url": None, "sha256": None}
    command = [sys.executable, "-m", "hearsay.step", "hearsay.corpora.fetch_model", "--model", "m"]
    command += ["--settings", json.dumps(settings), "--out", str(tmp_path / "m")]
    command += ["--record", str(tmp_path / "m.run.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert f"Bearer {TOKEN}" in HEARD
    assert (done.returncode == 0) == (repository == "a/b"), done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stdout + done.stderr
    assert OTHER not in done.stdout + done.stderr
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert TOKEN.encode() not in content, file
            assert OTHER.encode() not in content, file
