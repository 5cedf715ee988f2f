"""LibriSpeech's reader: archives as they come, against lhotse, and what is not as it should be."""

import io
import tarfile

import lhotse.recipes
import pytest

from hearsay.corpora.librispeech import list_recordings
from hearsay.corpora.speech_source import open_source
from hearsay.demo import write_speech_corpus
from hearsay.errors import InputError

PARTS = {"train-clean-5": 9, "dev-clean": 4}


@pytest.fixture(scope="module")
def release(speak_corpus, tmp_path_factory):
    """The demo's archives, one a part, as OpenSLR has them."""
    folder = tmp_path_factory.mktemp("librispeech") / "archives"
    options = {"format": "librispeech", "language": "en", "voices": [], "seed": 0}
    options["utterances"] = PARTS
    return speak_corpus(write_speech_corpus.STEP, options, folder)


def read(path, parts, counts=()):
    return list_recordings(open_source(path, parts), parts, {"counts": dict(counts)})


def chapter(folder, lines, flacs=("1-2-0000",), part="dev-clean"):
    place = folder / "LibriSpeech" / part / "1" / "2"
    place.mkdir(parents=True)
    (place / "1-2.trans.txt").write_text("\n".join(lines), encoding="utf-8")
    for name in flacs:
        (place / f"{name}.flac").write_bytes(b"fLaC")
    return folder


def test_archives_are_read_as_they_come(release):
    for part, count in PARTS.items():
        listing = read(release, [part], {part: count})
        assert len(listing.recordings) == count
        assert listing.rejected == []
    together = read(release, list(PARTS))
    assert len(together.recordings) == sum(PARTS.values())
    assert len({r.id for r in together.recordings}) == sum(PARTS.values())


def test_lhotse_lists_the_same(release, tmp_path):
    for archive in release.iterdir():
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path, filter="data")
    peer = lhotse.recipes.prepare_librispeech(tmp_path / "LibriSpeech", dataset_parts=list(PARTS))
    for part in PARTS:
        expected = {
            (s.id, s.text, s.speaker, peer[part]["recordings"][s.id].sources[0].source)
            for s in peer[part]["supervisions"]
        }
        for path in (release, tmp_path, tmp_path / "LibriSpeech", tmp_path / "LibriSpeech" / part):
            found = read(path, [part]).recordings
            root = tmp_path if path == release else path
            assert {(r.id, r.text, r.speaker, str(root / r.audio)) for r in found} == expected


def test_texts_are_as_in_the_corpus_and_in_its_order(tmp_path):
    lines = ["1-2-0000 MISTER O'NEILL  SAID", "1-2-0001 YES", ""]
    chapter(tmp_path, lines, ["1-2-0000", "1-2-0001"])
    first, second = read(tmp_path, ["dev-clean"]).recordings
    assert (first.id, first.text, first.speaker) == ("1-2-0000", "MISTER O'NEILL  SAID", "1")
    assert first.audio == "LibriSpeech/dev-clean/1/2/1-2-0000.flac"
    assert second.text == "YES"


def test_an_utterance_without_audio_and_a_line_without_a_name_are_listed(tmp_path):
    chapter(tmp_path, ["1-2-0000 YES", "1-2-0001 NO", "nothing here", "1-2-0002"])
    listing = read(tmp_path, ["dev-clean"])
    assert [r.id for r in listing.recordings] == ["1-2-0000"]
    assert [(r.id, r.reason) for r in listing.rejected] == [
        ("1-2-0001", "missing"),
        ("LibriSpeech/dev-clean/1/2/1-2.trans.txt:3", "bad-row"),
        ("1-2-0002", "missing"),
    ]
    assert listing.rejected[0].detail == "no file LibriSpeech/dev-clean/1/2/1-2-0001.flac"


def test_a_part_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    chapter(tmp_path, ["1-2-0000 YES"])
    message = "no texts of LibriSpeech's part 'dev-other'.*parts there: dev-clean"
    with pytest.raises(InputError, match=message):
        read(tmp_path, ["dev-other"])


def test_another_number_of_utterances_is_refused(tmp_path):
    chapter(tmp_path, ["1-2-0000 YES"])
    with pytest.raises(InputError, match="dev-clean has 1 rows, not 2703 as counts"):
        read(tmp_path, ["dev-clean"], {"dev-clean": 2703})


def test_texts_that_are_not_utf8_are_refused(tmp_path):
    chapter(tmp_path, ["1-2-0000 YES"])
    text = tmp_path / "LibriSpeech/dev-clean/1/2/1-2.trans.txt"
    text.write_bytes(b"1-2-0000 Y\xffS\n")
    with pytest.raises(InputError, match=r"1-2\.trans\.txt, byte 11, is not UTF-8; get the part"):
        read(tmp_path, ["dev-clean"])


def test_a_truncated_archive_is_refused(release, tmp_path):
    data = (release / "dev-clean.tar.gz").read_bytes()
    (tmp_path / "dev-clean.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=r"dev-clean\.tar\.gz"):
        read(tmp_path / "dev-clean.tar.gz", ["dev-clean"])


def test_an_archive_of_something_else_is_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("notes.txt")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"a"))
    with pytest.raises(InputError, match="parts there: none"):
        read(tmp_path / "a.tar", ["dev-clean"])
