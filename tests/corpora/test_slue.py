"""SLUE-VoxCeleb: sentiments and marks, releases and their numbers, raw and cut audio."""

import io
import json

import numpy as np
import pytest
import soundfile

from hearsay.corpora import prepare_slue
from hearsay.corpora.manifest import read_audio, read_manifest
from hearsay.corpora.slue import (
    LABELS,
    RELEASES,
    list_labelled,
    list_recordings,
    read_labels,
)
from hearsay.corpora.speech_source import open_source
from hearsay.errors import InputError

HEADER = "id\tnormalized_text\tsentiment\tstart_second\tend_second\tspeaker_id"


def rows_of(*sentiments):
    return [f"id1_{k}\tit was {k} o'clock\t{s}\t0.5\t1.25\tid1" for k, s in enumerate(sentiments)]


def table(folder, part, rows, header=HEADER):
    folder.mkdir(exist_ok=True)
    (folder / f"slue-voxceleb_{part}.tsv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def audio(folder, part, count, seconds=2.0, folder_suffix="_raw"):
    within = folder / f"{part}{folder_suffix}"
    within.mkdir()
    for k in range(count):
        samples = np.random.default_rng(k).normal(scale=0.1, size=round(16_000 * seconds))
        stream = io.BytesIO()
        soundfile.write(stream, samples, 16_000, format="FLAC")
        (within / f"id1_{k}.flac").write_bytes(stream.getvalue())
    return folder


def listed(folder, *parts, **options):
    return list_labelled(open_source(folder), parts or ("dev",), options)


def test_marks_that_are_no_sentiment_are_left_out_and_listed(tmp_path):
    table(tmp_path, "dev", rows_of("Positive", "<mixed>", "Neutral", "Disagreement", "Negative"))
    labelled, rejected = listed(tmp_path)
    assert [each.sentiment for each in labelled] == ["Positive", "Neutral", "Negative"]
    assert [(each.id, each.reason) for each in rejected] == [
        ("id1_1", "mixed"), ("id1_3", "disagreement")
    ]  # fmt: skip
    found = list_recordings(open_source(tmp_path), ["dev"], {})
    assert [r.id for r in found.recordings] == ["id1_0", "id1_2", "id1_4"]
    assert found.rejected == rejected
    first = found.recordings[0]
    assert (first.text, first.speaker) == ("it was 0 o'clock", "id1")
    assert (first.audio, first.start, first.end) == ("dev_raw/id1_0.flac", 0.5, 1.25)


def release_rows(release, part):
    counts = dict(RELEASES[release][part])
    total = counts.pop("rows")
    sentiments = [s for s, n in counts.items() for _ in range(n)]
    return rows_of(*sentiments, *["Neutral"] * (total - len(sentiments)))


def test_the_releases_have_the_numbers_of_the_issue_tracker(tmp_path):
    for part, kept in (("fine-tune", 5729), ("dev", 1437)):
        table(tmp_path, part, release_rows("v0.2", part))
        labelled, rejected = listed(tmp_path, part, release="v0.2")
        assert len(labelled) == kept
        assert len(labelled) + len(rejected) == RELEASES["v0.2"][part]["rows"]
    assert RELEASES["v0.1"]["dev"]["rows"] == 955
    assert RELEASES["v0.1"]["test"]["rows"] == 4052
    assert RELEASES["v0.2"]["test"]["rows"] == 3553


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("part", ["fine-tune", "dev", "test"])
def test_one_row_less_is_another_release(tmp_path, release, part):
    rows = release_rows(release, part)
    table(tmp_path, part, rows)
    assert listed(tmp_path, part, release=release)
    table(tmp_path, part, rows[:-1])
    with pytest.raises(InputError, match=rf"{part} has {len(rows) - 1} rows, but {release} has"):
        listed(tmp_path, part, release=release)


def test_another_share_of_sentiments_is_another_release(tmp_path):
    rows = release_rows("v0.2", "dev")
    table(tmp_path, "dev", [row.replace("Positive", "Neutral") for row in rows])
    with pytest.raises(InputError, match=r"dev has 1386 of Neutral, but v0.2 has 1124; get that"):
        listed(tmp_path, release="v0.2")


def test_counts_of_the_settings_are_checked(tmp_path):
    table(tmp_path, "dev", rows_of("Neutral"))
    with pytest.raises(InputError, match=r"dev has 1 rows, not 1454 as counts.dev says"):
        listed(tmp_path, counts={"dev": 1454})


def test_rows_that_are_broken_are_listed(tmp_path):
    rows = rows_of("Neutral", "Neutral", "Neutral", "Neutral")
    rows[1] = rows[1].replace("0.5", "1.5")
    rows[2] = rows[2].replace("1.25", "")
    rows[3] = rows[3].replace("\t", " ", 1)
    labelled, rejected = listed(table(tmp_path, "dev", rows))
    assert len(labelled) == 1
    assert [(each.id, each.reason) for each in rejected] == [
        ("id1_1", "bad-row"),
        ("id1_2", "bad-row"),
        ("slue-voxceleb_dev.tsv, line 5", "bad-row"),
    ]
    assert "line 3: '1.5' to '1.25' is no stretch of seconds" in rejected[0].detail


@pytest.mark.parametrize("sentiment", ["Angry", "", "neutral", "mixed"])
def test_a_label_outside_the_set_is_refused(tmp_path, sentiment):
    table(tmp_path, "dev", rows_of("Neutral", sentiment))
    message = rf"line 3\): the sentiment of 'id1_1' is '{sentiment}', none of Negative, Neutral, "
    with pytest.raises(InputError, match=message):
        listed(tmp_path)


def test_what_is_not_there_is_refused(tmp_path):
    table(tmp_path, "dev", rows_of("Neutral"))
    message = r"holds no slue-voxceleb_test\.tsv \(tables there: slue-voxceleb_dev\.tsv\); name"
    with pytest.raises(InputError, match=message):
        listed(tmp_path, "test")
    table(tmp_path, "test_blind", ["a\tb\t1\t2"], "id\tnormalized_text\tstart_second\tend_second")
    with pytest.raises(InputError, match=r"test_blind\.tsv\): its first line has no column"):
        listed(tmp_path, "test")
    with pytest.raises(InputError, match=r"'v3' is none of v0.1, v0.2"):
        listed(tmp_path, release="v3")
    table(tmp_path, "dev2", rows_of("Neutral"))
    with pytest.raises(InputError, match=r"v0.2 has no part 'dev2'; it has fine-tune, dev, test"):
        listed(tmp_path, "dev2", release="v0.2")
    table(tmp_path / "again", "dev", rows_of("Neutral"))
    with pytest.raises(InputError, match=r"2 tables are named slue-voxceleb_dev.tsv"):
        listed(tmp_path)


def step(source, out, **changes):
    names = {"manifest": "dev.jsonl", "audio": "dev", "labels": "dev.labels.csv"}
    names |= {"rejected": "dev.rejected.csv", "removed": "dev.removed.csv", "record": "dev.json"}
    paths = {name: out / file for name, file in names.items()}
    settings = json.dumps({"parts": ["dev"], **changes})
    prepare_slue.main("slue", "dev", source, settings, 1, **paths)
    return paths


def test_from_tables_to_clips_and_labels(tmp_path):
    source = table(tmp_path / "in", "dev", rows_of("Positive", "<mixed>", "Neutral", "Negative"))
    audio(source, "dev", 3)  # of the last row it is missing
    paths = step(source, tmp_path / "out")
    clips = read_manifest(paths["manifest"])
    assert [clip.id for clip in clips] == ["id1_0", "id1_2"]
    assert clips[0].duration == 0.75
    whole, _ = soundfile.read(source / "dev_raw" / "id1_0.flac", dtype="float32")
    np.testing.assert_allclose(read_audio(clips[0]), whole[8000:20_000], atol=1e-4)
    assert read_labels(paths["labels"]) == {"id1_0": 2, "id1_2": 1}
    lines = paths["labels"].read_text().splitlines()
    assert lines[:2] == ["id,label,sentiment,speaker", "id1_0,2,Positive,id1"]
    rejected = paths["rejected"].read_text()
    assert "id1_1,mixed,its sentiment is <mixed>\n" in rejected
    assert "id1_3,missing,there is no dev_raw/id1_3.flac\n" in rejected
    counts = json.loads(paths["record"].read_text())["counts"]
    assert counts["rejected"] == {"missing": 1, "mixed": 1}
    assert counts["sentiments"] == {"Negative": 0, "Neutral": 1, "Positive": 1}
    assert (counts["total"], counts["kept"]) == (4, 2)


def test_audio_that_is_cut_already_is_taken_whole(tmp_path):
    source = table(tmp_path / "in", "dev", rows_of("Positive"))
    audio(source, "dev", 1, seconds=0.75, folder_suffix="")
    (clip,) = read_manifest(step(source, tmp_path / "out")["manifest"])
    assert clip.duration == 0.75


def test_the_step_says_where_a_label_is_wrong(tmp_path):
    source = audio(table(tmp_path / "in", "dev", rows_of("Angry")), "dev", 1)
    with pytest.raises(InputError, match=r"\Aslue: dev: [^\n]*line 2\): the sentiment of 'id1_0'"):
        step(source, tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,label\n", "its first line is 'id,label', not 'id,label,sentiment,speaker'"),
        (
            "a,3,Angry,s\n",
            "line 2: 'a,3,Angry,s' has none of the labels 0 Negative, 1 Neutral",
        ),
        ("a,1,Positive,s\n", "line 2: 'a,1,Positive,s' has none of the labels"),
        ("a,1,Neutral,s\na,1,Neutral,s\n", "line 3: the id 'a' came before"),
    ],
)
def test_broken_labels_are_refused(tmp_path, content, message):
    path = tmp_path / "labels.csv"
    header = "" if content.startswith("id") else "id,label,sentiment,speaker\n"
    path.write_text(header + content)
    with pytest.raises(InputError, match=message):
        read_labels(path)
    path.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(path)
    assert LABELS.index("Neutral") == 1
