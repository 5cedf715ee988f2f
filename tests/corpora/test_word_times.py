"""Word times: every form is read, times that cannot be are told, and prepared clips get theirs."""

import csv
import json
import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from hearsay.corpora import prepare_speech, prepare_word_times
from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.word_times import (
    WordTime,
    check_times,
    csv_words,
    read_alignment,
    read_word_times,
    sphinx_words,
    timit_words,
    write_word_times,
)
from hearsay.errors import InputError

TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
1
<exists>
1
"IntervalTier"
"words"
0
1
3
0
0.25
""
0.25
0.5
"She"
0.5
1
"had"
"""


def test_timit_is_in_samples_at_16_khz(tmp_path):
    path = tmp_path / "SA1.WRD"
    path.write_bytes(b"3050 5723 she\r\n5200 10337 don't\n\n")
    words = read_alignment(path)
    assert words == [
        WordTime("she", 3050 / 16_000, 5723 / 16_000),
        WordTime("don't", 0.325, 10337 / 16_000),  # overlaps, and stays so
    ]
    assert check_times(words, 1.0) == (words, [])


def test_textgrids_by_their_tier(tmp_path):
    path = tmp_path / "a.TextGrid"
    path.write_text(TEXTGRID)
    assert read_alignment(path) == [WordTime("she", 0.25, 0.5), WordTime("had", 0.5, 1.0)]
    with pytest.raises(InputError, match=r"a\.TextGrid: no interval tier 'Text'; .* 'words'"):
        read_alignment(path, "Text")


def test_pocketsphinx_without_its_silences_and_variants():
    words = [
        {"b": 0.0, "d": 0.2, "t": "<sil>"},
        {"b": 0.2, "d": 0.17, "t": "and(2)"},
        {"b": 0.37, "d": 0.26, "t": "[NOISE]"},
        {"b": 2.21, "d": 0.1, "t": "don't"},
    ]
    expected = [WordTime("and", 0.2, 0.37), WordTime("don't", 2.21, 2.31)]
    document = json.dumps({"b": 0, "d": 3, "t": "and don't", "w": words})
    assert sphinx_words(document.encode(), "a.json") == expected
    two = f"{document}\n{document}\n"
    assert sphinx_words(two.encode(), "a.json") == expected * 2


@pytest.mark.real_data
def test_real_words_of_an_aligner(real_data):
    files = sorted((real_data / "speech").glob("*.json"))
    assert len(files) == 5
    for path in files:
        words = read_alignment(path)
        text = path.with_suffix(".txt").read_text().split()
        assert [word.word for word in words] == text
        assert check_times(words, soundfile.info(path.with_suffix(".wav")).duration)[1] == []


TIME = st.one_of(st.just((math.nan, math.nan)), st.tuples(st.floats(0, 99), st.floats(0.001, 9)))
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
TABLE = st.dictionaries(
    WORD, st.lists(st.tuples(WORD, TIME), min_size=1, max_size=4), min_size=1, max_size=4
)


@given(table=TABLE)
def test_what_is_written_is_read(tmp_path_factory, table):
    path = tmp_path_factory.mktemp("t") / "words.csv"
    words = {n: [WordTime(w, a, a + d) for w, (a, d) in each] for n, each in table.items()}
    write_word_times(path, words)
    assert repr(read_word_times(path)) == repr(words)


@pytest.mark.parametrize(
    ("start", "end", "reason"),
    [
        (-0.001, 0.5, "negative"),
        (0.5, 0.4, "reversed"),
        (0.5, 0.5, "reversed"),
        (0.5, 1.0011, "beyond-end"),
        (1.0, 1.0005, "beyond-end"),
        (math.nan, 0.5, "unknown"),
    ],
)
def test_times_that_cannot_be(start, end, reason):
    words = [WordTime("a", 0.0, 0.4), WordTime("b", start, end), WordTime("c", 0.3, 1.0)]
    checked, (fault,) = check_times(words, 1.0)
    assert (fault.index, fault.reason) == (1, reason)
    assert checked[::2] == words[::2]
    assert checked[1].word == "b"
    assert not checked[1].known
    if reason == "beyond-end":
        assert fault.detail.endswith("s: the audio lasts 1 s")
        assert fault.detail.startswith(f"word 2, 'b', {start:.6g} to {end:.6g} s")


def test_rounding_at_the_end_is_no_fault():
    checked, faults = check_times([WordTime("a", 0.5, 1.0005)], 1.0)
    assert (checked, faults) == ([WordTime("a", 0.5, 1.0)], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("3050 she\n", "a.wrd, line 1: '3050 she' is not `first last word` with two numbers"),
        ("1 2 she\n0.1 0.2 had\n", "a.wrd, line 2: '0.1 0.2 had' is not"),
        ("version https://git-lfs", "a.wrd, line 1: 'version https://git-lfs' is not"),
        (b"1 2 \xff", "a.wrd: byte 5 of it is not UTF-8"),
    ],
)
def test_a_broken_file_of_timit(content, message):
    data = content if isinstance(content, bytes) else content.encode()
    with pytest.raises(InputError, match=f"^{message}"):
        timit_words(data, "a.wrd")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"w": [{"b": 0}]}', '{"w": [{"b": "x"}]}'])
def test_broken_json(content):
    message = r"\Aa\.json, object 1: not pocketsphinx's JSON with b, d and t in w \([^\n]+\); align"
    with pytest.raises(InputError, match=message):
        sphinx_words(content.encode(), "a.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("word,start\n", "its first line is 'word,start', not 'id,word,start_s,end_s'; name the"),
        ("id,word,start_s,end_s\na,b,1\n", "line 2: 'a,b,1' is not an id, a word and two times"),
        ("id,word,start_s,end_s\na,b,1,x\n", "line 2: 'a,b,1,x' is not an id, a word"),
        ("id,word,start_s,end_s\na,b,2,1\n", "'a': word 1, 'b', 2 to 1 s: does not end after its"),
        ("id,word,start_s,end_s\na,b,-1,1\n", "'a': word 1, 'b', -1 to 1 s: begins before the"),
        ("id,word,start_s,end_s\n", "holds no words; remove it and make it anew"),
    ],
)
def test_a_broken_table(tmp_path, content, message):
    path = tmp_path / "words.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_word_times(path)


def test_files_that_are_not_there_or_not_known(tmp_path):
    with pytest.raises(InputError, match=r"words\.csv: cannot be read: .*; prepare_word_times"):
        read_word_times(tmp_path / "words.csv")
    with pytest.raises(InputError, match=r"a\.ctm: word times are read from \.wrd, \.TextGrid"):
        read_alignment(tmp_path / "a.ctm")
    with pytest.raises(InputError, match=r"a\.wrd: cannot be read"):
        read_alignment(tmp_path / "a.wrd")


# --- the step -----------------------------------------------------------------------------------

OPTIONS = {"kind": "table", "language": "en", "parts": ["test"], "policy": "drop-character"}
OPTIONS |= {"counts": {}, "options": {}}


def table_corpus(folder, rows, files=(), seconds=1.0):
    """A table of recordings of one second each: name by sentence; and further files by name."""
    folder.mkdir()
    lines = ["path\tsentence\tstart\tend"]
    for name, sentence, *piece in rows:
        start, end = piece or ("", "")
        lines.append(f"{name}.wav\t{sentence}\t{start}\t{end}")
        noise = np.random.default_rng(0).normal(scale=0.1, size=round(16_000 * seconds))
        soundfile.write(folder / f"{name}.wav", noise, 16_000)
    (folder / "test.tsv").write_text("\n".join(lines) + "\n")
    for name, content in dict(files).items():
        (folder / name).write_text(content)
    return folder


def prepared(folder, options=OPTIONS):
    """Prepare a corpus and its words; the words, the rows that are listed, and the counts."""
    out = folder.with_name("out")
    whole = {"packed": False, "training": False, "min_duration": None, "max_duration": None}
    outputs = {"manifest": "test.jsonl", "audio": "test", "rejected": "rejected.csv"}
    outputs |= {"removed": "removed.csv", "record": "run.json"}
    paths = {name: out / path for name, path in outputs.items()}
    given = {**options, **whole, "limit": None}
    prepare_speech.prepare("mine", "test", folder, given, 1, paths)
    names = ("test.words.csv", "test.words.rejected.csv", "test.words.run.json")
    words, rejected, record = (out / name for name in names)
    step = prepare_word_times.main
    step("mine", "test", folder, paths["manifest"], json.dumps(options), words, rejected, record)
    found = read_word_times(words)
    for clip in read_manifest(paths["manifest"]):
        if clip.id in found:
            assert " ".join(word.word for word in found[clip.id]) == clip.text
    with rejected.open(newline="") as stream:
        listed = list(csv.reader(stream))
    assert listed[0] == ["id", "reason", "detail"]
    return found, listed[1:], json.loads(record.read_text())["counts"]


def test_a_table_of_words(tmp_path):
    words = "id,word,start_s,end_s\na,She,0.1,0.3\na,*,0.3,0.4\na,had,0.4,1.2\na,Your-suit,0.5,1\n"
    words += "b,in,0.1,0.2\nc,nothing,-1,1\n"
    rows = [("a", "She * had your suit."), ("b", "in"), ("c", "Nothing!"), ("d", "more")]
    corpus = table_corpus(tmp_path / "in", [*rows, ("e", "words")], {"words.csv": words})
    (corpus / "words.csv").write_text(words + "e,word,0,1\n")
    found, listed, counts = prepared(corpus)
    assert repr(found["a"]) == repr(
        [
            WordTime("she", 0.1, 0.3),
            WordTime("had", math.nan, math.nan),
            WordTime("your suit", 0.5, 1.0),
        ]
    )
    assert set(found) == {"a", "b"}
    assert [(name, reason) for name, reason, _ in listed] == [
        ("a", "word-no-letters"),
        ("a", "word-beyond-end"),
        ("c", "word-negative"),
        ("c", "no-times"),
        ("d", "missing"),
        ("e", "text-differs"),
    ]
    assert listed[1][2] == "word 2, 'had', 0.4 to 1.2 s: the audio lasts 1 s"
    assert listed[-1][2] == "words with times are 'word', the text is 'words'"
    assert counts["total"] == counts["kept"] + sum(counts["rejected"].values()) == 5
    assert counts["words"] == {"beyond-end": 1, "negative": 1, "no-letters": 1, "timed": 3}


def test_files_beside_the_recordings(tmp_path):
    sphinx = {"w": [{"b": 0.2, "d": 0.3, "t": "had(3)"}, {"b": 0.5, "d": 0.5, "t": "<sil>"}]}
    files = {"a.wrd": "1600 3200 in\n", "b.TextGrid": TEXTGRID, "c.json": json.dumps(sphinx)}
    files |= {"d.wrd": "16 32\n", "e.TextGrid": "no grid"}
    rows = [("a", "in"), ("b", "she had"), ("c", "had"), ("d", "x"), ("e", "y"), ("f", "z")]
    found, listed, _ = prepared(table_corpus(tmp_path / "in", rows, files))
    assert found["a"] == [WordTime("in", 0.1, 0.2)]
    assert found["b"] == [WordTime("she", 0.25, 0.5), WordTime("had", 0.5, 1.0)]
    assert found["c"] == [WordTime("had", 0.2, 0.5)]
    assert [(name, reason) for name, reason, _ in listed] == [
        ("d", "bad-row"), ("e", "bad-row"), ("f", "missing")
    ]  # fmt: skip
    assert listed[0][2].startswith("d.wrd, line 1: '16 32' is not `first last word`")
    assert listed[1][2] == "e.TextGrid: line 1: not a Praat TextGrid"


def test_pieces_of_a_longer_recording_take_their_words(tmp_path):
    folder = tmp_path / "in"
    table_corpus(folder, [("a", "she", "0.1", "0.5"), ("b", "x")], {"a.TextGrid": TEXTGRID})
    with (folder / "test.tsv").open("a") as stream:
        stream.write("a.wav\thad\t0.5\t1\na.wav\tshe had\t0\t0.9\n")
    found, listed, _ = prepared(folder)
    (she,) = found["a-0.1-0.5"]
    assert (she.start_s, she.end_s) == pytest.approx((0.15, 0.4))
    assert found["a-0.5-1"] == [WordTime("had", 0.0, 0.5)]
    assert [word.known for word in found["a-0-0.9"]] == [True, False]  # its end is cut off
    assert ("a-0-0.9", "word-beyond-end") in [tuple(row[:2]) for row in listed]


def test_a_piece_that_was_rounded_to_begin_after_its_first_word_keeps_its_times(tmp_path):
    """ "she" lies from 0.25 to 0.5 s: less than a millisecond is rounding, as at the end."""
    folder = tmp_path / "in"
    rows = [("a", "she", "0.2504", "0.5"), ("b", "x")]
    table_corpus(folder, rows, {"a.TextGrid": TEXTGRID})
    with (folder / "test.tsv").open("a") as stream:
        stream.write("a.wav\tshe had\t0.26\t1\n")
    found, listed, _ = prepared(folder)
    (she,) = found["a-0.2504-0.5"]
    assert (she.start_s, she.end_s) == (0.0, pytest.approx(0.2496))
    assert [word.known for word in found["a-0.26-1"]] == [False, True]  # its start is cut off
    assert ("a-0.26-1", "word-negative") in [tuple(row[:2]) for row in listed]


def test_quotation_marks_around_several_words(tmp_path):
    words = "id,word,start_s,end_s\na,‘let,0,0.2\na,go’,0.2,0.5\n"
    corpus = table_corpus(tmp_path / "in", [("a", "‘let go’")], {"words.csv": words})
    assert [word.word for word in prepared(corpus)[0]["a"]] == ["let", "go"]


def refusal(folder, **changes):
    with pytest.raises(InputError) as caught:
        prepared(folder, OPTIONS | changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_has_no_word_times_is_refused(tmp_path):
    corpus = table_corpus(tmp_path / "in", [("a", "in")])
    message = refusal(corpus)
    assert message.startswith("speech_corpora.mine: test: ")
    assert "holds no words.csv, and no .wrd, .TextGrid or .json beside the recordings" in message
    assert "no files are named 'w.csv'; correct" in refusal(corpus, options={"words": "w.csv"})
    (corpus / "words.csv").write_text("id,word,start_s,end_s\nb,in,0,1\n")
    message = refusal(corpus)
    assert "none of 1 clips has word times; such as a: no words of it in words.csv" in message


def test_another_kind_is_refused(tmp_path):
    settings = json.dumps(OPTIONS | {"kind": "common_voice"})
    with pytest.raises(InputError, match="word times are read of the kinds timit, table, not"):
        prepare_word_times.main("mine", "test", *[tmp_path] * 2, settings, *[tmp_path / "a"] * 3)


def test_tables_are_read_from_bytes():
    assert csv_words(b"\xef\xbb\xbfid,word,start_s,end_s\r\na,b,,\r\n", "x")["a"][0].word == "b"
