"""TIMIT: copies of every layout, parts, sentences that all read, and broken files."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile

from hearsay.corpora import prepare_speech, prepare_word_times
from hearsay.corpora.manifest import read_audio, read_manifest
from hearsay.corpora.speech_source import open_source
from hearsay.corpora.timit import is_dialect_sentence, list_recordings, word_times_of
from hearsay.corpora.word_times import WordTime, read_word_times
from hearsay.errors import InputError

WORDS = "1600 4800 She\n4800 9600 don't\n9000 14400 sleep\n"


def sound(kind="WAV", seconds=1.0, rate=16_000, channels=1):
    samples = np.random.default_rng(0).normal(scale=0.1, size=(round(rate * seconds), channels))
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind, subtype="PCM_16")
    return stream.getvalue()


def copy(folder, names=(), kind="WAV", words=WORDS):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sound(kind))
        path.with_suffix(".wrd" if path.suffix.islower() else ".WRD").write_text(words)
    return folder


LDC = ["TIMIT/TRAIN/DR1/FCJF0/SX1.WAV", "TIMIT/TRAIN/DR1/FCJF0/SA1.WAV"]
LDC += ["TIMIT/TEST/DR2/MABC0/SI5.WAV", "TIMIT/TEST/DR2/MABC0/SA1.WAV"]


def listed(folder, *parts, **options):
    return list_recordings(open_source(folder), parts, options)


def test_the_ldcs_layout(tmp_path):
    copy(tmp_path, LDC)
    found = listed(tmp_path, "train")
    assert [r.id for r in found.recordings] == ["dr1-fcjf0-sa1", "dr1-fcjf0-sx1"]
    assert {r.text for r in found.recordings} == {"She don't sleep"}
    assert {r.speaker for r in found.recordings} == {"fcjf0"}
    assert found.recordings[1].audio == LDC[0]
    assert [r.speaker for r in listed(tmp_path, "TEST").recordings] == ["mabc0"] * 2
    assert len(listed(tmp_path, "all", counts={"all": 4}).recordings) == 4
    assert len(listed(tmp_path, "train", "test").recordings) == 4
    assert [r.id for r in listed(tmp_path, "mabc0").recordings] == [
        "dr2-mabc0-sa1",
        "dr2-mabc0-si5",
    ]
    assert len(listed(tmp_path / "TIMIT" / "TRAIN", "train").recordings) == 2


def test_nltks_sample_and_names_in_lower_case(tmp_path):
    copy(tmp_path, ["timit/dr1-fvmh0/sx206.wav"])
    copy(tmp_path, ["timit/dr1-fvmh0/sx206.sph"], "NIST")
    (found,) = listed(tmp_path, "all").recordings
    assert (found.id, found.speaker) == ("dr1-fvmh0-sx206", "fvmh0")
    assert found.audio.endswith(".wav")


def test_a_copy_with_two_suffixes(tmp_path):
    copy(tmp_path, ["TRAIN/DR1/FCJF0/SX1.WAV"], "NIST")
    (tmp_path / "TRAIN/DR1/FCJF0/SX1.WAV.wav").write_bytes(sound())
    (found,) = listed(tmp_path, "train").recordings
    assert found.audio.endswith("SX1.WAV.wav")


def test_what_everybody_reads_can_be_left_out(tmp_path):
    copy(tmp_path, LDC)
    found = listed(tmp_path, "all", sa_sentences=False)
    assert not any(is_dialect_sentence(r.id) for r in found.recordings)
    assert [(r.id, r.reason) for r in found.rejected] == [
        ("dr2-mabc0-sa1", "sa-sentence"), ("dr1-fcjf0-sa1", "sa-sentence")
    ]  # fmt: skip
    assert is_dialect_sentence("dr1-fcjf0-sa2")
    assert not is_dialect_sentence("dr1-msat0-sx2")


def test_word_times_with_their_overlaps(tmp_path):
    copy(tmp_path, LDC)
    found = word_times_of(open_source(tmp_path), ["train"])
    assert list(found.words) == ["dr1-fcjf0-sa1", "dr1-fcjf0-sx1"]
    assert found.words["dr1-fcjf0-sx1"] == [
        WordTime("She", 0.1, 0.3), WordTime("don't", 0.3, 0.6), WordTime("sleep", 0.5625, 0.9)
    ]  # fmt: skip


def test_broken_files_are_listed_and_the_others_kept(tmp_path):
    copy(tmp_path, LDC)
    words = {name: (tmp_path / name).with_suffix(".WRD") for name in LDC}
    words[LDC[0]].unlink()
    words[LDC[1]].write_text("")
    words[LDC[2]].write_text("1600 she\n")
    found = listed(tmp_path, "all")
    assert [r.id for r in found.recordings] == ["dr2-mabc0-sa1"]
    assert [(r.id, r.reason) for r in found.rejected] == [
        ("dr2-mabc0-si5", "bad-row"),
        ("dr1-fcjf0-sa1", "empty-text"),
        ("dr1-fcjf0-sx1", "missing"),
    ]
    assert found.rejected[2].detail == f"no .wrd file beside {LDC[0]}"
    assert "SI5.WRD, line 1: '1600 she' is not" in found.rejected[0].detail
    times = word_times_of(open_source(tmp_path), ["all"])
    assert times.rejected == found.rejected


def test_other_folders_and_counts_are_refused(tmp_path):
    copy(tmp_path, LDC)
    with pytest.raises(InputError, match=r"\A[^\n]*no recordings in a folder 'dev' \(folders"):
        listed(tmp_path, "dev")
    with pytest.raises(InputError, match=r"train has 2 rows, not 4620 as counts.train says"):
        listed(tmp_path, "train", counts={"train": 4620})


OPTIONS = {"kind": "timit", "language": "en", "parts": ["train"], "policy": "drop-character"}
OPTIONS |= {"counts": {}, "options": {}}


def steps(source, out):
    """Both steps of one part: manifest, words, counts."""
    whole = {"packed": False, "training": False, "min_duration": None, "max_duration": None}
    names = {"manifest": "train.jsonl", "audio": "train", "rejected": "r.csv", "removed": "c.csv"}
    paths = {name: out / file for name, file in {**names, "record": "run.json"}.items()}
    prepare_speech.prepare("timit", "train", source, {**OPTIONS, **whole, "limit": None}, 1, paths)
    words = [out / f"train.words.{suffix}" for suffix in ("csv", "rejected.csv", "run.json")]
    step = prepare_word_times.main
    step("timit", "train", source, paths["manifest"], json.dumps(OPTIONS), *words)
    counts = json.loads(words[2].read_text())["counts"]
    return read_manifest(paths["manifest"]), read_word_times(words[0]), counts, words[1].read_text()


@pytest.mark.parametrize("kind", ["WAV", "NIST"])
@pytest.mark.parametrize("packed", [False, True])
def test_from_a_copy_to_clips_and_words(tmp_path, kind, packed):
    source = copy(tmp_path / "in", LDC, kind)
    if packed:
        with tarfile.open(tmp_path / "timit.tar.gz", "w:gz") as archive:
            archive.add(source / "TIMIT", "TIMIT")
        source = tmp_path / "timit.tar.gz"
    clips, words, counts, _ = steps(source, tmp_path / "out")
    assert [clip.id for clip in clips] == list(words) == ["dr1-fcjf0-sa1", "dr1-fcjf0-sx1"]
    assert {clip.text for clip in clips} == {"she don't sleep"}
    assert len(read_audio(clips[0])) == 16_000
    assert counts == {"total": 2, "kept": 2, "rejected": {}, "words": {"no-letters": 0, "timed": 6}}
    assert words["dr1-fcjf0-sx1"][0] == WordTime("she", 0.1, 0.3)


def test_a_word_beyond_the_audios_end_is_listed(tmp_path):
    source = copy(tmp_path / "in", LDC)
    (source / LDC[0]).with_suffix(".WRD").write_text("0 1600 she\n1600 16017 sleeps\n")
    _, words, counts, listed = steps(source, tmp_path / "out")
    she, sleeps = words["dr1-fcjf0-sx1"]
    assert she.known
    assert not sleeps.known
    assert "dr1-fcjf0-sx1,word-beyond-end,\"word 2, 'sleeps', 0.1 to 1.00106 s: the audio" in listed
    assert counts["words"] == {"beyond-end": 1, "no-letters": 0, "timed": 4}


def test_stereo_at_8_khz_keeps_its_times(tmp_path):
    source = copy(tmp_path / "in", LDC)
    (source / LDC[0]).write_bytes(sound(rate=8000, channels=2))
    clips, words, _, _ = steps(source, tmp_path / "out")
    assert len(read_audio(clips[1])) == 16_000
    assert words[clips[1].id][0] == WordTime("she", 0.1, 0.3)
