"""From archives and folders of text to ids: which files, what is asserted, what is refused."""

import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from random import Random

import pytest

from hearsay.corpora import prepare_text, text_files
from hearsay.corpora.text_corpus import read_tokens
from hearsay.errors import InputError

TEXTS = {
    "train": "the cat sat\n\nthe <unk> dog\n",
    "valid": "the dog\n",
    "test": "the cat saw\n",
}
NAMES = {split: f"wiki/wiki.{split}.tokens" for split in TEXTS}
PTB = {
    "train": ("fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf", 929_589),
    "valid": ("c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2", 73_760),
    "test": ("dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0", 82_430),
}
# lines, tokens with <eos>, sha256
WIKITEXT = {
    "train": (
        36_718,
        2_088_628,
        "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f",
    ),
    "valid": (3_760, 217_646, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
    "test": (4_358, 245_569, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
}


def members(**changes):
    """Content by name in the archive; `changes` by split, None leaves one out."""
    texts = {**TEXTS, **changes}
    return {NAMES[split]: text.encode() for split, text in texts.items() if text is not None}


def zipped(path, content):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def tarred(path, content, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def folder_of(path, content):
    for name, data in content.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def random_words(count):
    random = Random(0)
    return "".join(f"{random.getrandbits(32):x} {random.getrandbits(9)}\n" for _ in range(count))


def prepare(tmp_path, source, **options):
    options = {
        "files": {},
        "vocabulary": None,
        "max_vocabulary": None,
        "min_count": None,
        **options,
    }
    out = tmp_path / "out"
    prepare_text.main(
        "mine", source, json.dumps(options), out / "tokens.npz", out / "tokens.run.json"
    )
    return read_tokens(out / "tokens.npz"), json.loads((out / "tokens.run.json").read_text())


def refusal(tmp_path, source, **options):
    """The one-line message with which a source is refused; nothing is left of it."""
    with pytest.raises(InputError) as caught:
        prepare(tmp_path, source, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("text_corpora.mine: ")
    assert not (tmp_path / "out").exists()
    return message


# --- what is read -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz", "tar", "folder"])
def test_every_kind_of_source_gives_the_same_corpus(tmp_path, kind):
    source = tmp_path / "source"
    if kind == "zip":
        zipped(source, members())
    elif kind == "folder":
        folder_of(source, members())
    else:
        tarred(source, members(), "w:" + kind.partition(".")[2])
    corpus, record = prepare(tmp_path, source, vocabulary=6)
    assert corpus.words == ["the", "cat", "sat", "<eos>", "<unk>", "dog"]
    assert corpus.train.tolist() == [0, 1, 2, 3, 3, 0, 4, 5, 3]
    assert corpus.valid.tolist() == [0, 5, 3]
    assert corpus.test.tolist() == [0, 1, 4, 3]
    assert record["digest"] == corpus.digest
    assert record["vocabulary_digest"] == corpus.vocabulary_digest
    train, test = record["train"], record["test"]
    assert (train["lines"], train["tokens"], train["predictions"]) == (3, 9, 8)
    assert train["sha256"] == hashlib.sha256(TEXTS["train"].encode()).hexdigest()
    assert test["replaced"] == {"tokens": 1, "words": 1, "examples": ["saw"]}


def test_replaced_words_are_told(tmp_path, capsys):
    prepare(tmp_path, folder_of(tmp_path / "f", members()))
    printed = capsys.readouterr().err
    assert "warning: mine: test: 1 tokens (25.00 %, 1 words that the vocabulary lacks)" in printed
    assert "became <unk>, such as 'saw'" in printed


def test_a_run_s_identity_is_the_content(tmp_path):
    source = folder_of(tmp_path / "f", members())
    (source / "unrelated.pdf").write_bytes(b"%PDF")
    _, first = prepare(tmp_path, source)
    (source / "unrelated.pdf").write_bytes(b"%PDF 2")
    _, second = prepare(tmp_path, source)
    (source / NAMES["test"]).write_text("the dog sat\n")
    _, third = prepare(tmp_path, source)
    assert first["id"] == second["id"] != third["id"]


def test_dev_means_valid_and_hidden_files_are_not_seen(tmp_path):
    content = {"en.train.txt": b"a b\n", "en.dev.txt": b"b\n", "en.test.txt": b"a\n"}
    content |= {"__MACOSX/._en.train.txt": b"\0", ".en.train.txt.swp": b"\0", "README": b"x"}
    corpus, record = prepare(tmp_path, zipped(tmp_path / "a.zip", content))
    assert corpus.valid.tolist() == [1, 2]
    assert record["valid"]["texts"] == ["en.dev.txt"]


def test_named_files_are_taken(tmp_path):
    content = {"a/1.txt": b"x y\n", "a/2.txt": b"y\n", "b/1.txt": b"x\n", "c.train.txt": b"z\n"}
    files = {"train": {"name": "a/1.txt"}, "valid": {"name": "2.txt"}, "test": {"name": "b/1.txt"}}
    corpus, _ = prepare(tmp_path, zipped(tmp_path / "a.zip", content), files=files)
    assert corpus.words == ["x", "y", "<eos>"]
    assert (corpus.valid.tolist(), corpus.test.tolist()) == ([1, 2], [0, 2])


def test_a_plain_folder_is_split_by_lines_80_10_10(tmp_path):
    # 25 lines over two files, the second one without a newline at its end
    first = "".join(f"w{k % 3} w{k % 2}\n" for k in range(13))
    second = "\n".join(f"w{k % 3} w{k % 2}" for k in range(13, 25))
    source = folder_of(
        tmp_path / "books", {"b.txt": second.encode(), "a/a.txt": first.encode(), "x.md": b"no\n"}
    )
    corpus, record = prepare(tmp_path, source)
    assert [record[split]["lines"] for split in ("train", "valid", "test")] == [20, 2, 3]
    assert record["valid"]["texts"] == ["a/a.txt", "b.txt"]
    told = [corpus.words[i] for part in (corpus.train, corpus.valid, corpus.test) for i in part]
    assert told == [w for k in range(25) for w in (f"w{k % 3}", f"w{k % 2}", "<eos>")]


def test_a_limit_of_words_holds_for_all_texts(tmp_path):
    corpus, record = prepare(tmp_path, folder_of(tmp_path / "f", members()), max_vocabulary=3)
    assert corpus.words == ["the", "<unk>", "<eos>"]
    assert record["train"]["replaced"]["tokens"] == 3


# --- what is asserted ---------------------------------------------------------------------------


def test_another_file_is_refused_with_both_checksums(tmp_path):
    source = zipped(tmp_path / "a.zip", members())
    found = hashlib.sha256(TEXTS["valid"].encode()).hexdigest()
    message = refusal(tmp_path, source, files={"valid": {"sha256": "0" * 64}})
    assert f"a.zip (wiki/wiki.valid.tokens): has the sha256 {found}, not {'0' * 64}" in message
    assert "files.valid.sha256" in message


def test_another_penn_treebank_is_refused(tmp_path):
    files = {split: {"sha256": sha, "tokens": count} for split, (sha, count) in PTB.items()}
    content = {f"ptb.{split}.txt": text.encode() for split, text in TEXTS.items()}
    message = refusal(tmp_path, folder_of(tmp_path / "ptb", content), files=files)
    assert "ptb.train.txt: has the sha256" in message
    assert PTB["train"][0] in message


def test_another_number_of_tokens_is_refused(tmp_path):
    source = folder_of(tmp_path / "f", members())
    message = refusal(tmp_path, source, files={"train": {"tokens": 10}})
    assert "wiki.train.tokens: has 9 tokens, not 10 as files.train.tokens says" in message


def test_another_vocabulary_is_refused(tmp_path):
    message = refusal(tmp_path, folder_of(tmp_path / "f", members()), vocabulary=7)
    assert "has a vocabulary of 6 words, not 7" in message


def test_a_checksum_of_a_part_is_refused(tmp_path):
    source = folder_of(tmp_path / "f", {"all.txt": b"a b\n" * 20})
    message = refusal(tmp_path, source, files={"test": {"sha256": "0" * 64}})
    assert "all.txt, lines 19 to 20: a part of the text has no checksum" in message


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "files", "expected"),
    [
        (members(test=None), {}, "no file for test: no name has 'test'"),
        (members(valid=None), {}, "no file for valid: no name has 'valid' or 'dev'"),
        (members(train=""), {}, "wiki.train.tokens: holds no words, in 0 lines"),
        (members(test="\n\n"), {}, "wiki.test.tokens: holds no words, in 2 lines"),
        (members() | {"x/train.txt": b"a\n"}, {}, "several files for train: wiki/wiki.train"),
        (members(), {"test": {"name": "no.txt"}}, "no file for test: none is named 'no.txt'"),
        (
            members(),
            {"test": {"name": "wiki.train.tokens"}},
            "wiki/wiki.train.tokens would be both train and test",
        ),
        ({"notes.md": b"a\n"}, {}, "holds neither files for train, valid and test nor any .txt"),
        ({"a.txt": b"a b\n" * 9}, {}, "9 lines in 1 .txt files are too few"),
        ({"a.txt": b"a b\n" * 9 + b"\xe9\n"}, {}, "a.txt, line 10, byte 1: 0xe9 is not UTF-8"),
        (members(train="a b\n"), {}, "wiki.valid.tokens, line 1: the training text lacks 2"),
    ],
)
def test_a_folder_or_archive_without_the_texts_is_refused(tmp_path, content, files, expected):
    assert expected in refusal(tmp_path, folder_of(tmp_path / "f", content), files=files)
    in_zip = refusal(tmp_path, zipped(tmp_path / "a.zip", content), files=files)
    assert expected.partition(" ")[2] in in_zip  # the names of members stand in brackets


def test_out_of_vocabulary_words_name_file_line_and_remedy(tmp_path):
    content = members(train="the cat sat on\n", valid="the cat\n", test="the cat\nthe saw sat\n")
    message = refusal(tmp_path, zipped(tmp_path / "a.zip", content))
    assert (
        "a.zip (wiki/wiki.test.tokens), line 2: the training text lacks 1 of the words" in message
    )
    assert "('saw')" in message
    assert "set max_vocabulary or min_count" in message
    corpus, _ = prepare(tmp_path, tmp_path / "a.zip", min_count=1)
    assert corpus.words[corpus.test[4]] == "<unk>"


@pytest.mark.parametrize("name", ["../../etc/train.txt", "/etc/train.txt", "a\\..\\..\\train.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_an_archive_that_leads_out_of_itself_is_refused(tmp_path, name, pack):
    source = pack(tmp_path / "archive", members() | {name: b"a\n"})
    assert "leads out of the archive; nothing was read" in refusal(tmp_path, source)


def test_links_in_archives_are_no_texts(tmp_path):
    source = tarred(tmp_path / "a.tar", members(test=None), "w")
    with tarfile.open(source, "a") as archive:
        link = tarfile.TarInfo("wiki/wiki.test.tokens")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    assert "no file for test" in refusal(tmp_path, source)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_member_of_absurd_size_is_not_read(tmp_path, pack, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST", 10_000)
    source = pack(tmp_path / "archive", members(valid="a " * 10_000))
    message = refusal(tmp_path, source)
    assert "(wiki/wiki.valid.tokens): is 20000 bytes unpacked, more than is read" in message
    assert "unpack it yourself and name the folder as path" in message


def test_a_tar_archive_of_absurd_size_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "LARGEST_IN_ALL", 40_000)
    source = tarred(tmp_path / "archive", members() | {"other": b"0" * 50_000})
    assert "is more than 40000 bytes unpacked" in refusal(tmp_path, source)


@pytest.mark.parametrize("stated", [10, 5000])
def test_a_zip_that_lies_about_a_size_yields_no_more_than_is_there_or_stated(tmp_path, stated):
    source = zipped(tmp_path / "a.zip", members(train=TEXTS["train"] * 100))
    data = bytearray(source.read_bytes())
    struct.pack_into("<I", data, 22, stated)
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, stated)
    source.write_bytes(data)
    if stated == 10:
        assert "(wiki/wiki.train.tokens): is truncated or damaged" in refusal(tmp_path, source)
    else:
        corpus, _ = prepare(tmp_path, source)
        assert len(corpus.train) == 900


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_damaged_archive_is_refused(tmp_path, pack):
    source = pack(tmp_path / "archive", members(train=TEXTS["train"] * 3 + random_words(3000)))
    whole = source.read_bytes()
    for share in (0.2, 0.35, 0.5, 0.65, 0.8):
        data = bytearray(whole)
        data[int(len(data) * share)] ^= 0x40
        source.write_bytes(data)
        assert "is truncated or damaged" in refusal(tmp_path, source)


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_a_truncated_archive_is_refused(tmp_path, pack):
    source = pack(tmp_path / "archive", members(train="a b c\n" * 1000))
    whole = source.read_bytes()
    for share in (0.02, 0.3, 0.9):
        source.write_bytes(whole[: int(len(whole) * share)])
        message = refusal(tmp_path, source)
        assert "truncated" in message or "is no zip or tar archive, or damaged" in message


def test_a_locked_zip_is_refused(tmp_path):
    source = zipped(tmp_path / "a.zip", members())
    data = bytearray(source.read_bytes())
    struct.pack_into("<H", data, 6, 1)  # the flag of encryption
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 8, 1)
    source.write_bytes(data)
    assert "cannot be unpacked" in refusal(tmp_path, source)


@pytest.mark.parametrize(
    "content",
    [b"", b"a b c\n", b"<html>403</html>", gzip.compress(b"a")],
    ids=["nothing", "text", "a page", "gzip"],  # gzip writes the time: no two processes agree
)
def test_what_is_no_archive_is_refused(tmp_path, content):
    source = tmp_path / "corpus.zip"
    source.write_bytes(content)
    assert "corpus.zip: is no zip or tar archive" in refusal(tmp_path, source)


def test_a_missing_source_is_named(tmp_path):
    assert "none.zip: no such archive or folder" in refusal(tmp_path, tmp_path / "none.zip")


def test_links_in_a_folder_are_followed_once(tmp_path):
    store, source = tmp_path / "store", tmp_path / "corpus"
    (store / ".hidden").mkdir(parents=True)
    (store / ".hidden" / "train.txt").write_text("no text\n")
    source.mkdir()
    for split, text in TEXTS.items():
        (store / f"{split}.txt").write_text(text)
    (source / "wiki").symlink_to(store)
    (store / "loop").symlink_to(source)
    (source / "gone").symlink_to(tmp_path / "nothing")
    found = text_files.texts_of(source)
    assert [text.name for text in found] == ["wiki/test.txt", "wiki/train.txt", "wiki/valid.txt"]
    assert [text.bytes for text in found] == [len(TEXTS[s]) for s in ("test", "train", "valid")]
    passages = prepare_text.find_passages(source, {"files": {}})
    assert [line for _, _, line in passages["test"].lines()] == [TEXTS["test"]]


def test_nothing_is_unpacked_to_disk(tmp_path, monkeypatch):
    source = zipped(tmp_path / "a.zip", members())
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    prepare_text.find_passages(source, {"files": {}})
    assert set(tmp_path.rglob("*")) == before


# --- the real thing -----------------------------------------------------------------------------


@pytest.mark.real_data
def test_wikitext_2(real_data, tmp_path):
    files = {
        split: {"name": f"wiki.{split}.tokens", "sha256": sha256, "tokens": tokens}
        for split, (_, tokens, sha256) in WIKITEXT.items()
    }
    source = real_data / "wikitext-2" / "wikitext-2-v1.zip"
    corpus, record = prepare(tmp_path, source, files=files, vocabulary=33_278)
    for split, (lines, tokens, sha256) in WIKITEXT.items():
        assert record[split]["lines"] == lines
        assert len(getattr(corpus, split)) == tokens
        assert record[split]["sha256"] == sha256
        assert record[split]["replaced"]["tokens"] == 0
    assert record["test"]["predictions"] == 245_568
    assert len(corpus.words) == len(set(corpus.words)) == 33_278
    assert corpus.words[:4] == ["<eos>", "=", "Valkyria", "Chronicles"]
    told = [corpus.words[i] for i in corpus.test[:6]]
    assert told == ["<eos>", "=", "Robert", "<unk>", "=", "<eos>"]
