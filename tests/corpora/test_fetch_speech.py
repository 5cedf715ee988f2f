"""Fetching an archive of speech over real HTTP: whole, cut, resumed, refused, and another one."""

import hashlib
import http.server
import io
import json
import random
import tarfile
import threading

import pytest

from hearsay.corpora import curl, fetch_speech, fetched_file
from hearsay.corpora.fetched_file import checksums_of
from hearsay.errors import InputError


def make_archive():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name in ("1-2.trans.txt", "1-2-0000.flac"):
            member = tarfile.TarInfo(f"LibriSpeech/dev-clean/1/2/{name}")
            content = random.Random(name).randbytes(20_000)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


ARCHIVE = make_archive()
MD5 = hashlib.md5(ARCHIVE).hexdigest()
SHA256 = hashlib.sha256(ARCHIVE).hexdigest()
HALF = len(ARCHIVE) // 2
ASKED: list[tuple[str, str | None]] = []


class Server(http.server.BaseHTTPRequestHandler):
    """One archive; the path says how it is handed over."""

    def do_GET(self):
        asked = self.headers.get("Range")
        ASKED.append((self.path, asked))
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if self.path.startswith("/refused"):
            self.send_error(403)
        elif self.path == "/whole":
            self.send(ARCHIVE[start:], start)
        elif self.path == "/cut-once":
            self.send(ARCHIVE[start:HALF] if start < HALF else ARCHIVE[start:], start)
        elif self.path == "/too-short":
            self.send(ARCHIVE[:HALF], length=HALF)
        elif self.path == "/no-ranges":
            self.send(ARCHIVE)
        elif self.path == "/page":
            self.send(b"<html>log in</html>", length=19)
        elif self.path == "/empty":
            self.send(b"", length=0)

    def send(self, data, start=0, length=None):
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


def place(tmp_path, archive="dev-clean.tar.gz"):
    return tmp_path / "speech" / "librispeech" / archive


def fetch(tmp_path, url, md5=MD5, sha256=None, archive="dev-clean.tar.gz"):
    out = place(tmp_path, archive)
    settings = json.dumps({"url": url, "md5": md5, "sha256": sha256})
    record = out.with_name(f"{archive}.run.json")
    fetch_speech.main("librispeech", archive, settings, out, record)
    return out


KEY = r"speech_corpora\.librispeech\.archives\.[\w.-]+"


def refusal(tmp_path, url, md5=MD5, sha256=None, archive="dev-clean.tar.gz"):
    with pytest.raises(InputError, match=rf"\A{KEY}: [^\n]*\Z") as caught:
        fetch(tmp_path, url, md5, sha256, archive)
    folder = place(tmp_path).parent
    assert [path.name for path in folder.iterdir() if not path.name.startswith(".")] == []
    return str(caught.value)


def partial_of(tmp_path, url, md5=MD5, sha256=None):
    """Where a download that broke off is kept."""
    settings = {"url": url, "md5": md5, "sha256": sha256}
    run = fetch_speech.Run(fetch_speech.STEP, settings=settings)
    return place(tmp_path).with_name(f".dev-clean.tar.gz.{run.id}.partial")


# Names of their own: an archive holds the time, and the processes of a run must agree on names.
@pytest.mark.parametrize(
    ("md5", "sha256"),
    [(MD5, None), (None, SHA256), (MD5, SHA256)],
    ids=["md5", "sha256", "both"],
)
def test_an_archive_is_fetched_verified_and_recorded(tmp_path, address, md5, sha256, capsys):
    out = fetch(tmp_path, f"{address}/whole", md5, sha256)
    assert out.read_bytes() == ARCHIVE
    record = json.loads(out.with_name("dev-clean.tar.gz.run.json").read_text())
    assert (record["bytes"], record["sha256"]) == (len(ARCHIVE), SHA256)
    assert record.get("md5") == md5
    assert len(list(out.parent.iterdir())) == 2
    printed = capsys.readouterr().err
    assert "fetch librispeech/dev-clean.tar.gz" in printed
    assert "librispeech/dev-clean.tar.gz: 0.0 MB" in printed


def test_a_cut_connection_is_refused_and_the_next_try_goes_on(tmp_path, address):
    url = f"{address}/cut-once"
    message = refusal(tmp_path, url)
    assert f"{url} could not be fetched (curl: (18)" in message
    assert message.endswith(
        "with a local copy at hand, set speech_corpora.librispeech.path to its folder and "
        "speech_corpora.librispeech.archives to {}"
    )
    assert partial_of(tmp_path, url).read_bytes() == ARCHIVE[:HALF]
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE
    assert ASKED[-1] == ("/cut-once", f"bytes={HALF}-")


def test_a_server_that_cannot_resume_is_asked_for_the_whole(tmp_path, address):
    url = f"{address}/no-ranges"
    partial = partial_of(tmp_path, url)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(ARCHIVE[:1000])
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE
    assert [asked for _, asked in ASKED] == ["bytes=1000-", None]


def test_a_beginning_of_something_else_is_found_and_removed(tmp_path, address):
    url = f"{address}/whole"
    partial = partial_of(tmp_path, url)
    partial.parent.mkdir(parents=True)
    partial.write_bytes(b"x" * 1000)
    assert "it was removed. Run again" in refusal(tmp_path, url)
    assert fetch(tmp_path, url).read_bytes() == ARCHIVE


@pytest.mark.parametrize(
    ("given", "found"),
    [({"md5": "0" * 32}, f"md5 {MD5}"), ({"md5": None, "sha256": "0" * 64}, f"sha256 {SHA256}")],
    ids=["md5", "sha256"],
)
def test_another_archive_is_refused_with_both_checksums(tmp_path, address, given, found):
    message = refusal(tmp_path, f"{address}/whole", **given)
    name = found.split()[0]
    assert f"({len(ARCHIVE):,} bytes) has the {found}, not 000" in message
    assert f"or correct speech_corpora.librispeech.archives.dev-clean.tar.gz.{name}" in message
    assert list(place(tmp_path).parent.iterdir()) == []


def test_an_address_that_refuses_says_how_to_use_a_local_copy(tmp_path, address):
    message = refusal(tmp_path, f"{address}/refused")
    assert "/refused could not be fetched (curl: (22)" in message
    assert "error: 403" in message
    assert "set speech_corpora.librispeech.path to its folder" in message


def test_nobody_at_the_address(tmp_path):
    assert "could not be fetched (curl: (7)" in refusal(tmp_path, "http://127.0.0.1:9/a.tar.gz")


def test_a_length_that_lies_is_found_by_the_checksum_and_without_one(tmp_path, address):
    assert "has the md5" in refusal(tmp_path, f"{address}/too-short")
    message = refusal(tmp_path, f"{address}/too-short", None)
    assert f"({HALF:,} bytes) is" in message
    assert "it was removed; with a local copy" in message
    assert list(place(tmp_path).parent.iterdir()) == []


def test_a_page_in_place_of_an_archive_is_refused(tmp_path, address):
    message = refusal(tmp_path, f"{address}/page", None)
    assert "(19 bytes) is no zip or tar archive" in message


def test_without_a_checksum_a_whole_archive_is_taken(tmp_path, address):
    assert fetch(tmp_path, f"{address}/whole", None).read_bytes() == ARCHIVE


def test_what_is_no_archive_is_fetched_as_it_is(tmp_path, address):
    """CORAAL's metadata are plain text beside its archives."""
    out = fetch(tmp_path, f"{address}/whole", None, archive="DCA_metadata_2018.10.06.txt")
    assert out.read_bytes() == ARCHIVE


def test_an_empty_answer_is_refused(tmp_path, address):
    assert "answered with nothing" in refusal(tmp_path, f"{address}/empty", None)


def test_without_curl_a_local_copy_is_advised(tmp_path, monkeypatch):
    monkeypatch.setattr(curl.shutil, "which", lambda name: None)
    assert "curl is not found; install it" in refusal(tmp_path, "http://127.0.0.1:9/a")


def test_checksums_are_made_in_one_pass(tmp_path):
    (tmp_path / "file").write_bytes(ARCHIVE)
    assert checksums_of(tmp_path / "file", {"md5", "sha256"}) == {"md5": MD5, "sha256": SHA256}
    assert fetched_file.checksums_of(tmp_path / "file", set()) == {}
