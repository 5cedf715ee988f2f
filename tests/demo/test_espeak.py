"""Speech of espeak-ng: voices, times of words, and refusals."""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.demo import espeak
from hearsay.demo.espeak import SAMPLE_RATE, Speaker
from hearsay.demo.spoken_sentences import GRAMMARS
from hearsay.errors import InputError

SOME = {"en-us": "the old zebra waits", "de+f2": "die größe ist schön"}
SOME |= {"es+f3": "el pingüino está aquí", "ru": "ёж ещё спит", "en-gb-scotland+f1": "the house"}
SOME |= {"en-029": "every quiet queen"}


def check(spoken, words):
    """Times are those of the words, in order, inside the sound."""
    assert [word for word, _, _ in spoken.words] == words
    assert spoken.words[0][1] < 0.1
    for (_, _, end), (_, start, _) in pairwise(spoken.words):
        assert end <= start
    for _, start, end in spoken.words:
        assert start < end <= len(spoken.audio) / SAMPLE_RATE


@pytest.mark.parametrize(("voice", "text"), SOME.items())
def test_voices_of_all_languages_speak(voice, text):
    spoken = Speaker(voice).speak(text)
    assert spoken.audio.dtype == np.float32
    assert spoken.audio.ndim == 1
    assert 0.1 < np.abs(spoken.audio).max() <= 1
    assert 0.4 < len(spoken.audio) / SAMPLE_RATE < 4
    check(spoken, text.split())


def test_there_is_sound_in_every_word():
    spoken = Speaker("en-us", rate=120).speak("seven yellow zebras, one brave fox. quiet!")
    for word, start, end in spoken.words:
        audio = spoken.audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)]
        assert np.sqrt(np.mean(audio**2)) > 0.01, word
        assert 0.04 < end - start < 1.2, word


def test_a_pause_after_a_comma_belongs_to_no_word():
    (_, _, end), (_, start, _) = Speaker("de").speak("größe, straße").words
    assert 0.02 < start - end < 0.5
    audio = Speaker("de").speak("größe, straße").audio
    assert np.abs(audio[round((end + 0.01) * SAMPLE_RATE) : round(start * SAMPLE_RATE)]).max() < 0.1


@pytest.mark.parametrize("text", ["of the garden in the house", "such as ships", "i have to do it"])
def test_entries_of_several_words_get_times_for_each(text):
    """eSpeak NG has one event for *of the*, and one within a word for *such as*."""
    check(Speaker("en-us").speak(text), text.split())


def test_one_event_for_two_words_is_noticed():
    text = "of the garden"
    with espeak._LOCK:
        library = espeak._library()
        library.choose(Speaker("en-us"))
        _, events = library.synthesise(text)
    assert espeak._starts(text, text.split(), events)[1] is None


@pytest.mark.parametrize("text", ["a - b", "hello … there"])
def test_a_sign_that_is_not_spoken_is_refused_by_name(text):
    message = f"voice en-us: 3 words in {text!r}, but no time came for '{text.split()[1]}'; leave"
    with pytest.raises(InputError, match=message):
        Speaker("en-us").speak(text)


def word_lists():
    lists = {
        language: st.lists(st.sampled_from(sorted(grammar.words)), min_size=1, max_size=7)
        for language, grammar in GRAMMARS.items()
    }
    return st.one_of(*(st.tuples(st.just(name), words) for name, words in lists.items()))


@settings(max_examples=150, deadline=None)
@given(word_lists(), st.sampled_from(["", "+f2", "+m3"]), st.sampled_from(["", ",", ".", "?"]))
def test_any_words_in_any_order_have_times(drawn, variant, sign):
    language, words = drawn
    words = [f"{word}{sign}" if k % 3 == 1 else word for k, word in enumerate(words)]
    check(
        Speaker(f"{'en-us' if language == 'en' else language}{variant}").speak(" ".join(words)),
        words,
    )


def test_rate_and_pitch_are_heard():
    slow, fast = (Speaker("en-us", rate=rate).speak("the house waits") for rate in (100, 220))
    assert len(slow.audio) > 1.5 * len(fast.audio)

    def pitch(audio):
        """The lag of the loudest stretch's autocorrelation, in Hz."""
        start = np.argmax(np.convolve(audio**2, np.ones(4000), "valid"))
        piece = audio[start : start + 4000]
        lags = np.correlate(piece, piece, "full")[3999:]
        return SAMPLE_RATE / (60 + np.argmax(lags[60:400]))

    low, high = (Speaker("de", pitch=p, pitch_range=0).speak("aaaa").audio for p in (10, 90))
    assert pitch(high) > 1.3 * pitch(low)


def test_variants_are_other_persons():
    sounds = {
        len(Speaker(f"de{v}").speak("guten morgen").audio) for v in ("", "+f1", "+m4", "+max")
    }
    assert len(sounds) == 4


CHILD = """
import hashlib, json
from hearsay.demo.espeak import Speaker
spoken = [Speaker(voice).speak(text) for voice, text in json.loads({!r}).items()]
print(hashlib.sha256(b"".join(s.audio.tobytes() for s in spoken)).hexdigest())
"""


def test_the_same_texts_in_fresh_processes_give_the_same_bits():
    code = CHILD.format(json.dumps(SOME))
    found = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1
    assert len(found.pop().strip()) == hashlib.sha256().digest_size * 2


@pytest.mark.parametrize(
    ("voice", "message"),
    [
        ("xx", r"no voice 'xx'; use names such as en-us or de"),
        ("en-xx", r"no voice 'en-xx'; like it: en, en-029, .*en-us"),
        ("de+nobody", r"voice 'de\+nobody' has no variant 'nobody'; variants: .*f2"),
    ],
)
def test_voices_that_do_not_exist_are_refused(voice, message):
    with pytest.raises(InputError, match=rf"\Aespeak-ng: {message}[^\n]*\Z"):
        Speaker(voice).speak("hello")


@pytest.mark.parametrize("wrong", [{"rate": 79}, {"pitch": 101}, {"pitch_range": -1}])
def test_settings_out_of_range_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(InputError, match=rf"espeak-ng: {name} {value} of voice 'de'; set \d+ to"):
        Speaker("de", **wrong)


def test_nothing_to_speak_is_refused():
    with pytest.raises(InputError, match="there are no words to speak"):
        Speaker("de").speak(" \n")


def test_the_languages_are_listed():
    assert {"en-us", "en-029", "en-gb-scotland", "de", "es", "ru"} <= set(espeak.voices())


MISSING = """
import sys
{}
from hearsay.demo.espeak import Speaker
from hearsay.errors import InputError
try:
    Speaker("de").speak("ja")
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "fault",
    [
        "sys.modules['espeakng_loader'] = None",
        "import espeakng_loader; espeakng_loader.get_library_path = lambda: '/no/such.so'",
    ],
)
def test_a_library_that_cannot_be_loaded_is_one_line(fault):
    done = subprocess.run(
        [sys.executable, "-c", MISSING.format(fault)], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("espeak-ng's library cannot be loaded (")
    assert done.stdout.endswith("pip install --upgrade espeakng-loader\n")
    assert done.stdout.count("\n") == 1


def test_missing_voice_data_are_one_line():
    fault = "import espeakng_loader; espeakng_loader.get_data_path = lambda: '/no/such'"
    done = subprocess.run(
        [sys.executable, "-c", MISSING.format(fault)], check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("espeak-ng: /no/such cannot be read (status")
