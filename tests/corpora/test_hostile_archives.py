"""Archives that would write elsewhere, link elsewhere, or unpack to more than there is room for."""

import ast
import gzip
import io
import lzma
import os
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from guard import guarded

from hearsay.corpora import speech_archives, text_files
from hearsay.corpora.speech_archives import check_archive, open_archive
from hearsay.corpora.tar_members import LARGEST_HEADER
from hearsay.corpora.text_files import check_texts, texts_of
from hearsay.corpora.whole_weights import check_weights
from hearsay.errors import InputError
from hearsay.provenance import PACKAGE
from hearsay.spectral.sources import open_source

SECRET = b"root of all evil"
WANTED = ("train.txt", "model_weights.ckpt")  # what some reader looks for


def read_texts(path):
    content = []
    for text in texts_of(path):
        with text.open() as stream:
            content.append(stream.read())
    return content


def read_speech(path):
    container = open_archive(path)
    streamed = dict(container.stream(container.sizes))
    assert {name: container.read(name) for name in container.sizes} == streamed
    return list(streamed.values())


def read_weights(path):
    return [str(weight.name).encode() for weight in open_source(path)]


def check_only(check):
    def read(path):
        check(path)
        return []

    return read


READERS = {
    "texts": read_texts,
    "speech": read_speech,
    "weights": read_weights,
    "fetched texts": check_only(check_texts),
    "fetched speech": check_only(check_archive),
    "fetched weights": check_only(check_weights),
}


def member(name, data=b"", **header):
    found = tarfile.TarInfo(name)
    found.size = len(data)
    for key, value in header.items():
        setattr(found, key, value)
    return found, data


def tar(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for header, data in members:
            archive.addfile(header, io.BytesIO(data))
    return stream.getvalue()


def zipped(*members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def raw_header(name, size, kind=tarfile.REGTYPE):
    """A header with any size, negative ones included."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = b"\xff" * 4 + struct.pack(">q", size)
    header[156:157] = kind
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def names_outside(name):
    return tar(*(member(name, b"words\n") for _ in range(2)), *(member(n, b"a\n") for n in WANTED))


def links(kind, target):
    return tar(*(member(name, type=kind, linkname=target) for name in WANTED))


def special(kind):
    return tar(*(member(name, type=kind, devmajor=1, devminor=5) for name in WANTED))


def zeros(pack, total):
    """Gigabytes of zeros behind a header that says so, packed to little."""
    stream = io.BytesIO()
    with pack(stream) as packed:
        packed.write(member_header(WANTED[0], total))
        block = bytes(1 << 24)
        for _ in range(total // len(block)):
            packed.write(block)
        packed.write(bytes(1024))
    return stream.getvalue()


def member_header(name, size, kind=tarfile.REGTYPE):
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header.tobuf(tarfile.GNU_FORMAT)


def gzipped(stream):
    return gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream)


def xz(stream):
    return lzma.LZMAFile(stream, "wb", preset=0)


def long_name(size):
    """A name of gigabytes: an extended header, which Python's reader takes into memory."""
    stream = io.BytesIO()
    with gzipped(stream) as packed:
        packed.write(member_header("././@LongLink", size, tarfile.GNUTYPE_LONGNAME))
        block = b"a" * (1 << 24)
        for _ in range(size // len(block)):
            packed.write(block)
        packed.write(member_header("train.txt", 0) + bytes(1024))
    return stream.getvalue()


def many_empty_files(count):
    header = b"".join(member_header(f"{k}.txt", 0) for k in range(1000))
    stream = io.BytesIO()
    with gzipped(stream) as packed:
        for _ in range(count // 1000):
            packed.write(header)
        packed.write(bytes(1024))
    return stream.getvalue()


def link_of_the_same_name():
    regular = [member(name, b"words\n") for name in WANTED]
    after = [member(name, type=tarfile.SYMTYPE, linkname="gone") for name in WANTED]
    return tar(*regular, *after)


LINK, FILE = 0o120777, 0o100644
HOSTILE = {
    "parent folder": lambda secret: names_outside("../../escaped.txt"),
    "parent folder within": lambda secret: names_outside("a/../../escaped.txt"),
    "backslashes": lambda secret: zipped(("..\\escaped.txt", b"words", FILE)),
    "absolute": lambda secret: names_outside("/tmp/escaped.txt"),
    "zip, parent folder": lambda secret: zipped(("../escaped.txt", b"words", FILE)),
    "zip, absolute": lambda secret: zipped(("/escaped.txt", b"words", FILE)),
    "symbolic link": lambda secret: links(tarfile.SYMTYPE, str(secret)),
    "hard link": lambda secret: links(tarfile.LNKTYPE, str(secret)),
    "zip, symbolic link": lambda secret: zipped(("train.txt", str(secret).encode(), LINK)),
    "device": lambda secret: special(tarfile.CHRTYPE),
    "pipe": lambda secret: special(tarfile.FIFOTYPE),
    "link of the same name": lambda secret: link_of_the_same_name(),
    "zeros, gzip": lambda secret: zeros(gzipped, 1 << 30),
    "zeros, xz": lambda secret: zeros(xz, 1 << 30),
    "long name": lambda secret: long_name(2 << 30),
    "many empty files": lambda secret: many_empty_files(300_000),
    "negative size": lambda secret: raw_header("train.txt", -512) + bytes(1024),
    "negative header": lambda secret: raw_header("a", -1, tarfile.XHDTYPE) + bytes(1024),
    "size of an exabyte": lambda secret: raw_header("train.txt", 10**18) + bytes(1024),
    "zip of zeros": lambda secret: zipped(("train.txt", bytes(1 << 28), FILE)),
    "zip of zeros, bzip2": lambda secret: zipped(
        *((f"{name}.txt", bytes(1 << 26), FILE) for name in ("train", "valid", "test")),
        method=zipfile.ZIP_BZIP2,
    ),
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Each archive is made once."""
    made = {}
    folder = tmp_path_factory.mktemp("hostile")
    secret = folder / "secret"
    secret.write_bytes(SECRET)

    def make(name):
        if name not in made:
            made[name] = HOSTILE[name](secret)
        return made[name]

    return make


REFUSED_BY_ALL = [name for name in HOSTILE if "parent" in name or "size" in name or "neg" in name]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_or_read_without_harm(tmp_path, archives, name, reader, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST_IN_ALL", 1 << 29)  # in earnest 4 GiB: slow to test
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    is_zip = archives(name)[:2] == b"PK"
    ending = ".pth" if is_zip else ".nemo"
    path = folder / (f"a{ending}" if "weights" in reader else f"a{'.zip' if is_zip else '.tar.gz'}")
    path.write_bytes(archives(name))
    try:
        with guarded(tmp_path, seconds=240, memory=1 << 30):
            content = READERS[reader](path)
        message = str(path)
    except InputError as error:
        content, message = [], str(error)
    assert str(path) in message
    assert "\n" not in message
    assert SECRET not in b"".join(content)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [path]
    assert not Path("/tmp/escaped.txt").exists()


@pytest.mark.parametrize("reader", ["texts", "speech"])
@pytest.mark.parametrize("name", [*REFUSED_BY_ALL, "zip, absolute", "long name", "backslashes"])
def test_it_is_refused(tmp_path, archives, name, reader):
    (tmp_path / "a.tar.gz").write_bytes(archives(name))
    with pytest.raises(InputError, match=r"out of the archive|damaged"):
        READERS[reader](tmp_path / "a.tar.gz")


@pytest.mark.parametrize("name", ["zeros, gzip", "zip of zeros", "many empty files"])
def test_too_much_is_refused_as_too_much(tmp_path, archives, name, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST_IN_ALL", 1 << 27)
    (tmp_path / "a.tar.gz").write_bytes(archives(name))
    with pytest.raises(InputError, match="bytes unpacked, or more than"):
        texts_of(tmp_path / "a.tar.gz")
    if "empty" not in name:  # a corpus of speech may have as many files: it takes its time
        with pytest.raises(InputError, match="unpacks to more than 100 times its size"):
            open_archive(tmp_path / "a.tar.gz")


def test_long_names_of_honest_archives_are_read(tmp_path):
    name = "folder/" * 100 + "train.txt"
    assert len(name) < LARGEST_HEADER
    for style in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=style) as archive:
            header, data = member(name, b"words\n")
            archive.addfile(header, io.BytesIO(data))
        assert [text.name for text in texts_of(tmp_path / "a.tar.gz")] == [name]
        assert list(open_archive(tmp_path / "a.tar.gz").sizes) == [name]


def test_the_last_file_of_a_name_is_read_and_no_link(tmp_path):
    (tmp_path / "a.tar").write_bytes(link_of_the_same_name())
    assert read_texts(tmp_path / "a.tar") == [b"words\n", b"words\n"]


@pytest.mark.parametrize("module", [text_files, speech_archives])
def test_a_zip_of_which_a_byte_changed_is_found_when_fetched(tmp_path, module):
    data = bytearray(zipped(("train.txt", os.urandom(5000), FILE), method=zipfile.ZIP_STORED))
    data[1000] ^= 1
    (tmp_path / "a.zip").write_bytes(data)
    check = check_texts if module is text_files else check_archive
    with pytest.raises(InputError, match="damaged"):
        check(tmp_path / "a.zip")


def test_archives_are_opened_in_these_modules_alone():
    """Whoever opens one elsewhere adds a reader here."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                *("tarfile.open", "zipfile.ZipFile", "tarfile.TarFile", "open_tar"),
                *("gzip.open", "bz2.open", "lzma.open", "zlib.decompress", "gzip.decompress"),
                *("shutil.unpack_archive", "zipfile.Path", "zlib.decompressobj"),
            ):
                found.add(file.relative_to(PACKAGE).as_posix())
    written = {"demo/speech_releases.py"}
    read = {"corpora/tar_members.py", "corpora/text_files.py", "corpora/speech_archives.py"}
    read |= {"corpora/whole_weights.py", "spectral/checkpoints.py", "training/checkpoints.py"}
    assert found == written | read
