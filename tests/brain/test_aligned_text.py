"""Every window has exactly W alignment tokens, of the id that the stopper watches."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hearsay.brain.aligned_text import AlignedText, joined
from hearsay.errors import InputError

WORD = st.text("abcdeorstw'-0é", min_size=1, max_size=7)
ROWS = st.lists(st.lists(WORD, max_size=4), min_size=1, max_size=10)


@pytest.fixture(scope="session")
def two_signs(byte_level):
    """A tokeniser for which `` $`` is two tokens, and ``$`` one."""
    tokenizer = byte_level(["the boat the sea the wind"] * 3, 270, _alphabet())
    assert len(tokenizer.encode(" $")) == 2
    return tokenizer


def _alphabet():
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def cleaning(tokenizer):
    """The same tokens, decoded with the clean-up that older files of GPT-2 ask for."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.backend_tokenizer,
        eos_token="<|endoftext|>",
        clean_up_tokenization_spaces=True,
    )


@pytest.fixture(params=["one token", "two tokens", "cleaning"])
def tokenizer(request, gpt2_tokenizer, two_signs):
    if request.param == "cleaning":
        return cleaning(gpt2_tokenizer)
    return gpt2_tokenizer if request.param == "one token" else two_signs


# --- the mark -------------------------------------------------------------------------------------


def test_the_mark_is_the_sign_with_its_space_where_that_is_one_token(gpt2_tokenizer, two_signs):
    mark = AlignedText(gpt2_tokenizer).mark
    assert gpt2_tokenizer.encode(" $") == [mark]
    assert gpt2_tokenizer.encode("$") != [mark]  # the public code watches this one, in vain
    assert AlignedText(two_signs).mark == two_signs.encode("$")[0]


def test_a_vocabulary_without_the_sign_is_refused(byte_level):
    tokenizer = byte_level(["the boat", "the sea"], 60)
    assert tokenizer.encode("$") == []
    with pytest.raises(InputError, match=r"no single token for '\$'.*stop: words"):
        AlignedText(tokenizer)


def word_level(*words):
    vocabulary = {word: k for k, word in enumerate(["<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")


def test_the_unknown_token_is_no_mark():
    # One token, but so is every word that is not in the vocabulary.
    with pytest.raises(InputError, match="no single token"):
        AlignedText(word_level("▁the", "▁sea"))
    text = AlignedText(word_level("▁the", "▁sea", "▁$"))
    assert text.decode(text.encode([["the"], [], ["sea", "sea"]])) == [["the"], [], ["sea"] * 2]


def test_no_mark_is_needed_to_stop_at_words(byte_level):
    tokenizer = byte_level(["the boat", "the sea"], 60)
    text = AlignedText(tokenizer, stop="words")
    assert text.mark not in range(len(tokenizer))
    assert text.decode(text.encode([["the", "boat"], [], ["sea"]])) == [["the", "boat", "sea"]]


# --- targets --------------------------------------------------------------------------------------


@given(rows=ROWS, prefix=st.sampled_from(["", "="]))
def test_round_trip_is_lossless_and_has_a_mark_a_row(gpt2_tokenizer, two_signs, rows, prefix):
    for tokenizer in (gpt2_tokenizer, two_signs, cleaning(gpt2_tokenizer)):
        text = AlignedText(tokenizer, prefix=prefix, max_tokens=1000)
        ids = text.encode(rows)
        assert ids.count(text.mark) == len(rows)
        assert ids[-1] == text.mark
        assert text.decode(ids) == rows
        assert text.shortened == 0
        flat = [word for row in rows for word in row]
        assert text.words(ids) == flat


@given(rows=ROWS, prefix=st.sampled_from(["", "="]))
def test_round_trip_without_marks(gpt2_tokenizer, rows, prefix):
    text = AlignedText(gpt2_tokenizer, stop="words", prefix=prefix, max_tokens=1000)
    ids = text.encode(rows)
    assert text.mark not in ids
    assert text.decode(ids) == [[word for row in rows for word in row]]


def test_silence_is_marks_only(tokenizer):
    text = AlignedText(tokenizer)
    assert text.encode([[]] * 10) == [text.mark] * 10
    assert text.decode([text.mark] * 10) == [[]] * 10


def test_a_word_that_holds_the_sign_adds_no_mark(tokenizer):
    text = AlignedText(tokenizer)
    ids = text.encode([["$5", "the"], ["$"]])
    assert ids.count(text.mark) == 2
    assert text.decode(ids) == [["5", "the"], []]


@given(rows=ROWS, spare=st.integers(0, 30), prefix=st.sampled_from(["", "="]))
def test_a_mark_is_never_cut_and_a_shortened_window_is_counted(gpt2_tokenizer, rows, spare, prefix):
    whole = AlignedText(gpt2_tokenizer, prefix=prefix, max_tokens=1000).encode(rows)
    longest = len(rows) + len(prefix) + spare
    text = AlignedText(gpt2_tokenizer, prefix=prefix, max_tokens=longest)
    ids = text.encode(rows)
    assert ids.count(text.mark) == len(rows)
    assert ids[-1] == text.mark
    assert text.shortened == (len(whole) > longest)
    assert len(ids) == min(len(whole), longest)
    if len(whole) <= longest:
        assert ids == whole


def test_a_target_of_just_the_longest_length_is_legal(gpt2_tokenizer):
    rows = [["the", "boat"], [], ["sea"]]
    length = len(AlignedText(gpt2_tokenizer).encode(rows))
    exact = AlignedText(gpt2_tokenizer, max_tokens=length)
    assert exact.decode(exact.encode(rows)) == rows
    assert exact.shortened == 0
    short = AlignedText(gpt2_tokenizer, max_tokens=length - 1)
    assert len(short.encode(rows)) == length - 1
    assert short.shortened == 1
    words = AlignedText(gpt2_tokenizer, stop="words", max_tokens=length - 3)
    assert words.decode(words.encode(rows)) == [["the", "boat", "sea"]]
    assert words.shortened == 0
    shorter = AlignedText(gpt2_tokenizer, stop="words", max_tokens=length - 4)
    assert len(shorter.encode(rows)) == length - 4
    assert shorter.shortened == 1


def test_too_few_tokens_for_the_marks_are_refused(gpt2_tokenizer):
    text = AlignedText(gpt2_tokenizer, prefix="=", max_tokens=10)
    with pytest.raises(InputError, match=r"recipe\.max_tokens = 10 is too small for 10 alignment"):
        text.encode([[]] * 10)


# --- reading --------------------------------------------------------------------------------------


def test_words_have_no_sign_of_ours(gpt2_tokenizer):
    text = AlignedText(gpt2_tokenizer)
    ids = gpt2_tokenizer.encode("= the $ Boat$  $ = sea$=wind<|endoftext|>")
    assert text.words(ids) == ["the", "boat", "sea", "wind"]


def test_words_after_the_last_mark_are_a_row_of_their_own(gpt2_tokenizer):
    text = AlignedText(gpt2_tokenizer)
    ids = gpt2_tokenizer.encode(" the $ boat $")
    assert text.decode(ids) == [["the"], ["boat"]]
    more = gpt2_tokenizer.encode(" sea")
    assert text.decode([*ids, *more]) == [["the"], ["boat"], ["sea"]]
    assert text.decode([]) == [[]]


def test_the_prefix_is_left_out_once(gpt2_tokenizer):
    text = AlignedText(gpt2_tokenizer, prefix="=")
    assert text.decode([*text.prefix, text.mark, text.mark]) == [[], []]
    assert text.encode([["sea"]])[: len(text.prefix)] == text.prefix == gpt2_tokenizer.encode("=")


def test_text_for_the_encoder():
    rows = [["the", "boat"], [], ["sea"]]
    assert joined(rows) == "the boat $ $ sea $"
    assert joined(rows, stop="words") == "the boat sea"
    assert joined([[]] * 3) == "$ $ $"


@given(st.lists(st.integers(0, 10**6), max_size=25))
def test_words_are_counted_as_they_are_read(gpt2_tokenizer, two_signs, numbers):
    for tokenizer in (gpt2_tokenizer, two_signs):
        text = AlignedText(tokenizer)
        usual = [k for k in range(len(tokenizer)) if k not in tokenizer.all_special_ids]
        plain = [k for k in usual if tokenizer.decode([k]).isascii()]
        ids = [plain[n % len(plain)] for n in numbers]
        counted, open_word = 0, False
        for token in ids:
            words, opens, closes = (flags[token] for flags in text.spelling)
            counted += words - bool(words and open_word and not opens)
            open_word = not closes
        assert counted == len(text.words(ids))


@pytest.mark.real_data
def test_gpt2_s_own_vocabulary(real_data: Path):
    """`` $`` is 720 and ``$`` is 3; needs the hub's `gpt2` folder, of which only its tokeniser."""
    folder = real_data / "gpt2"
    if not (folder / "tokenizer.json").is_file():
        pytest.skip(f"{folder} has no tokeniser of GPT-2")
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    assert json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]["$"] == 3
    text = AlignedText(tokenizer)
    assert text.mark == 720
    rows = [["i", "don't", "know"], [], ["wheretheressmoke"]]
    assert text.encode(rows).count(720) == 3
    assert 3 not in text.encode(rows)
    assert text.decode(text.encode(rows)) == rows
