"""Fetching the files that a list names, over real HTTP: the wanted ones, going on, refused."""

import http.server
import io
import json
import tarfile
import threading

import pytest

from hearsay.corpora import curl, fetch_listed_speech
from hearsay.corpora.fetch_listed_speech import addresses_of
from hearsay.errors import InputError


def archive(name):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"{name}.wav")
        member.size = 1000
        tar.addfile(member, io.BytesIO(name.encode() * 500))
    return data.getvalue()


FILES = {
    "/DCA_audio_part01_2018.10.06.tar.gz": archive("ab"),
    "/DCA_metadata_2018.10.06.txt": b"CORAAL.Spkr\n",
    "/PRV_textfiles_2018.10.06.tar.gz": archive("cd"),
    "/ATL_audio_part01_2020.05.tar.gz": archive("ef"),
}
ASKED: list[str] = []
BROKEN: set[str] = set()


class Server(http.server.BaseHTTPRequestHandler):
    """A list and its files; those in `BROKEN` are refused."""

    def do_GET(self):
        ASKED.append(self.path)
        if self.path in BROKEN:
            self.send_error(503)
            return
        base = f"http://127.0.0.1:{self.server.server_port}"
        listed = "\n".join(base + name for name in FILES).encode() + b"\n"
        content = listed if self.path == "/list.txt" else FILES.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(monkeypatch):
    monkeypatch.setattr(curl, "RETRIES", 0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        ASKED.clear()
        BROKEN.clear()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def fetch(tmp_path, url, names):
    fetch_listed_speech.main(
        corpus="coraal",
        settings=json.dumps({"url": url, "names": names}),
        out=tmp_path / "listed",
        record=tmp_path / "listed.run.json",
    )
    return tmp_path / "listed"


def test_what_is_wanted_is_fetched_and_recorded(address, tmp_path):
    folder = fetch(tmp_path, f"{address}/list.txt", ["DCA_*", "PRV_*"])
    assert {f"/{p.name}": p.read_bytes() for p in folder.iterdir()} == {
        name: content for name, content in FILES.items() if "ATL" not in name
    }
    record = json.loads((tmp_path / "listed.run.json").read_text())
    assert set(record["files"]) == {p.name for p in folder.iterdir()}
    assert not any("ATL" in path for path in ASKED)


def test_a_broken_fetch_leaves_nothing_and_goes_on_later(address, tmp_path):
    last = "/PRV_textfiles_2018.10.06.tar.gz"
    BROKEN.add(last)
    with pytest.raises(InputError, match=r"speech_corpora.coraal.listed: .*PRV.* could not be"):
        fetch(tmp_path, f"{address}/list.txt", ["DCA_*", "PRV_*"])
    assert not (tmp_path / "listed").exists()
    BROKEN.clear()
    ASKED.clear()
    fetch(tmp_path, f"{address}/list.txt", ["DCA_*", "PRV_*"])
    assert ["/list.txt", last] == ASKED


def test_an_archive_that_is_none_is_removed(address, tmp_path, monkeypatch):
    monkeypatch.setitem(FILES, "/DCA_audio_part01_2018.10.06.tar.gz", b"<html>log in</html>")
    with pytest.raises(InputError, match=r"it was removed; with a local copy at hand, set"):
        fetch(tmp_path, f"{address}/list.txt", ["DCA_*"])
    assert not (tmp_path / "listed").exists()


def test_a_component_that_the_list_lacks_is_named():
    with pytest.raises(
        InputError, match=r"key.names: no file is like 'ROC_\*'; the list has: a.zip"
    ):
        addresses_of("https://x/a.zip", ["ROC_*"], "key")


def test_two_files_of_one_name_are_refused():
    with pytest.raises(InputError, match=r"two files are called a\.zip"):
        addresses_of("https://x/a.zip https://y/a.zip", ["*"], "key")


def test_names_never_lead_out_of_the_folder():
    found = addresses_of("https://x/..%2f..%2fetc%2fpasswd https://x/.hidden", ["*"], "k")
    assert set(found) == {"passwd"}
