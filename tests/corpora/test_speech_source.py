"""Folders and archives of speech as one source: the same files, and nothing that is unsafe."""

import gzip
import io
import struct
import tarfile
import zipfile
from random import Random

import pytest

from hearsay.corpora import speech_archives, speech_containers
from hearsay.corpora.speech_source import Source, open_source
from hearsay.errors import InputError

RANDOM = Random(0)
FILES = {
    "cv/de/train.tsv": b"path\tsentence\n",
    "cv/de/clips/b.mp3": RANDOM.randbytes(8192),  # as long as a buffer and a multiple of a block
    "cv/de/clips/a.mp3": RANDOM.randbytes(70_000),
    "cv/de/clips/empty.mp3": b"",
    "cv/de/clips/c.mp3": RANDOM.randbytes(511),
}
TARS = ["tar", "tar.gz", "tar.bz2", "tar.xz"]


def tarred(path, content, mode=None):
    mode = mode or "w:" + path.name.partition(".tar")[2].removeprefix(".")
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def zipped(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def folder_of(path, content):
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def packed(tmp_path, kind, content=FILES):
    path = tmp_path / f"source.{kind}"
    if kind == "folder":
        return folder_of(path, content)
    return zipped(path, content) if kind == "zip" else tarred(path, content)


def refusal(path, *names):
    """The one-line message with which a source, or reading from it, is refused."""
    with pytest.raises(InputError) as caught:
        dict(open_source(path).stream(names))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [*TARS, "zip", "folder"])
def test_every_kind_of_source_has_the_same_files(tmp_path, kind):
    source = open_source(packed(tmp_path, kind))
    assert source.names() == sorted(FILES)
    assert all(source.size(name) == len(data) for name, data in FILES.items())
    assert all(source.read(name) == data for name, data in FILES.items())
    assert "cv/de/train.tsv" in source
    assert "cv/de" not in source
    wanted = [name for name in FILES if name.endswith("mp3")]
    found = list(source.stream(wanted))
    assert dict(found) == {name: FILES[name] for name in wanted}
    assert len(found) == len(wanted)
    if kind != "folder":
        assert [name for name, _ in found] == wanted  # in the order of the archive
    assert list(source.stream([])) == []


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_only_texts_are_kept_and_they_are_forgotten(tmp_path, kind, monkeypatch):
    source = open_source(packed(tmp_path, kind))
    (tmp_path / f"source.{kind}").rename(tmp_path / "moved")
    if kind == "tar.gz":
        assert source.read("cv/de/train.tsv") == FILES["cv/de/train.tsv"]
    source.forget_texts()
    with pytest.raises(InputError, match="cannot be read: No such file"):
        source.read("cv/de/train.tsv")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        source.read("cv/de/clips/a.mp3")


def test_texts_beyond_what_is_kept_are_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(speech_archives, "KEPT", 20)
    monkeypatch.setattr(speech_archives, "KEPT_EACH", 4)
    content = {f"{k}.tsv": b"0123456789" for k in range(5)}
    path = tarred(tmp_path / "a.tar.gz", content)
    source = Source(path, ["1", "3", "4"])
    assert list(source._containers[0]._kept) == ["1.tsv", "3.tsv"]
    assert all(source.read(name) == data for name, data in content.items())


def test_a_folder_of_archives_is_the_union_of_them(tmp_path):
    folder = tmp_path / "archives"
    folder.mkdir()
    tarred(folder / "a.tar.gz", {"L/a/1.flac": b"1", "L/README": b"same"})
    zipped(folder / "b.zip", {"L/b/2.flac": b"22", "L/README": b"same"})
    (folder / "metadata.txt").write_bytes(b"m")
    (folder / ".c.tar.gz.partial").write_bytes(b"half")
    source = open_source(folder)
    assert source.names() == ["L/README", "L/a/1.flac", "L/b/2.flac", "metadata.txt"]
    assert dict(source.stream(["L/b/2.flac", "L/a/1.flac"])) == {
        "L/a/1.flac": b"1",
        "L/b/2.flac": b"22",
    }
    assert source.read("metadata.txt") == b"m"


def test_of_archives_named_like_the_parts_only_these_are_opened(tmp_path):
    tarred(tmp_path / "dev-clean.tar.gz", {"dev-clean/1.flac": b"1"})
    (tmp_path / "train-other-500.tar.gz").write_bytes(b"\x1f\x8bbroken")
    assert open_source(tmp_path, ["dev-clean"]).names() == ["dev-clean/1.flac"]
    for parts in (["dev-clean", "train"], []):
        with pytest.raises(InputError, match=r"train-other-500.tar.gz: is truncated or damaged"):
            open_source(tmp_path, parts)


def test_archives_that_differ_about_a_file_are_refused_when_it_is_wanted(tmp_path):
    tarred(tmp_path / "de.tar", {"train.tsv": b"de", "clips/de.mp3": b"1"})
    tarred(tmp_path / "es.tar", {"train.tsv": b"es!", "clips/es.mp3": b"2"})
    assert open_source(tmp_path).read("clips/es.mp3") == b"2"
    assert "two of its archives hold train.tsv, and they differ" in refusal(tmp_path, "train.tsv")


def test_archives_beside_folders_are_files(tmp_path):
    folder_of(tmp_path, {"clips/a.mp3": b"1"})
    tarred(tmp_path / "a.tar", {"x": b"1"})
    assert open_source(tmp_path).names() == ["a.tar", "clips/a.mp3"]


def test_links_in_a_folder_are_followed_once(tmp_path):
    store = folder_of(tmp_path / "elsewhere", {"a.mp3": b"1"})
    corpus = folder_of(tmp_path / "corpus", {"train.tsv": b"t", ".hidden/x": b"h"})
    (corpus / "clips").symlink_to(store)
    (store / "loop").symlink_to(corpus)
    (corpus / "gone").symlink_to(tmp_path / "nothing")
    assert open_source(corpus).names() == ["clips/a.mp3", "train.tsv"]


def test_of_a_member_that_comes_twice_the_last_counts(tmp_path):
    path = tarred(tmp_path / "a.tar", {"x.mp3": b"old", "y.mp3": b"y"})
    tarred(path, {"x.mp3": b"newer"}, "a")
    source = open_source(path)
    assert dict(source.stream(["x.mp3", "y.mp3"])) == {"x.mp3": b"newer", "y.mp3": b"y"}
    with gzip.open(tmp_path / "a.tar.gz", "wb") as stream:
        stream.write(path.read_bytes())
    assert open_source(tmp_path / "a.tar.gz").read("x.mp3") == b"newer"


def test_nothing_is_unpacked_to_disk_and_members_are_not_held(tmp_path):
    path = tarred(tmp_path / "a.tar.gz", FILES)
    before = set(tmp_path.rglob("*"))
    source = open_source(path)
    for _ in source.stream(list(FILES)):
        assert set(tmp_path.rglob("*")) == before


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../../etc/a.mp3", "/etc/a.mp3", "a\\..\\..\\a.mp3", "a/../../b"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path, name, pack):
    path = pack(tmp_path / "a.tar", {**FILES, name: b"x"})
    assert "leads out of the archive; nothing was read from it" in refusal(path)


def test_links_and_devices_in_archives_are_no_files(tmp_path):
    path = tarred(tmp_path / "a.tar", FILES)
    with tarfile.open(path, "a") as archive:
        for name, kind in [("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("c", tarfile.CHRTYPE)]:
            link = tarfile.TarInfo(f"clips/{name}.mp3")
            link.type, link.linkname = kind, "/etc/hostname"
            archive.addfile(link)
    assert open_source(path).names() == sorted(FILES)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("clips/link.mp3")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/hostname")
        archive.writestr("b.mp3", b"1")
    assert open_source(tmp_path / "a.zip").names() == ["b.mp3"]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip", "folder"])
def test_a_file_of_absurd_size_is_not_read(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(speech_containers, "LARGEST", 60_000)
    path = packed(tmp_path, kind)
    message = refusal(path, "cv/de/clips/a.mp3")
    assert "(cv/de/clips/a.mp3): is 70000 bytes, more than is read at once (60000)" in message


def test_an_archive_that_unpacks_to_absurdly_much_is_refused(tmp_path):
    path = tarred(tmp_path / "a.tar.gz", {"a.mp3": bytes(30 << 20)})
    assert "unpacks to more than 100 times its size" in refusal(path)
    with gzip.open(tmp_path / "b.tar.gz", "wb") as stream:
        stream.write(tarred(tmp_path / "b.tar", {"a.mp3": b"1"}).read_bytes())
        stream.write(bytes(30 << 20))
    assert "is truncated or damaged (its end is too long)" in refusal(tmp_path / "b.tar.gz")


@pytest.mark.parametrize("kind", [*TARS, "zip"])
def test_a_truncated_archive_is_refused(tmp_path, kind):
    path = packed(tmp_path, kind)
    whole = path.read_bytes()
    # At the end, within a file, within a header, and where a header should begin.
    cuts = {int(len(whole) * share) for share in (0.001, 0.1, 0.5, 0.9)} | {len(whole) - 12}
    if kind == "tar":
        with tarfile.open(path) as archive:
            offsets = [member.offset for member in archive.getmembers()]
        cuts = {int(len(whole) * 0.5), offsets[2], offsets[4], offsets[3] + 100}
    for cut in cuts:
        path.write_bytes(whole[:cut])
        message = refusal(path)
        assert "truncated" in message or "is no zip or tar archive, or damaged" in message


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
def test_a_damaged_archive_is_refused(tmp_path, kind):
    path = packed(tmp_path, kind)
    whole = path.read_bytes()
    if kind == "tar":  # it has checksums of headers only
        with tarfile.open(path) as archive:
            places = [member.offset + 5 for member in archive.getmembers()[1:]]
    else:
        places = [int(len(whole) * share) for share in (0.3, 0.5, 0.7)]
    for place in places:
        data = bytearray(whole)
        data[place] ^= 0x40
        path.write_bytes(data)
        assert "is truncated or damaged" in refusal(path, *FILES)


def test_a_locked_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.mp3": b"1" * 99})
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, 6, 1)  # the flag of encryption
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 8, 1)
    path.write_bytes(data)
    assert "cannot be unpacked" in refusal(path, "a.mp3")


@pytest.mark.parametrize("content", [b"", b"a b c\n", b"<html>403</html>"])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "corpus.tar.gz"
    path.write_bytes(content)
    assert "corpus.tar.gz: is no zip or tar archive, or damaged; get it anew" in refusal(path)


def test_what_is_missing_is_named(tmp_path):
    assert "none.tar: no such archive or folder" in refusal(tmp_path / "none.tar")
    path = tarred(tmp_path / "a.tar", FILES)
    assert "a.tar: holds no file x.mp3" in refusal(path, "x.mp3")
