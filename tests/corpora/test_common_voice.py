"""Common Voice: every release's columns, no row lost, another release noticed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hearsay.corpora.common_voice import list_recordings
from hearsay.corpora.speech_readers import KINDS, reader_of
from hearsay.corpora.speech_source import open_source
from hearsay.errors import InputError

HEADERS = {
    "v4": "client_id path sentence up_votes down_votes age gender accent",
    "v5": "client_id path sentence up_votes down_votes age gender accent locale segment",
    "v13": "client_id path sentence up_votes down_votes age gender accents variant locale segment",
    "v17": "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender "
    "accents variant locale segment",
}
SENTENCES = [
    "Der erste Satz.",
    'Er sagte: "Na gut.',
    '""Ganz"" verkehrt"',
    "",
    "Ein\u2028Satz\u0085mit Trennern",
    "'Zitat'",
]


def table(header, sentences, clip="common_voice_de_{}.mp3"):
    columns = header.split()
    rows = ["\t".join(columns)]
    for k, sentence in enumerate(sentences):
        known = {"client_id": f"s{k % 2}", "path": clip.format(k), "sentence": sentence}
        rows.append("\t".join(known.get(column, "") for column in columns))
    return "\n".join(rows) + "\n"


def release(folder, files, language="de"):
    for name, content in files.items():
        path = folder / "cv-corpus" / language / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def listed(folder, parts=("train",), language="de", **options):
    return list_recordings(open_source(folder), parts, {"language": language, **options})


def refusal(folder, *parts, **options):
    with pytest.raises(InputError) as caught:
        listed(folder, parts or ("train",), **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("clip", ["common_voice_de_{}.mp3", "common_voice_de_{}"])
def test_every_release_is_read_by_its_header(tmp_path, header, end, clip):
    text = table(header, SENTENCES, clip).replace("\n", end)
    found = listed(release(tmp_path, {"train.tsv": text, "clips/common_voice_de_0.mp3": b"x"}))
    assert [each.text for each in found.recordings] == SENTENCES  # the first row among them
    assert found.recordings[0].id == "common_voice_de_0"
    assert found.recordings[1].speaker == "s1"
    clips = [each.audio for each in found.recordings]
    assert clips == [f"cv-corpus/de/clips/common_voice_de_{k}.mp3" for k in range(6)]
    assert not found.rejected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n\t"), max_size=20)
        .map(lambda text: text.rstrip("\r"))
        .map(str),
        max_size=8,
    ),
    st.sampled_from(sorted(HEADERS)),
)
def test_any_sentence_comes_back(tmp_path, sentences, version):
    release(tmp_path, {"train.tsv": table(HEADERS[version], sentences)})
    assert [each.text for each in listed(tmp_path).recordings] == sentences


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=9)
)
def test_whatever_a_row_holds_it_is_listed_or_rejected(tmp_path, rows):
    header = HEADERS["v4"].replace(" ", "\t").encode()
    release(tmp_path, {"train.tsv": b"\n".join([header, *rows])})
    found = listed(tmp_path)
    count = sum(bool(row.removesuffix(b"\r")) for row in rows)
    assert len(found.recordings) + len(found.rejected) == count


def test_rows_that_are_broken_are_rejected_by_line(tmp_path):
    lines = table(HEADERS["v4"], ["w", "x", "y", "z"]).encode().split(b"\n")
    lines[2] = lines[2].replace(b"\tx", b" x")  # a tab lacks
    lines[3] = lines[3].replace(b"\ty", b"\ty\ty")  # and one is too many
    lines[4] = lines[4].replace(b"\tz", b"\t\xe9")
    found = listed(release(tmp_path, {"train.tsv": b"\xef\xbb\xbf" + b"\n".join(lines)}))
    assert [each.text for each in found.recordings] == ["w"]
    assert [(each.id, each.reason, each.detail) for each in found.rejected] == [
        ("train.tsv, line 3", "bad-row", "7 fields, but the header has 8"),
        ("train.tsv, line 4", "bad-row", "9 fields, but the header has 8"),
        ("train.tsv, line 5", "bad-row", "byte 26 of it, 0xe9, is not UTF-8"),
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("clip_durations.tsv", "clip\tduration[ms]\ncommon_voice_de_1.mp3\t4512\n"),
        ("times.txt", "`cv-corpus-14.0/de/clips/common_voice_de_1.mp3` = 4512\nnonsense\n"),
        ("times.txt", "cv-corpus-14.0/de/clips/common_voice_de_1.mp3 = 4512\r\n"),
        ("times.txt", "common_voice_de_1.mp3\t4512"),
    ],
)
def test_stated_durations(tmp_path, name, content):
    release(tmp_path, {"train.tsv": table(HEADERS["v13"], ["a", "b"]), name: content})
    assert [each.duration for each in listed(tmp_path).recordings] == [None, 4.512]


def test_several_parts_and_the_top_of_an_archive(tmp_path):
    for part in ("train", "dev"):
        (tmp_path / f"{part}.tsv").write_text(table(HEADERS["v4"], [part], f"{part}{{}}.mp3"))
    found = listed(tmp_path, ["train", "dev"])
    assert [each.audio for each in found.recordings] == ["clips/train0.mp3", "clips/dev0.mp3"]


def test_a_release_of_another_language_is_refused(tmp_path):
    """Its letters would be dropped one by one, and its words taken for German."""
    release(tmp_path, {"train.tsv": table(HEADERS["v4"], ["Qué año."])}, "es")
    expected = "holds 'es' (cv-corpus/es/train.tsv), but the corpus's language is 'de'"
    assert expected in refusal(tmp_path)
    assert "holds 'es' (train.tsv)" in refusal(tmp_path / "cv-corpus" / "es")
    assert listed(tmp_path, language="es-mx").recordings  # a name of one's own


def test_of_several_languages_the_one_asked_for(tmp_path):
    for language in ("de", "es"):
        release(tmp_path, {"train.tsv": table(HEADERS["v4"], [language])}, language)
    assert listed(tmp_path, language="es").recordings[0].text == "es"
    message = refusal(tmp_path, language="ru")
    assert "several folders hold train.tsv (cv-corpus/de, cv-corpus/es) and no single" in message


def test_the_counts_of_another_release_are_refused(tmp_path):
    release(tmp_path, {"train.tsv": table(HEADERS["v4"], SENTENCES)})
    assert len(listed(tmp_path, counts={"train": 6, "dev": 1}).recordings) == 6
    message = refusal(tmp_path, counts={"train": 71_841})
    assert "(cv-corpus/de/train.tsv): train has 6 rows, not 71841 as counts.train says" in message
    assert "drawn anew for every release: get the release that is meant, or correct" in message


def test_what_is_no_release_is_refused(tmp_path):
    release(tmp_path, {"train.tsv": table("client_id path text", ["a"])})
    assert "no folder in it holds dev.tsv (tables there: train.tsv)" in refusal(tmp_path, "dev")
    message = refusal(tmp_path)
    assert "its first line has no column 'sentence' (it has: client_id, path, text)" in message
    release(tmp_path, {"train.tsv": table("path sentence sentence", ["a"])})
    assert "its first line names a column twice" in refusal(tmp_path)
    release(tmp_path, {"train.tsv": b""})
    assert "its first line has no column 'path'" in refusal(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_reader(kind):
    assert callable(reader_of(kind))


def test_another_kind_is_refused():
    with pytest.raises(InputError, match="kind 'buckeye': there is no such corpus; there are"):
        reader_of("buckeye")
