"""The demo's speech as releases: layouts, counts, persons, sound, and the same bytes twice."""

import csv
import io
import json
import multiprocessing
import tarfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import lhotse.recipes
import numpy as np
import pytest
import soundfile

from hearsay.demo import write_speech_corpus
from hearsay.demo.speech_releases import COLUMNS, RELEASE, Utterance, write_common_voice
from hearsay.demo.write_speech_corpus import cast, record_parts
from hearsay.errors import InputError
from hearsay.files import sha256_of

GERMAN = {"format": "common_voice", "language": "de", "voices": [], "seed": 0}
GERMAN |= {"utterances": {"train": 26, "dev": 8}}
ENGLISH = {"format": "librispeech", "language": "en", "voices": [], "seed": 0}
ENGLISH |= {"utterances": {"train-clean-5": 26, "dev-clean": 8, "dev-other": 8}}


def write(folder, options):
    write_speech_corpus.main("mine", json.dumps(options), folder, folder.with_suffix(".run.json"))
    return folder


@pytest.fixture(scope="module")
def german(speak_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("de") / "speech"
    return speak_corpus(write_speech_corpus.STEP, GERMAN, folder)


@pytest.fixture(scope="module")
def english(speak_corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("en") / "speech"
    return speak_corpus(write_speech_corpus.STEP, ENGLISH, folder)


def members(archive):
    with tarfile.open(archive) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar}


@pytest.fixture(scope="module")
def release(german):
    assert [path.name for path in german.iterdir()] == [f"{RELEASE}-de.tar.gz"]
    within = f"{RELEASE}/de/"
    found = members(german / f"{RELEASE}-de.tar.gz")
    assert all(name.startswith(within) for name in found)
    return {name.removeprefix(within): data for name, data in found.items()}


def rows(release, table):
    text = release[f"{table}.tsv"].decode()
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_a_release_has_the_tables_of_version_4(release):
    tables = {name for name in release if name.endswith(".tsv")}
    names = ("train", "dev", "test", "validated", "invalidated", "other")
    assert tables == {f"{name}.tsv" for name in names}
    for table in names:
        assert release[f"{table}.tsv"].decode().splitlines()[0].split("\t") == list(COLUMNS)
    counts = {table: len(rows(release, table)) for table in names}
    assert counts == {
        "train": 26, "dev": 8, "test": 0, "validated": 34, "invalidated": 1, "other": 2
    }  # fmt: skip


def test_clips_are_mono_mp3_at_48_khz_and_neither_short_nor_silent(release):
    for row in rows(release, "validated"):
        with soundfile.SoundFile(io.BytesIO(release[f"clips/{row['path']}"])) as file:
            assert (file.samplerate, file.channels, file.format) == (48_000, 1, "MP3")
            assert 1.29 < file.frames / 48_000 < 3.5
            assert 0.1 < np.abs(file.read()).max() <= 1


def test_nobody_is_in_two_parts(release, english):
    train, dev = ({row["client_id"] for row in rows(release, t)} for t in ("train", "dev"))
    assert len(train) == 12
    assert len(dev) == 4
    assert not train & dev
    people = [{n.split("/")[2] for n in members(a) if n.count("/") > 2} for a in english.iterdir()]
    assert sum(map(len, people)) == len(set().union(*people))


def test_rows_are_as_rough_as_real_ones(release):
    sentences = [row["sentence"] for row in rows(release, "train")]
    assert sum(sentence.count('"') == 1 for sentence in sentences) == 1
    assert any(sentence.startswith("„") for sentence in sentences)
    assert all(sentence.strip('"„')[0].isupper() for sentence in sentences)
    assert any(sentence.endswith((".", "?", "!")) for sentence in sentences)
    (bad,) = rows(release, "invalidated")
    assert release[f"clips/{bad['path']}"] == b""
    missing = [r for r in rows(release, "other") if f"clips/{r['path']}" not in release]
    assert len(missing) == 1
    used = {row["path"] for table in ("train", "dev") for row in rows(release, table)}
    assert all(release[f"clips/{path}"] for path in used)


def test_parts_share_no_sentence(release):
    def spoken(row):
        return "".join(c for c in row["sentence"].lower() if c.isalpha() or c == " ")

    train, dev = (set(map(spoken, rows(release, table))) for table in ("train", "dev"))
    assert not train & dev
    assert len(train) == 26


def test_librispeech_is_read_by_lhotse(english, tmp_path):
    for archive in english.iterdir():
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, filter="data")
    parts = lhotse.recipes.prepare_librispeech(
        tmp_path / "LibriSpeech", dataset_parts=list(ENGLISH["utterances"])
    )
    for part, count in ENGLISH["utterances"].items():
        supervisions = parts[part]["supervisions"]
        assert len(supervisions) == len(parts[part]["recordings"]) == count
        for recording in parts[part]["recordings"]:
            assert recording.sampling_rate == 16_000
            assert recording.sources[0].source.endswith(".flac")
        for supervision in supervisions:
            assert supervision.text == supervision.text.upper()
            assert supervision.speaker == supervision.id.split("-")[0]


def test_the_other_part_is_faster_and_noisier(english):
    def parts(name):
        audio = [
            soundfile.read(io.BytesIO(data), dtype="float32")[0]
            for member, data in members(english / f"{name}.tar.gz").items()
            if member.endswith(".flac")
        ]
        noise = np.mean([np.std(a[:1000]) / np.abs(a).max() for a in audio])
        return np.mean([len(a) for a in audio]), noise

    (clean, quiet), (other, noisy) = parts("dev-clean"), parts("dev-other")
    assert other < 0.95 * clean
    assert noisy > 3 * quiet


def test_the_record_tells_what_is_there(german):
    record = json.loads(german.with_suffix(".run.json").read_text())
    assert record["utterances"] == {"dev": 8, "train": 26}
    assert record["speakers"] == {"dev": 4, "train": 12}
    assert 26 * 1.2 < record["seconds"]["train"] < 26 * 3


@pytest.mark.parametrize("options", [GERMAN, ENGLISH], ids=["common_voice", "librispeech"])
def test_equal_settings_give_equal_bytes(speak_corpus, tmp_path, options):
    few = options | {"utterances": dict.fromkeys(options["utterances"], 5)}
    turned = few | {"utterances": dict(reversed(few["utterances"].items()))}
    a, b, c = (
        sha256_of(speak_corpus(write_speech_corpus.STEP, settings, tmp_path / name))
        for name, settings in (("a", few), ("b", turned), ("c", few | {"seed": 1}))
    )
    assert a == b != c


def test_voices_with_variants_are_persons_as_they_are():
    voices = ["en-us+m1", "en-us+f1", "en-029", "en-us+f2", "en-us+m3", "en-us+m4"]
    options = ENGLISH | {"voices": voices, "utterances": {"train": 1, "dev": 1, "test": 1}}
    dealt = {part: [p.speaker.voice for p in people] for part, people in cast(options).items()}
    assert dealt == {"train": voices[:4], "dev": voices[4:5], "test": voices[5:]}


def test_accents_are_spoken_in_the_variants_of_each_part():
    options = ENGLISH | {"voices": ["en-029", "en-gb-scotland"]}
    people = {part: {p.speaker.voice for p in found} for part, found in cast(options).items()}
    assert len(people["train-clean-5"]) == 24
    assert len(people["dev-clean"]) == len(people["dev-other"]) == 8
    assert len(set().union(*people.values())) == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"language": "fr"}, "no grammar for 'fr'"),
        ({"voices": ["de+f1"]}, "1 voices for 2 parts, but nobody may be in two parts"),
        ({"voices": ["de", "de"]}, "'de' is listed twice"),
        ({"voices": ["dd"]}, r"no voice 'dd\+f4'"),
        (
            {"utterances": dict.fromkeys("abcdef", 1)},
            "6 parts like 'a', but only 4 voices for them; ask for fewer parts",
        ),
        ({"format": "timit"}, r"speech_corpora\.mine\.generated\.format: 'timit' is not known"),
    ],
)
def test_settings_that_cannot_be_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"\A[^\n]*{message}[^\n]*\Z"):
        write(tmp_path / "speech", GERMAN | changes)
    assert list(tmp_path.iterdir()) == []


def test_a_row_of_a_person_without_an_accent_is_whole(tmp_path):
    (person, *_) = cast(GERMAN)["dev"]
    utterance = Utterance(person, "hier", np.zeros(3000, np.float32))
    write_common_voice(tmp_path, "de", {"train": [utterance]})
    table = members(tmp_path / f"{RELEASE}-de.tar.gz")[f"{RELEASE}/de/train.tsv"].decode()
    assert Counter(line.count("\t") for line in table.splitlines()) == {len(COLUMNS) - 1: 2}


@pytest.mark.parametrize("language", ["en", "de", "es", "ru"])
def test_no_clip_is_too_short_to_train_on(language):
    options = GERMAN | {"language": language, "utterances": {"train": 60, "dev-other": 60}}
    fresh = multiprocessing.get_context("spawn")  # eSpeak NG's sound depends on what came before
    with ProcessPoolExecutor(1, fresh) as process:
        parts = process.submit(record_parts, options).result()
    assert min(u.seconds for part in parts.values() for u in part) >= 1.29
    assert 1.4 < np.mean([u.seconds for u in parts["train"]]) < 2.5
