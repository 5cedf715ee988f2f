"""The demo's TIMIT: layout, exact times, nobody in two parts, the same bytes twice."""

import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from hearsay.corpora.speech_source import open_source
from hearsay.corpora.timit import list_recordings, word_times_of
from hearsay.demo import write_timit
from hearsay.demo.timed_speech import TimedUtterance
from hearsay.demo.write_timit import persons_of, sentences_of
from hearsay.errors import InputError
from hearsay.files import sha256_of

OPTIONS = {"utterances": {"train": 24, "test": 9}, "clauses": 2, "voices": [], "seed": 0}


def write(folder, **changes):
    settings = json.dumps(OPTIONS | changes)
    write_timit.main("timit", settings, folder, folder.with_suffix(".run.json"))
    return folder


@pytest.fixture(scope="module")
def timit(speak_corpus, tmp_path_factory):
    return speak_corpus(write_timit.STEP, OPTIONS, tmp_path_factory.mktemp("timit") / "timit")


def listed(folder, part):
    return list_recordings(open_source(folder), [part], {}).recordings


def test_the_layout_is_timits(timit):
    files = sorted(path.relative_to(timit).as_posix() for path in timit.rglob("*.WAV"))
    assert len(files) == 24 + 2 * 12 + 9 + 2 * 4
    for name in files:
        part, dialect, speaker, sentence = name.split("/")
        assert part in ("TRAIN", "TEST")
        assert dialect in {f"DR{k}" for k in range(1, 9)}
        assert speaker[0] in "FM"
        assert len(speaker) == 5
        assert sentence[:2] in ("SA", "SX")
        info = soundfile.info(timit / name)
        assert (info.samplerate, info.channels, info.format) == (16_000, 1, "WAV")
        first, last, text = (timit / name).with_suffix(".TXT").read_text().split(maxsplit=2)
        assert (int(first), int(last)) == (0, info.frames)
        lines = (timit / name).with_suffix(".WRD").read_text().splitlines()
        assert text.split() == [line.split()[2] for line in lines]
        assert all(c.isalpha() or c in " '" for c in text.strip())


def test_nobody_is_in_two_parts_and_only_what_all_read_is_said_in_both(timit):
    train, test = (listed(timit, part) for part in ("train", "test"))
    assert len({r.speaker for r in train}) == 12
    assert len({r.speaker for r in test}) == 4
    assert not {r.speaker for r in train} & {r.speaker for r in test}
    common = {r.text for r in train} & {r.text for r in test}
    assert len(common) == 2
    assert {r.text for r in train + test if "-sa" in r.id} == common
    own = [r.text for r in train + test if "-sx" in r.id]
    assert len(own) == len(set(own)) == 33


def test_words_are_where_the_sound_is(timit):
    words = word_times_of(open_source(timit), ["test"]).words
    touching = apart = 0
    for recording in listed(timit, "test"):
        audio, rate = soundfile.read(timit / recording.audio)
        times = [(word.start_s, word.end_s) for word in words[recording.id]]
        assert 0.1 <= times[0][0] <= 0.31
        assert 0.09 < len(audio) / rate - times[-1][1] < 0.8
        quiet = np.std(audio[: int((times[0][0] - 0.01) * rate)])
        for start, end in times:
            assert np.std(audio[int(start * rate) : int(end * rate)]) > 5 * quiet
            assert 0.03 < end - start < 1.2
        gaps = [b[0] - a[1] for a, b in pairwise(times)]
        assert min(gaps) >= 0
        touching += sum(gap < 0.002 for gap in gaps)
        apart += sum(gap > 0.1 for gap in gaps)
    assert touching > 5 * apart > 0


def test_sentences_are_of_one_or_two_clauses(timit):
    lengths = [len(r.text.split()) for r in listed(timit, "train")]
    assert min(lengths) <= 4
    assert max(lengths) >= 7
    _, parts = sentences_of(OPTIONS | {"clauses": 1})
    assert all("," not in text for text in parts["train"])


def test_the_record_tells_what_is_there(timit):
    record = json.loads(timit.with_suffix(".run.json").read_text())
    assert record["parts"]["train"]["utterances"] == 48
    assert record["parts"]["test"]["speakers"] == 4
    assert 48 * 1.5 < record["parts"]["train"]["seconds"] < 48 * 6


def test_equal_settings_give_equal_bytes(speak_corpus, tmp_path):
    few = OPTIONS | {"utterances": {"train": 3, "test": 2}}
    turned = few | {"utterances": dict(reversed(few["utterances"].items()))}
    sums = [
        sha256_of(speak_corpus(write_timit.STEP, options, tmp_path / name))
        for name, options in (("a", few), ("b", turned), ("c", few | {"seed": 1}))
    ]
    assert sums[0] == sums[1] != sums[2]


def test_there_are_no_more_persons_than_utterances():
    persons = persons_of(OPTIONS | {"utterances": {"train": 3, "test": 9}})
    assert [len(each) for each in persons.values()] == [3, 4]


def test_an_utterance_knows_its_text_and_length():
    assert TimedUtterance(np.zeros(8000, np.float32), []).seconds == 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clauses": 0}, "clauses: 0; a sentence has at least one"),
        ({"utterances": {"train": 0}}, "utterances.train: a part has at least one utterance"),
        ({"utterances": {"train": 10_000}}, "sentences, but 'en' has only"),
        ({"voices": ["en-us+f1"]}, "1 voices for 2 parts"),
    ],
)
def test_settings_that_cannot_be_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        write(tmp_path / "timit", **changes)
    assert list(tmp_path.iterdir()) == []
