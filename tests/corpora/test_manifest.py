"""Manifests: what is written is read again, and lies about audio are found."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsay.corpora.audio import wav_bytes
from hearsay.corpora.manifest import Clip, read_audio, read_manifest, write_manifest
from hearsay.errors import InputError

SAMPLES = (8000 * np.sin(np.arange(16_000) / 9)).astype("<i2")


def clip(path, **changes):
    facts = {
        "id": "a",
        "audio": path,
        "offset_bytes": None,
        "size_bytes": None,
        "duration": 1.0,
        "samples": 16_000,
        "text": "größe",
        "raw_text": "Größe!",
        "speaker": "s",
    }
    return Clip(**facts | changes)


def line_of(**changes):
    row = {"id": "a", "audio_filepath": "a.wav", "duration": 1.0, "samples": 16_000}
    row |= {"text": "größe", "raw_text": "Größe!", "speaker": "s"}
    return json.dumps({k: v for k, v in {**row, **changes}.items() if v is not ...})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(st.text(max_size=30), min_size=1, max_size=5, unique=True),
    samples=st.integers(1, 10**9),
)
def test_what_is_written_is_read_again(tmp_path, texts, samples):
    clips = [
        clip(
            tmp_path / "audio" / f"{k}.tar",
            id=text,
            text=text,
            raw_text=text,
            samples=samples,
            duration=samples / 16_000,
            offset_bytes=k or None,
            size_bytes=k or None,
        )
        for k, text in enumerate(texts)
    ]
    write_manifest(tmp_path / "m.jsonl", clips)
    assert read_manifest(tmp_path / "m.jsonl") == clips
    data = (tmp_path / "m.jsonl").read_bytes()
    assert data.isascii()  # NeMo opens it without naming an encoding
    assert len(data.splitlines()) == len(clips)


def test_audio_is_relative_to_the_manifest_so_that_both_can_move(tmp_path):
    folder = tmp_path / "before"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "a.wav").write_bytes(wav_bytes(SAMPLES))
    write_manifest(folder / "train.jsonl", [clip(folder / "train" / "a.wav")])
    row = json.loads((folder / "train.jsonl").read_text())
    assert row["audio_filepath"] == "train/a.wav"
    folder.rename(tmp_path / "after")
    (found,) = read_manifest(tmp_path / "after" / "train.jsonl")
    samples = read_audio(found)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples * 32768, SAMPLES)


def test_audio_in_a_tar_archive(tmp_path):
    data = wav_bytes(SAMPLES)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name in ("x", "y"):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    with tarfile.open(tmp_path / "a.tar") as archive:
        offset = archive.getmember("y").offset_data
    packed = clip(tmp_path / "a.tar", offset_bytes=offset, size_bytes=len(data))
    np.testing.assert_array_equal(read_audio(packed) * 32768, SAMPLES)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "m.jsonl: holds no clips"),
        (["{"], "m.jsonl, line 1: is no JSON"),
        ([line_of(), "[]"], "m.jsonl, line 2: is no JSON object"),
        ([line_of(text=...)], "m.jsonl, line 1: has no 'text'"),
        ([line_of(samples=1.5)], "m.jsonl, line 1: 'samples' is 1.5"),
        ([line_of(samples=True)], "m.jsonl, line 1: 'samples' is True"),
        ([line_of(speaker=None)], "m.jsonl, line 1: 'speaker' is None"),
        ([line_of(), line_of()], "m.jsonl, line 2: the id 'a' came before"),
        ([line_of(duration=2.0)], "m.jsonl, line 1: the duration is 2.0 s, but 16000 samples"),
        ([line_of(samples=0, duration=0)], "m.jsonl, line 1: the duration is 0 s, but 0 samples"),
        ([line_of(offset_bytes=512)], "m.jsonl, line 1: offset_bytes is 512, size_bytes None"),
    ],
)
def test_a_manifest_that_is_none_is_refused(tmp_path, lines, expected):
    path = tmp_path / "m.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert expected in str(caught.value)
    assert "remove it and make it anew" in str(caught.value)


def test_a_manifest_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(InputError, match="no such file; prepare_speech makes it"):
        read_manifest(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="cannot be read"):
        read_manifest(tmp_path / "m.jsonl")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "the audio of 'a' is gone"),
        (b"", "the audio of 'a' is damaged (empty-file"),
        (b"garbage", "the audio of 'a' is damaged (unreadable"),
        (wav_bytes(SAMPLES[:-1]), "the manifest says 16000 samples, the audio has 15999"),
        (wav_bytes(SAMPLES)[:-2000], "the manifest says 16000 samples, the audio has 15000"),
    ],
)
def test_audio_that_is_not_the_manifest_s_is_refused(tmp_path, data, expected):
    if data is not None:
        (tmp_path / "a.wav").write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_audio(clip(tmp_path / "a.wav"))
    assert expected in str(caught.value)


@pytest.mark.parametrize(("shape", "rate"), [((16_000, 2), 16_000), ((16_000,), 8000)])
def test_audio_of_another_form_is_refused(tmp_path, shape, rate):
    soundfile.write(tmp_path / "a.wav", np.zeros(shape), rate)
    with pytest.raises(InputError, match=r"channels at .* not one at 16000"):
        read_audio(clip(tmp_path / "a.wav"))
