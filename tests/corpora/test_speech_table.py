"""Your own recordings in a table: with parts as tables or as a column, whole or in pieces."""

import pytest

from hearsay.corpora.speech_source import open_source
from hearsay.corpora.speech_table import list_recordings
from hearsay.errors import InputError


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def listed(folder, *parts, **options):
    return list_recordings(open_source(folder), parts, {"language": "en", **options})


def refusal(folder, *parts, **options):
    with pytest.raises(InputError) as caught:
        listed(folder, *parts, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_two_columns_are_enough(tmp_path):
    write(tmp_path, {"train.tsv": "sentence\tpath\nHello you\twavs/a.wav\n", "wavs/a.wav": ""})
    (found,) = listed(tmp_path, "train").recordings
    assert (found.id, found.text, found.speaker) == ("wavs/a", "Hello you", "")
    assert (found.audio, found.start, found.end, found.channel) == ("wavs/a.wav", None, None, None)


def test_pieces_speakers_and_splits(tmp_path):
    rows = [
        "path\tsentence\tspeaker\tsplit\tstart\tend\tchannel",
        "talk.flac\tone\tann\ttrain\t0\t1.5\t0",
        "talk.flac\ttwo\tbob\ttrain\t1.5\t3.25\t1",
        "talk.flac\tthree\tann\ttest\t\t\t",
    ]
    write(tmp_path, {"corpus/all.tsv": "\n".join(rows), "corpus/talk.flac": ""})
    found = listed(tmp_path, "train").recordings
    assert [(r.id, r.start, r.end, r.channel, r.speaker) for r in found] == [
        ("talk-0-1.5", 0.0, 1.5, 0, "ann"),
        ("talk-1.5-3.25", 1.5, 3.25, 1, "bob"),
    ]
    assert {r.audio for r in found} == {"corpus/talk.flac"}
    both = listed(tmp_path, "train", "test", counts={"train": 2, "test": 1}).recordings
    assert [r.text for r in both] == ["one", "two", "three"]


def test_audio_lies_beside_the_table_or_is_named_from_the_top(tmp_path):
    content = "id\tpath\tsentence\nx\t./a.wav\ta\ny\taudio/b.wav\tb\nz\tnone.wav\tc\n"
    write(tmp_path, {"lists/dev.tsv": content, "lists/a.wav": "", "audio/b.wav": ""})
    found = listed(tmp_path, "dev").recordings
    assert [r.audio for r in found] == ["lists/a.wav", "audio/b.wav", "lists/none.wav"]
    assert [r.id for r in found] == ["x", "y", "z"]


def test_one_of_several_tables_is_named(tmp_path):
    table = "path\tsentence\tsplit\na.wav\ta\ttrain\n"
    write(tmp_path, {"one.tsv": table, "two.tsv": table.replace("\ta\t", "\tb\t")})
    assert listed(tmp_path, "train", table="two.tsv").recordings[0].text == "b"
    message = refusal(tmp_path, "train")
    assert "no tables are named train.tsv, and there is not one table alone" in message
    assert "(there are: one.tsv, two.tsv); name it in options.table" in message
    assert "no tables are named 'three.tsv'" in refusal(tmp_path, "train", table="three.tsv")


def test_rows_that_are_broken_are_rejected(tmp_path):
    rows = ["path\tsentence\tstart", "a.wav\ta\tsoon", "b.wav\tb\t-1", "c.wav\tc", "d.wav\td\tnan"]
    write(tmp_path, {"train.tsv": "\n".join([*rows, "e.wav\te\t0.5"])})
    found = listed(tmp_path, "train")
    assert [r.text for r in found.recordings] == ["e"]
    assert [(r.reason, r.detail.partition(": ")[2]) for r in found.rejected] == [
        ("bad-row", "could not convert string to float: 'soon'"),
        ("bad-row", "'-1' is no time in seconds"),
        ("bad-row", ""),
        ("bad-row", "'nan' is no time in seconds"),
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"train.tsv": "path\ttext\n"}, "has no column 'sentence' (it has: path, text)"),
        ({"all.tsv": "path\tsentence\n"}, "has no column 'split'"),
        ({"all.tsv": "path\tsentence\tsplit\na\tb\tdev\n"}, "no rows for 'train'; it has the spl"),
        ({"train.tsv": "path\tsentence\n"}, "no rows for 'train'; it has no rows; correct parts"),
        ({"train.csv": "path,sentence\n"}, "(there are: none); name it in options.table"),
        ({"a/train.tsv": "", "b/train.tsv": ""}, "2 tables are named train.tsv"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, files, expected):
    assert expected in refusal(write(tmp_path, files), "train")


def test_another_number_of_rows_is_refused(tmp_path):
    write(tmp_path, {"train.tsv": "path\tsentence\na.wav\ta\n"})
    message = refusal(tmp_path, "train", counts={"train": 2})
    assert "train has 1 rows, not 2 as counts.train says" in message
