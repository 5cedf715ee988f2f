"""Recordings on the page: the first short ones, as data, with what was heard in each."""

import json
import re

import pytest

from hearsay.errors import InputError
from hearsay.paper.manifest import Clips
from hearsay.paper.page_clips import MOST_BYTES, Word, read_clips


@pytest.fixture
def clips(tmp_path):
    lines = []
    for name, size, seconds in (
        ("long", MOST_BYTES + 1, 2),
        ("a", 40, 0),
        ("b", 40, 2),
        ("c", 40, 2),
    ):
        (tmp_path / f"{name}.wav").write_bytes(b"R" * size)
        entry = {"id": name, "audio_filepath": f"{name}.wav", "duration": seconds, "text": "x y"}
        lines.append(json.dumps(entry))
    (tmp_path / "part.jsonl").write_text("\n".join(lines))
    (tmp_path / "words.csv").write_text(
        "id,word,start_s,end_s\nb,x,0.1,0.5\nc,x,1,2\nb,y,0.5,0.9\n"
    )
    (tmp_path / "told.csv").write_text("test,id,reference,hypothesis\nq,b,x y,no\np,b,x y,x\n")
    heard = [("best", tmp_path / "words.csv"), ("transfer", tmp_path / "told.csv")]
    return Clips(title="t", manifest=tmp_path / "part.jsonl", heard=heard, test="p", number=2)


def test_short_recordings_come_with_their_words_and_transcripts(clips):
    first, second = read_clips(clips)
    assert [first.id, second.id] == ["b", "c"]
    assert first.audio.startswith("data:audio/wav;base64,UlJS")
    words, told = first.heard
    assert words.words == [Word("x", 0.1, 0.5), Word("y", 0.5, 0.9)]
    assert told.transcript == "x"
    assert second.heard[1].transcript is None  # not tested on it


def test_a_transcript_without_a_word_is_none_that_was_not_tested(clips):
    (clips.heard[1][1]).write_text("test,id,reference,hypothesis\np,b,x y,\n")
    first, second = read_clips(clips)
    assert first.heard[1].transcript == ""
    assert second.heard[1].transcript is None


def test_a_word_without_times_is_not_shown_and_the_others_are(clips):
    """Words keep their place without times where a corpus's cannot be (prepare_word_times)."""
    (clips.heard[0][1]).write_text("id,word,start_s,end_s\nb,x,,\nb,y,0.5,0.9\n")
    first, _ = read_clips(clips)
    assert first.heard[0].words == [Word("y", 0.5, 0.9)]


def test_a_bad_file_is_named(clips):
    (clips.heard[0][1]).write_text("word\nx\n")
    with pytest.raises(InputError, match=r"words\.csv: neither times of words nor"):
        read_clips(clips)
    clips.manifest.write_text("no json")
    with pytest.raises(InputError, match=re.escape("part.jsonl: no speech to listen to")):
        read_clips(clips)
