"""Audio of every format to mono at 16 kHz, and the codes of what cannot be used."""

import contextlib
import io
import math
import wave

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hearsay.corpora import audio
from hearsay.corpora.audio import AudioError, decode, frames_of, to_int16, wav_bytes, wav_size


def tone(seconds, rate, frequency=440.0, level=0.5):
    return level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def encoded(samples, rate, kind="WAV", subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype=subtype)
    return stream.getvalue()


def reason(data, **options):
    with pytest.raises(AudioError) as caught:
        decode(data, **options)
    assert "\n" not in caught.value.detail
    return caught.value.reason


# --- what is decoded ----------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "FLOAT"), ("FLAC", "PCM_24"), ("NIST", "PCM_16"), ("MP3", None)],
)
def test_every_format_and_rate_is_the_same_tone(rate, kind, subtype):
    samples = decode(encoded(tone(1.0, rate), rate, kind, subtype))
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    # An MP3 encoder may add what fills its last frame.
    assert len(samples) == 16_000 if kind != "MP3" else 15_900 <= len(samples) <= 18_000
    middle = samples[4000:12_000]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) * 16_000 / len(middle) - 440) < 3
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, rel=0.05)


def test_resampling_is_soxr_s_and_does_not_depend_on_blocks(monkeypatch):
    samples = np.random.default_rng(0).normal(scale=0.1, size=48_000).astype(np.float32)
    data = encoded(samples, 48_000, "WAV", "FLOAT")
    whole = decode(data)
    np.testing.assert_array_equal(whole, soxr.resample(samples, 48_000, 16_000))
    monkeypatch.setattr(audio, "_BLOCK", 1000)
    np.testing.assert_allclose(decode(data), whole, atol=1e-6)


@settings(deadline=None)
@given(arrays(np.int16, st.integers(320, 2000)))
def test_16_bit_audio_at_16_khz_comes_back_bit_for_bit(samples):
    samples[0] = 1000  # not silent
    np.testing.assert_array_equal(to_int16(decode(encoded(samples, 16_000))), samples)
    data = wav_bytes(samples)
    assert len(data) == wav_size(len(samples))
    with wave.open(io.BytesIO(data)) as file:
        assert file.getparams()[:4] == (1, 2, 16_000, len(samples))
        assert file.readframes(len(samples)) == samples.tobytes()


def test_what_exceeds_full_scale_is_clipped():
    found = to_int16(np.array([-2, -1, -0.5, 0, 0.5, 1, 2], dtype=np.float32))
    assert found.tolist() == [-32768, -32768, -16384, 0, 16384, 32767, 32767]


def test_channels_are_averaged_unless_one_is_named():
    left, right = tone(1, 16_000, 300), tone(1, 16_000, 1000)
    data = encoded(np.stack([left, right], axis=1), 16_000, "WAV", "FLOAT")
    np.testing.assert_allclose(decode(data), (left + right) / 2, atol=1e-6)
    np.testing.assert_allclose(decode(data, channel=0), left, atol=1e-6)
    np.testing.assert_allclose(decode(data, channel=1), right, atol=1e-6)
    assert reason(data, channel=2) == "outside-audio"
    opposed = encoded(np.stack([left, -left], axis=1), 16_000)
    assert reason(opposed) == "silent"
    assert len(decode(opposed, channel=1)) == 16_000


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
def test_a_piece_is_that_of_the_whole(kind):
    rate = 16_000
    samples = np.cumsum(np.random.default_rng(0).normal(size=4 * rate)) / 1000
    data = encoded(np.clip(samples, -1, 1), rate, kind)
    whole = decode(data)
    np.testing.assert_allclose(decode(data, start=1.25, end=2.5), whole[20_000:40_000], atol=1e-6)
    np.testing.assert_allclose(decode(data, end=0.5), whole[:8000], atol=1e-6)
    np.testing.assert_allclose(decode(data, start=3.0), whole[48_000:], atol=1e-6)


# --- what is rejected ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end"), [(1.0, 1.0), (1.0, 0.5), (2.0, 3.0), (2.0, None), (-1.0, 1.0), (0.0, 0.0)]
)
def test_a_piece_that_is_not_there(start, end):
    data = encoded(tone(2, 16_000), 16_000)
    assert reason(data, start=start, end=end) == "outside-audio"


def test_a_piece_that_is_cut_off_and_one_that_barely_is():
    data = encoded(tone(2, 16_000), 16_000)
    assert reason(data, start=1.0, end=3.0) == "truncated"
    assert len(decode(data, start=1.0, end=2.01)) == 16_000


@pytest.mark.parametrize(
    "data",
    [
        b"abc",
        b"\0" * 5000,
        np.random.default_rng(0).bytes(20_000),
        b"RIFF" + np.random.default_rng(1).bytes(400),
        b"fLaC" + np.random.default_rng(2).bytes(4000),
        b"OggS" + np.random.default_rng(3).bytes(4000),
        b"ID3" + np.random.default_rng(4).bytes(4000),
        b"\xff\xfb\x90\x00" + np.random.default_rng(5).bytes(20_000),
        b"<html>403 Forbidden</html>",
    ],
)
def test_garbage(data):
    assert reason(data) in ("unreadable", "truncated")


def test_no_bytes():
    assert reason(b"") == "empty-file"


@pytest.mark.parametrize(("kind", "rate"), [("WAV", 16_000), ("FLAC", 16_000), ("NIST", 16_000)])
def test_half_a_file_whose_header_states_its_length(kind, rate):
    data = encoded(tone(2, rate), rate, kind)
    assert reason(data[: len(data) // 2]) in ("truncated", "unreadable")


def test_half_an_mp3():
    data = encoded(tone(2, 48_000), 48_000, "MP3")
    half = data[: len(data) // 2]
    assert reason(half) == "truncated"  # by its first frame, which counts the others
    bare = half[half.index(b"\xff\xfb", 300) :]
    assert len(decode(bare)) < 17_000  # nothing in it tells
    assert reason(bare, stated=2.0) == "truncated"
    assert len(decode(data, stated=2.1)) > 31_000


def test_a_header_from_a_pipe_states_nothing():
    data = bytearray(encoded(tone(1, 16_000), 16_000))
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    assert len(decode(bytes(data))) == 16_000


@pytest.mark.parametrize("level", [0.0, 2.0**-12])
def test_silence(level):
    assert reason(encoded(tone(1, 16_000, level=level), 16_000, "WAV", "FLOAT")) == "silent"
    assert len(decode(encoded(tone(1, 16_000, level=2.0**-11), 16_000))) == 16_000


def test_no_audio_and_values_that_are_no_numbers():
    assert reason(encoded(np.zeros(0), 16_000)) == "no-audio"
    assert reason(encoded(tone(0.01, 16_000), 16_000)) == "no-audio"
    for value in (math.nan, math.inf):
        samples = tone(1, 16_000)
        samples[777] = value
        assert reason(encoded(samples, 16_000, "WAV", "FLOAT")) == "unreadable"


def test_too_much(monkeypatch):
    monkeypatch.setattr(audio, "LONGEST", 3)
    assert reason(encoded(tone(4, 8000), 8000)) == "too-large"
    assert len(decode(encoded(tone(4, 8000), 8000), start=0.5, end=3)) == 40_000


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2**31))
def test_nothing_but_audio_errors(data, seed):
    whole = bytearray(encoded(tone(0.1, 48_000), 48_000, ["WAV", "FLAC", "MP3"][seed % 3]))
    place = seed % len(whole)
    whole[place : place + len(data)] = data
    with contextlib.suppress(AudioError):
        assert np.isfinite(decode(bytes(whole))).all()


# --- frames of CTC ------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 16_000 * 20))
def test_frames_are_20_ms(samples):
    assert abs(frames_of(samples) - samples / 320) <= 1
    assert frames_of(samples) <= frames_of(samples + 160)


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "seconds"),
    [("common_voice_en_22058264.mp3", 4.10), ("common_voice_en_22058266.mp3", 2.35)],
)
def test_common_voice_clips(real_data, name, seconds):
    librosa = pytest.importorskip("librosa")
    path = real_data / "speech" / name
    samples = decode(path.read_bytes())
    reference, _ = librosa.load(path, sr=16_000)
    assert abs(len(samples) - len(reference)) <= 1
    assert len(samples) / 16_000 == pytest.approx(seconds, abs=0.3)
    shortest = min(len(samples), len(reference))
    np.testing.assert_allclose(samples[:shortest], reference[:shortest], atol=1e-4)
