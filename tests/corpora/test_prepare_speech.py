"""From archives of speech to clips: every utterance kept or listed, and killed runs that go on."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hearsay.corpora import prepare_speech, speech_store
from hearsay.corpora.manifest import read_audio, read_manifest
from hearsay.corpora.worker_pool import WorkerPool
from hearsay.errors import InputError

WORKFLOW = Path(prepare_speech.__file__).parents[2]
HEADER = "client_id\tpath\tsentence\tup_votes\tdown_votes\tage\tgender\taccent"
SENTENCE = "Größe zählt nicht."


def encoded(samples, rate=48_000, kind="MP3"):
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=kind)
    return stream.getvalue()


def noise(seconds, rate=48_000, channels=None, seed=0):
    shape = round(seconds * rate) if channels is None else (round(seconds * rate), channels)
    return np.random.default_rng(seed).normal(scale=0.1, size=shape)


GOOD = encoded(noise(1.0))


def release(path, clips, sentences=(), extra=(), header=HEADER, part="train"):
    """A release of Common Voice as tar.gz: clips by name (None for a missing one)."""
    rows = [header]
    for k, name in enumerate(clips):
        sentence = sentences[k] if k < len(sentences) else SENTENCE
        rows.append(f"s{k % 3}\t{name}\t{sentence}\t2\t0\t\t\t")
    files = {f"clips/{name}": data for name, data in clips.items() if data is not None}
    files |= {f"{part}.tsv": "\n".join([*rows, *extra, ""]).encode()}
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"cv-corpus-4-2019-12-10/de/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def options_of(**changes):
    return {
        "kind": "common_voice",
        "language": "de",
        "parts": ["train"],
        "policy": "drop-character",
        "counts": {},
        "packed": False,
        "training": True,
        "min_duration": None,
        "max_duration": 16.7,
        "limit": None,
        "options": {},
        **changes,
    }


def outputs_of(out, part="train"):
    return {
        "manifest": out / f"{part}.jsonl",
        "audio": out / part,
        "rejected": out / f"{part}.rejected.csv",
        "removed": out / f"{part}.removed.csv",
        "record": out / f"{part}.run.json",
    }


class Prepared:
    """What a preparation left."""

    def __init__(self, out):
        paths = outputs_of(out)
        self.clips = read_manifest(paths["manifest"])
        self.record = json.loads(paths["record"].read_text())
        self.counts = self.record["counts"]
        with paths["rejected"].open(encoding="utf-8", newline="") as stream:
            self.rejected = {row["id"]: row["reason"] for row in csv.DictReader(stream)}
        with paths["removed"].open(encoding="utf-8", newline="") as stream:
            self.removed = list(csv.DictReader(stream))
        left = {path.name for path in out.iterdir()}
        assert left == {path.name for path in paths.values()}  # nothing else stays
        assert len(self.clips) == self.counts["kept"]
        assert self.counts["kept"] + sum(self.counts["rejected"].values()) == self.counts["total"]


def prepare(tmp_path, source, threads=1, out="out", **changes):
    folder = tmp_path / out
    prepare_speech.main(
        "cv-de", "train", source, json.dumps(options_of(**changes)), threads, **outputs_of(folder)
    )
    return Prepared(folder)


def refusal(tmp_path, source, **changes):
    with pytest.raises(InputError) as caught:
        prepare(tmp_path, source, **changes)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("speech_corpora.cv-de: train: ")
    assert not any(path.exists() for path in outputs_of(tmp_path / "out").values())
    return message


# --- kept and rejected --------------------------------------------------------------------------


def dirty():
    """Clips by name, and the reason with which each is rejected, if it is."""
    garbage = np.random.default_rng(0).bytes(5000)
    return {
        "good.mp3": (GOOD, None),
        "empty.mp3": (b"", "empty-file"),
        "garbage.mp3": (garbage, "unreadable"),
        "truncated.mp3": (GOOD[: len(GOOD) // 2], "truncated"),
        "missing.mp3": (None, "missing"),
        "stereo.mp3": (encoded(noise(1.0, channels=2)), None),
        "44k.mp3": (encoded(noise(1.0, 44_100), 44_100), None),
        "8k.mp3": (encoded(noise(1.0, 8000), 8000), None),
        "wav.mp3": (encoded(noise(1.0, 22_050), 22_050, "WAV"), None),
        "silent.mp3": (encoded(np.zeros(48_000)), "silent"),
        "long.mp3": (encoded(noise(17.0, 8000), 8000), "too-long"),
        "brief.mp3": (encoded(noise(0.5)), "infeasible"),
    }


@pytest.mark.parametrize("threads", [1, 3])
def test_every_dirty_clip_has_its_reason(tmp_path, threads, capfd):
    clips = dirty()
    sentences = ["Dieser Satz ist lang genug dafür"] * len(clips)
    broken = ["s1\tlost.mp3 Ein Tab fehlt\t2\t0\t\t\t", 's1\tmissing.mp3\t"Un"paar"\t2\t0\t\t\t']
    source = release(
        tmp_path / "a.tar.gz", {name: data for name, (data, _) in clips.items()}, sentences, broken
    )
    found = prepare(tmp_path, source, threads=threads)
    expected = {n.removesuffix(".mp3"): why for n, (_, why) in clips.items() if why}
    rejected = {name: why for name, why in found.rejected.items() if not name.startswith("train.")}
    # The id of the missing clip comes twice: once for its file, once as a duplicate.
    assert rejected == {**expected, "missing": "duplicate-id"}
    assert [why for n, why in found.rejected.items() if n not in rejected] == ["bad-row"]
    assert [clip.id for clip in found.clips] == ["good", "stereo", "44k", "8k", "wav"]
    assert found.counts["total"] == len(clips) + 2
    assert found.counts["rejected"]["missing"] == found.counts["rejected"]["duplicate-id"] == 1
    assert "Illegal Audio-MPEG-Header" not in capfd.readouterr().err  # a decoder's remarks


def test_parts_for_validation_are_not_filtered_by_length(tmp_path):
    clips = {name: data for name, (data, why) in dirty().items()}
    source = release(tmp_path / "a.tar.gz", clips, ["x" * 60] * len(clips))
    found = prepare(tmp_path, source, training=False, min_duration=5.0, max_duration=6.0)
    assert {clip.id for clip in found.clips} >= {"good", "long", "brief"}
    assert not {"too-long", "too-short", "infeasible"} & set(found.rejected.values())


def test_limits_of_length(tmp_path):
    lengths = {"a.mp3": 0.8, "b.mp3": 1.0, "c.mp3": 1.4, "d.mp3": 2.0}
    source = release(tmp_path / "a.tar.gz", {n: encoded(noise(s)) for n, s in lengths.items()})
    found = prepare(tmp_path, source, min_duration=0.9, max_duration=1.5)
    assert found.rejected == {"a": "too-short", "d": "too-long"}


def test_texts_are_normalised_and_every_removal_counted(tmp_path):
    sentences = ["Ein „garçon“ – Ç 3", "Größe & Maß", "!?", "çç", "Ja"]
    source = release(tmp_path / "a.tar.gz", {f"{k}.mp3": GOOD for k in range(5)}, sentences)
    found = prepare(tmp_path, source)
    assert [clip.text for clip in found.clips] == ["ein garon", "größe maß", "ja"]
    assert [clip.raw_text for clip in found.clips] == [sentences[0], sentences[1], "Ja"]
    assert found.rejected == {"2": "empty-text", "3": "empty-text"}
    rows = {row["character"]: row for row in found.removed}
    assert rows["ç"] == {
        "character": "ç",
        "name": "LATIN SMALL LETTER C WITH CEDILLA",
        "count": "4",
        "utterances": "2",
        "example": "0",
        "kind": "removed",
    }
    assert rows["–"]["kind"] == "punctuation"
    assert {row["character"] for row in found.removed} == set("ç3&„“–!?")
    assert found.record["characters"] == {"punctuation": 5, "removed": 6}


@pytest.mark.parametrize(
    ("policy", "texts", "rejected"),
    [
        ("drop-character", ["garon", "ja"], {}),
        ("drop-utterance", ["ja"], {"0": "outside-alphabet"}),
        ("transliterate", ["garcon", "ja"], {}),
    ],
)
def test_policies(tmp_path, policy, texts, rejected):
    source = release(tmp_path / "a.tar.gz", {"0.mp3": GOOD, "1.mp3": GOOD}, ["garçon", "Ja."])
    found = prepare(tmp_path, source, policy=policy)
    assert [clip.text for clip in found.clips] == texts
    assert found.rejected == rejected
    kinds = {"drop-character": "removed", "drop-utterance": "dropped"}
    assert found.removed[0]["kind"] == kinds.get(policy, "transliterated")


def test_an_alphabet_of_ones_own(tmp_path):
    letters = "abcdefghijklmnopqrstuvwxyz'àâçéèêëîïôûùüÿ"
    source = release(tmp_path / "a.tar.gz", {"0.mp3": GOOD}, ["Sœur, ça n’est rien, ße !"])
    own = {"letters": letters, "capitals": {}, "replace": {"œ": "oe"}}
    found = prepare(tmp_path, source, language="fr", alphabet=own)
    assert [clip.text for clip in found.clips] == ["soeur ça n'est rien e"]
    kinds = {row["character"]: row["kind"] for row in found.removed if row["kind"] != "punctuation"}
    assert kinds == {"œ": "transliterated", "ß": "removed"}
    assert found.record["settings"]["alphabet"] == own


def test_manifest_and_audio_agree(tmp_path):
    clips = {f"c{k}.mp3": encoded(noise(0.5 + k / 7, seed=k)) for k in range(6)}
    found = prepare(tmp_path, release(tmp_path / "a.tar.gz", clips), threads=2)
    assert [clip.id for clip in found.clips] == [f"c{k}" for k in range(6)]
    for clip in found.clips:
        with soundfile.SoundFile(clip.audio) as file:
            assert (file.samplerate, file.channels, file.subtype) == (16_000, 1, "PCM_16")
            assert file.frames == clip.samples
        assert clip.duration == clip.samples / 16_000
        assert len(read_audio(clip)) == clip.samples
    assert found.counts["seconds"] == pytest.approx(sum(c.duration for c in found.clips), abs=1e-3)


@pytest.mark.parametrize("threads", [1, 2])
def test_packed_and_unpacked_audio_are_the_same_bit_for_bit(tmp_path, threads, monkeypatch):
    monkeypatch.setattr(speech_store, "PACKED_BYTES", 60_000)
    clips = {f"c {k}ß.mp3": encoded(noise(0.4 + k / 9, seed=k)) for k in range(7)}
    clips["broken.mp3"] = b"no audio"
    source = release(tmp_path / "a.tar.gz", clips)
    plain = prepare(tmp_path, source, training=False)
    packed = prepare(tmp_path, source, threads, out="packed", packed=True, training=False)
    assert plain.record["audio_sha256"] == packed.record["audio_sha256"]
    for one, other in zip(plain.clips, packed.clips, strict=True):
        assert (one.id, one.samples, one.text) == (other.id, other.samples, other.text)
        np.testing.assert_array_equal(read_audio(one), read_audio(other))
    tars = sorted((tmp_path / "packed" / "train").iterdir())
    assert [path.name for path in tars] == [f"{k:05d}.tar" for k in range(len(tars))]
    assert len(tars) > 1
    read = {}
    for path in tars:  # other tools can read them, too
        with tarfile.open(path) as archive:
            read |= {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    assert sorted(read.values()) == sorted(clip.audio.read_bytes() for clip in plain.clips)


def test_pieces_of_one_recording_in_two_channels(tmp_path):
    talk = np.stack([noise(4, 16_000), noise(4, 16_000, seed=1)], axis=1)
    soundfile.write(tmp_path / "talk.wav", talk, 16_000)
    rows = ["path\tsentence\tstart\tend\tchannel", "talk.wav\tone\t0\t1\t0"]
    rows += ["talk.wav\ttwo\t0.5\t2\t1", "talk.wav\tthree\t3\t9\t1", "talk.wav\tfour\t4\t5\t1"]
    (tmp_path / "train.tsv").write_text("\n".join(rows))
    found = prepare(tmp_path, tmp_path, kind="table", language="en")
    assert [(clip.text, clip.duration) for clip in found.clips] == [("one", 1.0), ("two", 1.5)]
    assert found.rejected == {"talk-3-9": "truncated", "talk-4-5": "outside-audio"}
    whole = soundfile.read(tmp_path / "talk.wav", dtype="float32")[0]
    np.testing.assert_array_equal(read_audio(found.clips[1]), whole[8000:32_000, 1])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".hidden", "-", "ä" * 90, "CON "])
def test_ids_never_lead_out_of_the_folder(tmp_path, name):
    soundfile.write(tmp_path / "a.wav", noise(1, 16_000), 16_000)
    (tmp_path / "train.tsv").write_text(f"id\tpath\tsentence\n{name}\ta.wav\tone\n")
    found = prepare(tmp_path, tmp_path, kind="table", language="en")
    assert found.clips[0].id == name.strip()
    assert found.clips[0].audio.resolve().parent.parent == (tmp_path / "out" / "train").resolve()


def test_paths_in_a_table_never_lead_out_of_the_source(tmp_path):
    soundfile.write(tmp_path / "outside.wav", noise(1, 16_000), 16_000)
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    soundfile.write(corpus / "a.wav", noise(1, 16_000), 16_000)
    rows = ["path\tsentence", "../outside.wav\tone", f"{tmp_path}/outside.wav\ttwo", "a.wav\tthree"]
    (corpus / "train.tsv").write_text("\n".join(rows))
    found = prepare(tmp_path, corpus, kind="table", language="en")
    assert [clip.text for clip in found.clips] == ["three"]
    assert set(found.rejected.values()) == {"missing"}


# --- what is told and refused -------------------------------------------------------------------


def test_one_line_tells_what_became_of_it(tmp_path, capsys):
    source = release(tmp_path / "a.tar.gz", {"a.mp3": GOOD, "b.mp3": b"", "c.mp3": None})
    prepare(tmp_path, source)
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last == "cv-de, train: 3 utterances, 1 kept (0.00 h), rejected: empty-file 1, missing 1"


def test_a_corpus_of_which_nothing_can_be_used_is_refused(tmp_path):
    source = release(tmp_path / "a.tar.gz", {"a.mp3": b"", "b.mp3": None})
    message = refusal(tmp_path, source)
    assert "a.tar.gz: nothing of it can be used (2 utterances, 0 kept (0.00 h), rejected" in message
    assert "Such as a: the file has no bytes" in message
    assert not list((tmp_path / "out").glob(".*"))
    empty = release(tmp_path / "b.tar.gz", {})
    assert "nothing of it can be used (0 utterances" in refusal(tmp_path, empty)


def test_what_is_wrong_with_the_source_is_told_with_the_corpus(tmp_path):
    assert "none: no such archive or folder" in refusal(tmp_path, tmp_path / "none")
    source = release(tmp_path / "a.tar.gz", {"a.mp3": GOOD})
    assert "train has 1 rows, not 71841" in refusal(tmp_path, source, counts={"train": 71_841})
    assert "language 'fr': no alphabet" in refusal(tmp_path, source, language="fr")
    assert "kind 'tidigits'" in refusal(tmp_path, source, kind="tidigits")
    source.write_bytes(source.read_bytes()[:-3000])
    assert "is truncated or damaged" in refusal(tmp_path, source)


def test_a_file_of_absurd_size_is_rejected_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare_speech, "LARGEST", len(GOOD))
    source = release(tmp_path / "a.tar.gz", {"a.mp3": GOOD, "b.mp3": GOOD + b"\0"})
    assert prepare(tmp_path, source).rejected == {"b": "too-large"}


def test_a_run_s_identity_is_what_is_listed(tmp_path):
    clips = {"a.mp3": GOOD, "b.mp3": GOOD}
    first = prepare(tmp_path, release(tmp_path / "a.tar.gz", clips)).record["id"]
    assert prepare(tmp_path, tmp_path / "a.tar.gz", out="again").record["id"] == first
    other = release(tmp_path / "b.tar.gz", clips, ["Ja.", "Nein."])
    assert prepare(tmp_path, other, out="texts").record["id"] != first
    assert prepare(tmp_path, tmp_path / "a.tar.gz", out="x", limit=1).record["id"] != first


# --- worker processes ---------------------------------------------------------------------------


def _behave(task):
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "input":
        raise InputError("the disk is full")
    if task == "error":
        raise ValueError("a mistake")
    time.sleep(0.02 if task == 0 else 0)
    return f"{task}!"


def test_answers_come_in_order_and_a_crash_costs_its_task_alone():
    tasks = [*range(50), "crash", *range(50), "crash"]
    with WorkerPool(_behave, 3, lambda task: 1) as pool:
        found = list(pool.answers(tasks))
    assert [task for task, _ in found] == tasks
    expected = [f"{task}!" if task != "crash" else "SIGSEGV" for task in tasks]
    assert [answer for _, answer in found] == expected


@pytest.mark.parametrize(
    ("task", "kind", "expected"),
    [
        ("killed", InputError, "ended with signal 9; if it was killed for want of memory"),
        ("input", InputError, "the disk is full"),
        ("error", RuntimeError, "ValueError: a mistake"),
    ],
)
def test_what_ends_all(task, kind, expected):
    with WorkerPool(_behave, 2, lambda task: 1) as pool, pytest.raises(kind, match=expected):
        list(pool.answers([1, 2, task, 3]))


def test_few_tasks_wait_in_memory():
    taken = []

    def tasks():
        for k in range(100):
            taken.append(k)
            yield k

    with WorkerPool(_behave, 2, lambda task: 1 << 26) as pool:
        for number, _ in enumerate(pool.answers(tasks())):
            assert len(taken) - number <= 7  # four of 64 MiB fill what may be held


def test_a_clip_that_crashes_the_decoder_is_rejected(tmp_path, monkeypatch):
    cut = prepare_speech.cut

    def crashing(request):
        if b"crash" in request.data:
            os.kill(os.getpid(), signal.SIGSEGV)
        return cut(request)

    monkeypatch.setattr(prepare_speech, "cut", crashing)
    clips = {"a.mp3": GOOD, "b.mp3": GOOD[:-9] + b"crash", "c.mp3": GOOD}
    found = prepare(tmp_path, release(tmp_path / "a.tar.gz", clips), threads=2)
    assert found.rejected == {"b": "unreadable"}
    assert [clip.id for clip in found.clips] == ["a", "c"]


# --- killed and started again -------------------------------------------------------------------

KILLED = """
import os, signal, sys
from hearsay.corpora import prepare_speech, speech_store, worker_pool
speech_store.PACKED_BYTES = 60_000
count, moment = int(sys.argv.pop(1)), sys.argv.pop(1)
add, pack = speech_store.Store.add, speech_store.Store._pack
calls = 0

def kill():
    print(*[p.pid for p in POOL._workers.values()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

class Pool(worker_pool.WorkerPool):
    def __enter__(self):
        global POOL
        POOL = self
        return self

def stopped(self, *arguments):
    global calls
    calls += 1
    if calls == count and moment == "torn":
        self._journal.write('{"audio": "torn')
        self._journal.flush()
        if self._tar is not None:
            self._tar.write(b"torn")
            self._tar.flush()
        kill()
    add(self, *arguments)
    if calls == count and moment == "after":
        kill()

prepare_speech.WorkerPool = Pool
speech_store.Store.add = stopped
import typer
typer.run(prepare_speech.main)
"""


def run_killed(count, moment, source, out, **changes):
    arguments = [f"--{name}={path}" for name, path in outputs_of(out).items()]
    arguments += ["--corpus=cv-de", "--part=train", f"--source={source}", "--threads=2"]
    arguments += [f"--settings={json.dumps(options_of(**changes))}"]
    return subprocess.run(
        [sys.executable, "-c", KILLED, str(count), moment, *arguments],
        env={**os.environ, "PYTHONPATH": str(WORKFLOW)},
        capture_output=True,
        text=True,
        timeout=900,
    )


def contents(out):
    files = {p.relative_to(out).as_posix(): p for p in out.rglob("*") if p.is_file()}
    found = {name: path.read_bytes() for name, path in files.items() if ".run." not in name}
    record = json.loads((out / "train.run.json").read_text())
    return found, record["id"], record["counts"], record["audio_sha256"]


@pytest.mark.parametrize("packed", [False, True])
def test_killed_and_started_again_it_ends_with_the_same_bytes(tmp_path, packed, monkeypatch, capfd):
    monkeypatch.setattr(speech_store, "PACKED_BYTES", 60_000)
    clips = {f"c{k}.mp3": encoded(noise(0.4 + k / 30, seed=k)) for k in range(20)}
    clips |= {"broken.mp3": b"garbage", "empty.mp3": b""}
    source = release(tmp_path / "a.tar.gz", clips)
    changes = {"packed": packed, "training": False}
    prepare(tmp_path, source, threads=1, out="whole", **changes)
    out = tmp_path / "out"
    for count, moment in [(4, "torn"), (6, "after")]:  # each of what is left
        done = run_killed(count, moment, source, out, **changes)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert {path.name[0] for path in out.iterdir()} == {"."}  # no output is there
        _gone(done.stdout.split())
    if not packed:  # a clip that the journal has but the disk has not
        next(out.glob(".train.*.partial/audio/*/c1.wav")).write_bytes(b"RIFF")
    capfd.readouterr()
    prepare(tmp_path, source, threads=2, **changes)
    told = capfd.readouterr().err
    assert f"cv-de, train: going on after {9 - (not packed)} utterances" in told
    assert contents(out) == contents(tmp_path / "whole")


def _gone(pids):
    """Workers end with their parent, however it ends."""
    assert pids
    end = time.monotonic() + 300
    while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in pids):
        assert time.monotonic() < end, f"workers {pids} outlive their parent"
        time.sleep(0.05)


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_other_settings_left_is_not_gone_on_from(tmp_path):
    source = release(tmp_path / "a.tar.gz", {f"{k}.mp3": GOOD for k in range(4)})
    done = run_killed(3, "after", source, tmp_path / "out", policy="transliterate")
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(list((tmp_path / "out").glob(".train.*.partial"))) == 1
    assert len(prepare(tmp_path, source).clips) == 4  # which asserts that nothing else stays


def test_an_older_output_is_replaced(tmp_path):
    first = release(tmp_path / "a.tar.gz", {"old.mp3": GOOD, "older.mp3": GOOD})
    prepare(tmp_path, first)
    prepare(tmp_path, release(tmp_path / "b.tar.gz", {"new.mp3": GOOD}))
    assert [path.name for path in (tmp_path / "out" / "train").rglob("*.wav")] == ["new.wav"]


# --- the real thing -----------------------------------------------------------------------------

WORDS = {
    "common_voice_en_22058264": ("no", 4.1),
    "common_voice_en_22058266": ("Fire fox", 2.3),
    "common_voice_en_22058267": ("six", 1.8),
}


@pytest.mark.real_data
def test_real_clips_of_common_voice_and_librivox(real_data, tmp_path):
    folder = real_data / "speech"
    rows = ["path\tsentence"]
    for path in sorted(folder.glob("*.wav")):
        rows.append(f"{path.name}\t{path.with_suffix('.txt').read_text().strip()}")
        (tmp_path / path.name).symlink_to(path)
    for name, (text, _) in WORDS.items():
        rows.append(f"{name}.mp3\t{text}")
        (tmp_path / f"{name}.mp3").symlink_to(folder / f"{name}.mp3")
    (tmp_path / "test.tsv").write_text("\n".join(rows))
    found = prepare(
        tmp_path, tmp_path, 2, kind="table", language="en", parts=["test"], policy="drop-utterance"
    )
    assert found.counts["rejected"] == {}
    assert len(found.clips) == 8
    by_id = {clip.id: clip for clip in found.clips}
    for name, (text, seconds) in WORDS.items():
        assert by_id[name].text == text.lower()
        assert by_id[name].duration == pytest.approx(seconds, abs=0.3)
    for clip in found.clips[:5]:
        original, rate = soundfile.read(folder / f"{clip.id}.wav", dtype="int16")
        assert rate == 16_000
        np.testing.assert_array_equal(soundfile.read(clip.audio, dtype="int16")[0], original)
        assert clip.text == (folder / f"{clip.id}.txt").read_text().strip()
