"""Fetching an archive of text over real HTTP: whole, resumed, refused, cut, and lied about."""

import hashlib
import http.server
import io
import json
import threading
import zipfile

import pytest

from hearsay.corpora import curl, fetch_text
from hearsay.errors import InputError


def make_archive():
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for split in ("train", "valid", "test"):
            archive.writestr(f"wiki.{split}.tokens", f"a few words to {split} on\n" * 500)
    return data.getvalue()


ARCHIVE = make_archive()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
HALF = len(ARCHIVE) // 2
ASKED: list[tuple[str, str | None]] = []


class Server(http.server.BaseHTTPRequestHandler):
    """One archive, told about in several ways; the path says which."""

    def do_GET(self):
        asked = self.headers.get("Range")
        ASKED.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if self.path in ("/403", "/404"):
            self.send_error(int(self.path[1:]))
        elif self.path == "/whole.zip":
            self.send(ARCHIVE[start:], start=start)
        elif self.path == "/moved.zip":
            self.send_response(302)
            self.send_header("Location", "/whole.zip")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/no-ranges.zip":
            self.send(ARCHIVE)
        elif self.path == "/cut-once.zip":  # breaks off, and hands over the rest when asked for it
            self.send(ARCHIVE[start:HALF] if start < HALF else ARCHIVE[start:], start=start)
        elif self.path == "/too-short.zip":  # states fewer bytes than there are
            self.send(ARCHIVE[:HALF], length=HALF)
        elif self.path == "/page":
            self.send(b"<html>please log in</html>", length=26)
        elif self.path == "/empty":
            self.send(b"", length=0)

    def send(self, data, *, start=0, length=None):
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(ARCHIVE) - 1}/{len(ARCHIVE)}")
        self.send_header("Content-Length", str(len(ARCHIVE) - start if length is None else length))
        self.end_headers()
        self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        ASKED.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(tmp_path, url, sha256=SHA256):
    out = tmp_path / "text" / "mine" / "archive"
    settings = json.dumps({"url": url, "sha256": sha256})
    fetch_text.main("mine", settings, out, out.with_name("archive.run.json"))
    return out


def refusal(tmp_path, url, sha256=SHA256):
    with pytest.raises(InputError, match=r"\Atext_corpora\.mine: [^\n]*\Z") as caught:
        fetch(tmp_path, url, sha256)
    assert not (tmp_path / "text" / "mine" / "archive").exists()
    assert not (tmp_path / "text" / "mine" / "archive.run.json").exists()
    return str(caught.value)


def partial_of(tmp_path, url, sha256=SHA256):
    """Where a download that broke off is kept."""
    run = fetch_text.Run(fetch_text.STEP, settings={"url": url, "sha256": sha256})
    return tmp_path / "text" / "mine" / f".archive.{run.id}.partial"


def begin(tmp_path, url, content, sha256=SHA256):
    partial = partial_of(tmp_path, url, sha256)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(content)


@pytest.mark.parametrize("path", ["/whole.zip", "/moved.zip"])
def test_an_archive_is_fetched_verified_and_recorded(tmp_path, address, path, capsys):
    out = fetch(tmp_path, address + path)
    assert out.read_bytes() == ARCHIVE
    record = json.loads(out.with_name("archive.run.json").read_text())
    assert (record["bytes"], record["sha256"]) == (len(ARCHIVE), SHA256)
    assert {path.name for path in out.parent.iterdir()} == {"archive", "archive.run.json"}
    printed = capsys.readouterr().err
    assert "fetch mine" in printed
    assert "mine: 0.0 MB" in printed


def test_without_a_checksum_it_must_at_least_be_an_archive(tmp_path, address):
    assert fetch(tmp_path, f"{address}/whole.zip", None).read_bytes() == ARCHIVE


def test_a_broken_download_goes_on_where_it_broke_off(tmp_path, address):
    url = f"{address}/whole.zip"
    begin(tmp_path, url, ARCHIVE[:1000])
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE
    assert ASKED == [("/whole.zip", "bytes=1000-")]


def test_a_server_that_cannot_resume_is_asked_for_the_whole(tmp_path, address):
    url = f"{address}/no-ranges.zip"
    begin(tmp_path, url, ARCHIVE[:1000])
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE
    assert ASKED == [("/no-ranges.zip", "bytes=1000-"), ("/no-ranges.zip", None)]


def test_a_cut_connection_is_refused_and_the_next_try_goes_on(tmp_path, address):
    url = f"{address}/cut-once.zip"
    message = refusal(tmp_path, url)
    assert f"{url} could not be fetched (curl: (18)" in message
    assert "set text_corpora.mine.path to it and text_corpora.mine.url to null" in message
    assert partial_of(tmp_path, url).read_bytes() == ARCHIVE[:HALF]
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE
    assert ASKED[-1] == ("/cut-once.zip", f"bytes={HALF}-")


def test_a_beginning_of_something_else_is_found_and_removed(tmp_path, address):
    url = f"{address}/whole.zip"
    begin(tmp_path, url, b"x" * 1000)
    assert "it was removed. Run again" in refusal(tmp_path, url)
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE


@pytest.mark.parametrize("status", ["403", "404"])
def test_an_address_that_refuses_says_how_to_use_a_local_copy(tmp_path, address, status):
    message = refusal(tmp_path, f"{address}/{status}")
    assert f"/{status} could not be fetched (curl: (22)" in message
    assert f"error: {status}" in message
    assert "with a local copy at hand, set text_corpora.mine.path to it" in message
    assert list((tmp_path / "text" / "mine").iterdir()) == []


def test_nobody_at_the_address(tmp_path):
    message = refusal(tmp_path, "http://127.0.0.1:9/a.zip")
    assert "could not be fetched (curl: (7)" in message


def test_another_archive_is_refused_with_both_checksums(tmp_path, address):
    message = refusal(tmp_path, f"{address}/whole.zip", "0" * 64)
    assert f"({len(ARCHIVE):,} bytes) has the sha256 {SHA256}, not {'0' * 64}" in message
    assert "or correct text_corpora.mine.sha256" in message
    assert list((tmp_path / "text" / "mine").iterdir()) == []


def test_a_length_that_lies_is_found_by_the_checksum_and_without_one(tmp_path, address):
    assert "has the sha256" in refusal(tmp_path, f"{address}/too-short.zip")
    message = refusal(tmp_path, f"{address}/too-short.zip", None)
    assert f"({HALF:,} bytes) is a truncated zip archive" in message
    assert list((tmp_path / "text" / "mine").iterdir()) == []


def test_a_page_in_place_of_an_archive_is_refused(tmp_path, address):
    message = refusal(tmp_path, f"{address}/page", None)
    assert "(26 bytes) is no zip or tar archive" in message


def test_an_empty_answer_is_refused(tmp_path, address):
    assert "answered with nothing" in refusal(tmp_path, f"{address}/empty", None)


def test_without_curl_a_local_copy_is_advised(tmp_path, monkeypatch):
    monkeypatch.setattr(curl.shutil, "which", lambda name: None)
    message = refusal(tmp_path, "http://127.0.0.1:9/a.zip")
    assert "curl is not found; install it" in message


def test_the_bytes_that_come_are_counted(tmp_path, address):
    seen = []
    curl.fetch(f"{address}/whole.zip", tmp_path / "file", seen.append)
    assert sum(seen) == len(ARCHIVE)
    (tmp_path / "file").write_bytes(ARCHIVE[:1000])
    seen.clear()
    curl.fetch(f"{address}/no-ranges.zip", tmp_path / "file", seen.append)
    assert sum(seen) == len(ARCHIVE) - 1000
