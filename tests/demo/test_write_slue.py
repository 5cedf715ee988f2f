"""The demo's SLUE: layout, shares, what tells a sentiment, the same bytes twice."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
import soundfile

from hearsay.corpora import prepare_slue
from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.slue import list_labelled, read_labels
from hearsay.corpora.speech_source import open_source
from hearsay.demo import write_slue
from hearsay.demo.espeak import Speaker
from hearsay.demo.sentiment_sentences import QUALITIES, make_sentiment_sentences, words
from hearsay.demo.write_slue import in_mood, scripts_of
from hearsay.errors import InputError
from hearsay.files import sha256_of

OPTIONS = {"utterances": {"fine-tune": 100, "dev": 50}, "voices": [], "seed": 0}
TELLING = {w: s for s in ("Negative", "Positive") for w in QUALITIES[s]}


def write(folder, **changes):
    settings = json.dumps(OPTIONS | changes)
    write_slue.main("slue", settings, folder, folder.with_suffix(".run.json"))
    return folder


@pytest.fixture(scope="module")
def slue(speak_corpus, tmp_path_factory):
    return speak_corpus(write_slue.STEP, OPTIONS, tmp_path_factory.mktemp("slue") / "slue")


@pytest.fixture(scope="module")
def cues(slue):
    with (slue / "cues.csv").open(newline="") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def listed(folder, part):
    return list_labelled(open_source(folder), [part], {})


def test_the_layout_is_slues(slue):
    names = {path.name for path in slue.iterdir()}
    assert names == {
        "slue-voxceleb_fine-tune.tsv", "slue-voxceleb_dev.tsv", "fine-tune_raw", "dev_raw",
        "cues.csv",
    }  # fmt: skip
    for part in ("fine-tune", "dev"):
        labelled, _ = listed(slue, part)
        for each in labelled:
            recording = each.recording
            info = soundfile.info(slue / recording.audio)
            assert (info.samplerate, info.channels, info.format) == (16_000, 1, "FLAC")
            assert 0.3 <= recording.start < recording.end <= info.duration - 0.29
            assert 1 < recording.end - recording.start < 6
            assert recording.id.startswith(f"{recording.speaker}_")


def test_sentiments_have_the_shares_of_the_real_ones_and_marks_are_there(slue):
    expected = {
        "fine-tune": ({"Neutral": 74, "Positive": 22, "Negative": 4}, {"mixed": 2}),
        "dev": ({"Neutral": 37, "Positive": 11, "Negative": 2}, {"mixed": 2, "disagreement": 2}),
    }
    for part, (sentiments, marks) in expected.items():
        labelled, rejected = listed(slue, part)
        assert Counter(each.sentiment for each in labelled) == sentiments
        assert Counter(each.reason for each in rejected) == marks


def test_nobody_and_no_sentence_is_in_two_parts(slue):
    parts = [[each.recording for each in listed(slue, part)[0]] for part in ("fine-tune", "dev")]
    speakers = [{r.speaker for r in part} for part in parts]
    assert [len(each) for each in speakers] == [12, 4]
    assert not speakers[0] & speakers[1]
    texts = [r.text for part in parts for r in part]
    assert len(texts) == len(set(texts))


def test_words_tell_what_the_cues_say(slue, cues):
    for part in ("fine-tune", "dev"):
        for each in listed(slue, part)[0]:
            cue = cues[each.recording.id]
            told = {TELLING[w] for w in each.recording.text.split() if w in TELLING}
            assert told == {cue["words"]} - {"Neutral"}
            assert cue["sentiment"] == each.sentiment
            assert {cue["words"], cue["prosody"]} <= {each.sentiment, "Neutral"}
            assert each.sentiment in (cue["words"], cue["prosody"])


def test_some_are_told_by_words_alone_and_some_by_prosody_alone(cues):
    kinds = Counter(
        (row["words"] != "Neutral", row["prosody"] != "Neutral")
        for row in cues.values()
        if row["sentiment"] in ("Negative", "Positive")
    )
    assert sum(kinds.values()) == 39
    assert set(kinds) == {(True, True), (True, False), (False, True)}
    assert min(kinds.values()) >= 9
    mixed = [row for row in cues.values() if row["sentiment"] == "<mixed>"]
    assert {(row["words"], row["prosody"]) for row in mixed} == {("Positive", "Negative")}


def pitch_of(audio, rate):
    """Median over frames of the pitch in Hz, by the highest peak of the autocorrelation."""
    found = []
    for start in range(0, len(audio) - 800, 400):
        frame = audio[start : start + 800] - audio[start : start + 800].mean()
        likeness = np.correlate(frame, frame, "full")[799:]
        lag = 40 + np.argmax(likeness[40:200])
        if likeness[0] > 0.1 and likeness[lag] > 0.5 * likeness[0]:
            found.append(rate / lag)
    return np.median(found) if found else np.nan


def test_prosody_is_heard(slue, cues):
    heard = {"Negative": [], "Neutral": [], "Positive": []}
    neutral = {}
    for each in listed(slue, "fine-tune")[0]:
        recording = each.recording
        audio, rate = soundfile.read(slue / recording.audio)
        audio = audio[int(recording.start * rate) : int(recording.end * rate)]
        audio = audio / np.abs(audio).max()
        pace = (recording.end - recording.start) / len(recording.text)
        row = (recording.speaker, pitch_of(audio, rate), pace)
        heard[cues[recording.id]["prosody"]].append(row)
        if cues[recording.id]["prosody"] == "Neutral":
            neutral.setdefault(recording.speaker, []).append(row[1:])
    usual = {name: np.nanmean(rows, axis=0) for name, rows in neutral.items()}
    change = {
        mood: np.nanmean([np.array(rest) / usual[name] for name, *rest in rows], axis=0)
        for mood, rows in heard.items()
    }
    assert change["Positive"][0] > 1.1
    assert change["Negative"][0] < 0.95
    assert change["Positive"][1] < 0.97 < 1.03 < change["Negative"][1]


def test_a_mood_moves_pitch_range_and_pace():
    draw = np.random.default_rng(0)
    speaker = Speaker("en-us", 130, 50, 50)
    moods = {m: [in_mood(draw, speaker, m) for _ in range(50)] for m in QUALITIES}
    for name, gap in (("pitch", 10), ("pitch_range", 20), ("rate", 8)):
        values = {m: [getattr(each, name) for each in found] for m, found in moods.items()}
        assert max(values["Negative"]) + gap < min(values["Neutral"])
        assert max(values["Neutral"]) + gap < min(values["Positive"])


def test_from_tables_to_clips_and_labels(slue, tmp_path):
    names = {"manifest": "m.jsonl", "audio": "m", "labels": "l.csv", "rejected": "r.csv"}
    paths = {name: tmp_path / file for name, file in names.items()}
    paths |= {"removed": tmp_path / "c.csv", "record": tmp_path / "run.json"}
    settings = json.dumps({"parts": ["dev"], "counts": {"dev": 54}})
    prepare_slue.main("slue", "dev", slue, settings, 1, **paths)
    clips = read_manifest(paths["manifest"])
    assert list(read_labels(paths["labels"])) == [clip.id for clip in clips]
    assert len(clips) == 50


def test_all_words_are_listed():
    drawn = make_sentiment_sentences({"Negative": 200, "Neutral": 200, "Positive": 200}, 0)
    used = {word for sentences in drawn.values() for text in sentences for word in text.split()}
    assert used <= words()


def test_equal_settings_give_equal_bytes(speak_corpus, tmp_path):
    few = OPTIONS | {"utterances": {"fine-tune": 5, "dev": 4}}
    turned = few | {"utterances": dict(reversed(few["utterances"].items()))}
    sums = [
        sha256_of(speak_corpus(write_slue.STEP, options, tmp_path / name))
        for name, options in (("a", few), ("b", turned), ("c", few | {"seed": 1}))
    ]
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": {"Neutral": 1.0}}, "give Negative, Neutral, Positive shares that add up to 1"),
        ({"utterances": {"dev": 2}}, "utterances: 2 are too few for all sentiments"),
        ({"voices": ["en-us+f1"]}, "1 voices for 2 parts"),
    ],
)
def test_settings_that_cannot_be_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        write(tmp_path / "slue", **changes)
    assert list(tmp_path.iterdir()) == []


def test_more_sentences_than_there_are():
    with pytest.raises(InputError, match="99999 sentences with negative words, but there are only"):
        make_sentiment_sentences({"Negative": 99_999}, 0)


def test_scripts_do_not_depend_on_the_order_of_parts():
    options = OPTIONS | {"shares": write_slue.SHARES}
    turned = options | {"utterances": dict(reversed(options["utterances"].items()))}
    assert scripts_of(options) == scripts_of(turned)
