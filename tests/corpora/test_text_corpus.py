"""Words as ids, their vocabulary, and the file that keeps them."""

import numpy as np
import pytest

from hearsay.corpora.text_corpus import TokenCorpus, read_tokens, write_tokens
from hearsay.corpora.text_files import Passage, texts_of
from hearsay.corpora.word_ids import encode, make_vocabulary
from hearsay.errors import InputError
from hearsay.files import sha256_of


@pytest.fixture
def passage(tmp_path):
    """Make a passage of one file with the content given."""

    def make(content, name="text.txt"):
        folder = tmp_path / "texts"
        folder.mkdir(exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
        (text,) = [text for text in texts_of(folder) if text.name == name]
        return Passage((text,))

    return make


def corpus(words=("a", "b", "<eos>"), train=(0, 1, 2), valid=(0, 2), test=(1, 2)):
    arrays = [np.array(ids, dtype=np.int32) for ids in (train, valid, test)]
    return TokenCorpus(*arrays, words=list(words))


# --- vocabulary ---------------------------------------------------------------------------------


def test_words_are_in_order_of_first_appearance_with_the_end_of_the_first_line(passage):
    assert make_vocabulary(passage("b a b\nc a\n")) == ["b", "a", "<eos>", "c"]


def test_a_blank_first_line_is_an_end_of_line(passage):
    text = passage(" \n = Title = \n")
    words = make_vocabulary(text)
    assert words == ["<eos>", "=", "Title"]
    assert encode(text, words).ids.tolist() == [0, 1, 2, 1, 0]


def test_only_the_most_frequent_words_stay_and_the_first_of_equals(passage):
    text = passage("x y z y\nw z y\n")
    words = make_vocabulary(text, max_vocabulary=4)
    assert words == ["<unk>", "y", "z", "<eos>"]
    encoded = encode(text, words)
    assert " ".join(words[i] for i in encoded.ids) == "<unk> y z y <eos> <unk> z y <eos>"
    assert encoded.replaced == {"x": 1, "w": 1}
    assert make_vocabulary(text, max_vocabulary=5) == ["x", "y", "z", "<eos>", "<unk>"]


def test_rare_words_become_unknown(passage):
    assert make_vocabulary(passage("x y z y\nw z y\n"), min_count=2) == ["<unk>", "y", "z", "<eos>"]


def test_limits_bring_the_unknown_word_even_if_no_word_is_left_out(passage):
    assert make_vocabulary(passage("a b\n"), min_count=1) == ["a", "b", "<eos>", "<unk>"]
    assert make_vocabulary(passage("a b\n"), max_vocabulary=9) == ["a", "b", "<eos>", "<unk>"]


def test_a_text_s_own_unknown_word_is_that_word(passage):
    words = make_vocabulary(passage("a <unk> b a\n"), max_vocabulary=3)
    assert words == ["a", "<unk>", "<eos>"]


# --- encoding -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    ["a b\nb\n", "a b\nb", "a b\r\nb\r\n", "\ufeffa b\nb\n", "  a\t b \nb\n", "a\u00a0b\nb\n"],
    ids=["plain", "no last newline", "Windows", "byte order mark", "spaces", "no-break space"],
)
def test_a_line_is_its_words_and_an_end(passage, content):
    encoded = encode(passage(content), ["a", "b", "<eos>"])
    assert encoded.ids.dtype == np.int32
    assert encoded.ids.tolist() == [0, 1, 2, 1, 2]
    assert encoded.lines == 2


def test_line_separators_of_unicode_are_no_ends_of_lines(passage):
    text = passage("a\u2028b\x0cc\n")
    assert encode(text, make_vocabulary(text)).lines == 1


def test_an_unseen_word_becomes_unknown_and_is_counted(passage):
    encoded = encode(passage("a new new b\nother\n"), ["a", "b", "<unk>", "<eos>"])
    assert encoded.ids.tolist() == [0, 2, 2, 1, 3, 2, 3]
    assert encoded.replaced == {"new": 2, "other": 1}


def test_an_unseen_word_without_unknown_is_refused_with_its_place_and_the_remedy(passage):
    with pytest.raises(InputError) as caught:
        encode(passage("a\nb new b\nother\n"), ["a", "b", "<eos>"])
    message = str(caught.value)
    assert "text.txt, line 2: the training text lacks 2 of the words ('new', 'other')" in message
    assert "set max_vocabulary or min_count" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "text.txt: holds no words, in 0 lines"),
        ("\n \n\n", "text.txt: holds no words, in 3 lines"),
        ("a\nb <eos>\n", "text.txt, line 2: holds the word <eos>"),
        (b"a\nb \xff c\n", "text.txt, line 2, byte 3: 0xff is not UTF-8"),
        ("a b\n".encode("utf-16"), "text.txt, line 1, byte 1: 0xff is not UTF-8"),
        ("a b\n".encode("utf-16-le"), "text.txt, line 1: holds a NUL byte"),
    ],
)
def test_text_that_is_none_is_refused_in_one_line(passage, content, expected):
    for refuse in (make_vocabulary, lambda text: encode(text, ["a", "b", "c", "<eos>"])):
        with pytest.raises(InputError, match=r"\A[^\n]*\Z") as caught:
            refuse(passage(content))
        assert expected in str(caught.value)


# --- the file -----------------------------------------------------------------------------------


def test_what_is_written_is_read(tmp_path):
    written = corpus(words=["Senjō", "<unk>", "<eos>"])
    write_tokens(tmp_path / "tokens.npz", written)
    read = read_tokens(tmp_path / "tokens.npz")
    assert read.words == written.words
    for split in ("train", "valid", "test"):
        assert getattr(read, split).dtype == np.int32
        assert getattr(read, split).tolist() == getattr(written, split).tolist()
    assert (read.digest, read.vocabulary_digest) == (written.digest, written.vocabulary_digest)
    assert len(read.digest) == len(read.vocabulary_digest) == 16


def test_equal_corpora_are_equal_files(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_tokens(tmp_path / name, corpus())
    assert sha256_of(tmp_path / "a.npz") == sha256_of(tmp_path / "b.npz")


def test_digests_tell_what_differs():
    base = corpus()
    swapped = corpus(words=["b", "a", "<eos>"])
    assert swapped.vocabulary_digest != base.vocabulary_digest
    assert swapped.digest != base.digest
    for other in (
        corpus(train=[0, 1, 1]),
        corpus(test=[0, 2]),
        corpus(train=[0, 1, 2, 0], valid=[2], test=[1, 2]),  # the same ids, split elsewhere
    ):
        assert other.vocabulary_digest == base.vocabulary_digest
        assert other.digest != base.digest


def test_a_missing_file_names_the_step_that_makes_it(tmp_path):
    with pytest.raises(InputError, match=r"tokens\.npz: no such file; prepare_text makes it"):
        read_tokens(tmp_path / "tokens.npz")


def broken(path, how):
    whole = {"train": np.zeros(3, np.int32), "valid": np.zeros(2, np.int32)}
    whole |= {"test": np.zeros(2, np.int32), "words": np.array(["<eos>", "a"])}
    if how == "truncated":
        np.savez(path, **whole)
        path.write_bytes(path.read_bytes()[:-100])
    elif how == "damaged":
        np.savez(path, **whole)
        data = bytearray(path.read_bytes())
        data[len(data) // 3] ^= 255
        path.write_bytes(data)
    elif how == "text":
        path.write_text("a b c\n")
    elif how == "array":
        with path.open("wb") as stream:
            np.save(stream, whole["train"])
    else:
        np.savez(path, **(whole | how))


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("truncated", "cannot be read as tokens of a corpus"),
        ("text", "cannot be read as tokens of a corpus"),
        ("array", "cannot be read as tokens of a corpus"),
        ({"train": np.array([0, 5], np.int32)}, "train has ids from 0 to 5, but there are 2 words"),
        ({"test": np.array([-1, 1], np.int32)}, "test has ids from -1 to 1"),
        ({"valid": np.zeros(2)}, "valid is float64 (2,), not int32 [N]"),
        ({"valid": np.zeros(0, np.int32)}, "valid is int32 (0,), not int32 [N]"),
        ({"words": np.array([1, 2])}, "words are int64 (2,), not a list of words"),
    ],
)
def test_a_file_of_another_kind_is_refused_in_one_line(tmp_path, how, expected):
    broken(tmp_path / "tokens.npz", how)
    with pytest.raises(InputError, match=r"\A[^\n]*tokens\.npz: [^\n]*\Z") as caught:
        read_tokens(tmp_path / "tokens.npz")
    assert expected in str(caught.value)


def test_a_file_without_words_is_refused(tmp_path):
    np.savez(tmp_path / "tokens.npz", train=np.zeros(3, np.int32))
    with pytest.raises(InputError, match="holds no tokens of a corpus"):
        read_tokens(tmp_path / "tokens.npz")


def test_words_of_absurd_length_are_refused(tmp_path):
    words = ["<eos>", "x" * 300_000_000]
    with pytest.raises(InputError, match=r"has 300000000 characters.*set min_count"):
        write_tokens(tmp_path / "tokens.npz", corpus(words=words))
    assert not list(tmp_path.iterdir())
