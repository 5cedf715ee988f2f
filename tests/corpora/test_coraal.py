"""CORAAL's reader: rows to utterances, marks, lengths, speakers of the two parts."""

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearsay.corpora import coraal
from hearsay.corpora.coraal import Row, list_recordings
from hearsay.corpora.speech_source import open_source
from hearsay.errors import InputError

HEADER = "Line\tSpkr\tStTime\tContent\tEnTime\n"
ONE = {"components": ["DCA"]}


def table(rows):
    return HEADER + "".join(
        f"{k}\t{speaker}\t{start}\t{content}\t{end}\n"
        for k, (speaker, start, content, end) in enumerate(rows, start=1)
    )


def interview(folder, rows, name="DCA_se1_ag1_f_01_1", audio=True):
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.txt").write_text(rows if isinstance(rows, str) else table(rows))
    if audio:
        (folder / f"{name}.wav").write_bytes(b"RIFF")
    return folder


def read(folder, parts=("train", "dev"), **options):
    return list_recordings(open_source(folder), list(parts), ONE | options)


SHE, ASKS = "DCA_se1_ag1_f_01", "DCA_int_01"


def test_rows_of_a_speaker_are_put_together_and_questions_left_out(tmp_path):
    rows = [
        (ASKS, 0.0, "Where were you born?", 1.5),
        (SHE, 1.6, "Right here.", 2.4),
        (SHE, 2.4, "(pause 0.52)", 2.92),
        (SHE, 2.92, "In the <laugh> [District.]", 4.1),
        (ASKS, 4.2, "[Mm.]", 4.4),
        (SHE, 4.5, "And /my/ mother-- well,", 6.0),
        (SHE, 6.1, "she too.", 7.0),
    ]
    listing = read(interview(tmp_path, rows))
    first, second = listing.recordings
    assert (first.id, first.speaker, first.audio) == (
        "DCA_se1_ag1_f_01_1-00002", SHE, "DCA_se1_ag1_f_01_1.wav"
    )  # fmt: skip
    assert (first.start, first.end) == (1.6, 4.1)
    assert first.text == "Right here. In the District."
    assert second.text == "And my mother-- well, she too."
    assert (second.start, second.end) == (4.5, 7.0)
    assert listing.rejected == []


def test_utterances_end_before_20_seconds_but_a_long_row_is_kept_to_30(tmp_path):
    rows = [(SHE, k * 6.0, f"word{k}", k * 6.0 + 5.9) for k in range(6)]
    rows += [(SHE, 50.0, "a long story", 75.0), (SHE, 80.0, "too long a story", 111.0)]
    listing = read(interview(tmp_path, rows))
    texts = [r.text for r in listing.recordings]
    assert texts == ["word0 word1 word2", "word3 word4 word5", "a long story"]
    assert [(r.reason, r.detail) for r in listing.rejected] == [("too-long", "31.00 s")]


def test_short_redacted_and_unintelligible_rows_are_listed(tmp_path):
    rows = [
        (SHE, 0.0, "I was seven.", 3.0),
        (SHE, 3.0, "My name is /RD-NAME-2/.", 5.5),
        (SHE, 5.5, "So I went home.", 8.0),
        (SHE, 8.0, "And then /unintelligible/", 11.0),
        (SHE, 11.0, "/?/ he said", 14.0),
        (ASKS, 14.0, "Oh.", 14.5),
        (SHE, 15.0, "Yes.", 15.4),
    ]
    listing = read(interview(tmp_path, rows))
    assert [r.text for r in listing.recordings] == ["I was seven.", "So I went home."]
    assert [r.reason for r in listing.rejected] == [
        "redacted", "unintelligible", "unintelligible", "too-short"
    ]  # fmt: skip
    assert listing.rejected[0].detail == "My name is /RD-NAME-2/."


def test_named_speakers_validate(tmp_path):
    two = [("DCA_se1_ag2_m_02", 0.0, "That is what I know.", 3.0)]
    interview(tmp_path, [(SHE, 0.0, "I was born here.", 3.0)])
    interview(tmp_path, two, "DCA_se1_ag2_m_02_1")
    dev = read(tmp_path, ["dev"], validation_speakers=["DCA_se1_ag2_m_02"]).recordings
    train = read(tmp_path, ["train"], validation_speakers=["DCA_se1_ag2_m_02"]).recordings
    assert [r.speaker for r in dev] == ["DCA_se1_ag2_m_02"]
    assert [r.speaker for r in train] == [SHE]
    with pytest.raises(InputError, match=r"do not speak in it: DCA_no; names are such as DCA_se1"):
        read(tmp_path, validation_speakers=["DCA_no", SHE])


def test_drawn_speakers_are_of_all_components_and_genders(tmp_path):
    for component in coraal.COMPONENTS:
        for gender in "fm":
            for number in range(5):
                who = f"{component}_se{number % 3}_ag{number % 4 + 1}_{gender}_{number:02d}"
                interview(tmp_path, [(who, 0.0, "some words", 3.0)], f"{who}_1")
    options = {"components": []}
    dev, train = (read(tmp_path, [part], **options).recordings for part in ("dev", "train"))
    found = {r.speaker for r in dev}
    assert len(found) == coraal.VALIDATION_SPEAKERS
    assert {(s[:3], s.split("_")[3]) for s in found} == {
        (c, g) for c in coraal.COMPONENTS for g in "fm"
    }
    assert not found & {r.speaker for r in train}
    assert len(dev) + len(train) == 40
    assert {r.speaker for r in read(tmp_path, ["dev"], **options, seed=1).recordings} != found


def test_archives_are_read_as_they_come(tmp_path):
    source = interview(tmp_path / "files", [(SHE, 0.0, "I was born here.", 3.0)])
    archives = tmp_path / "archives"
    archives.mkdir()
    for kind, suffix in (("textfiles", "txt"), ("audio_part01", "wav")):
        with tarfile.open(archives / f"DCA_{kind}_2018.10.06.tar.gz", "w:gz") as tar:
            tar.add(source / f"DCA_se1_ag1_f_01_1.{suffix}", f"./DCA_se1_ag1_f_01_1.{suffix}")
    (archives / "DCA_metadata_2018.10.06.txt").write_text("CORAAL.Sub\tCORAAL.File\n")
    (recording,) = read(archives).recordings
    assert recording.text == "I was born here."


def test_other_components_are_left_out_and_missing_ones_refused(tmp_path):
    interview(tmp_path, [(SHE, 0.0, "I was born here.", 3.0)])
    other = [("ATL_se0_ag1_f_01", 0.0, "not of the paper", 3.0)]
    interview(tmp_path, other, "ATL_se0_ag1_f_01_1")
    assert len(read(tmp_path).recordings) == 1
    message = (
        r"no interviews of CORAAL's component PRV .*put PRV_textfiles_\*\.tar\.gz and PRV_audio"
    )
    with pytest.raises(InputError, match=message):
        read(tmp_path, components=["DCA", "PRV"])


def test_an_interview_without_audio_is_listed(tmp_path):
    rows = [(SHE, 0.0, "I was born here.", 3.0)]
    listing = read(interview(tmp_path, rows, audio=False))
    assert [(r.reason, r.detail) for r in listing.rejected] == [
        ("missing", "no file DCA_se1_ag1_f_01_1.wav")
    ]


def test_broken_rows_are_listed_and_the_others_kept(tmp_path):
    text = table([(SHE, 0.0, 'He said "no.', 3.0)]) + "2\tnonsense\n3\tX\t5.0\tbackwards\t4.0\n\n"
    listing = read(interview(tmp_path, text))
    assert [r.text for r in listing.recordings] == ['He said "no.']
    assert [r.id for r in listing.rejected] == ["DCA_se1_ag1_f_01_1:2", "DCA_se1_ag1_f_01_1:3"]
    assert {r.reason for r in listing.rejected} == {"bad-row"}


def test_a_table_of_other_columns_is_refused(tmp_path):
    interview(tmp_path, "tier\tstart\tend\ttext\n")
    with pytest.raises(InputError, match=r"DCA_se1_ag1_f_01_1\.txt has no column Line \(columns"):
        read(tmp_path)


def test_other_parts_and_counts_are_refused(tmp_path):
    interview(tmp_path, [(SHE, 0.0, "I was born here.", 3.0)])
    with pytest.raises(InputError, match="coraal: no part 'test'; there are train and dev"):
        read(tmp_path, ["test"])
    with pytest.raises(InputError, match="train has 1 rows, not 5 as"):
        read(tmp_path, ["train"], counts={"train": 5})


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["A", "B", "X_int_01"]),
        st.floats(0, 0.5),
        st.floats(0.1, 15),
        st.sampled_from(["yes", "(pause 1.0)", "/RD-NAME/", "[no]", "<cough>", "/unintelligible/"]),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(ROWS)
def test_no_usable_row_is_lost_or_used_twice(drawn):
    rows, now = [], 0.0
    for line, (speaker, gap, length, content) in enumerate(drawn, start=1):
        rows.append(Row(line, speaker, now + gap, now + gap + length, content))
        now += gap + length
    utterances = list(coraal._utterances(rows))
    used = [row.line for utterance in utterances for row in utterance]
    expected = [row.line for row in rows if not row.pause and not row.interviewer]
    assert sorted(used) == expected
    for utterance in utterances:
        assert len({row.speaker for row in utterance}) == 1
        span = utterance[-1].end - utterance[0].start
        assert len(utterance) == 1 or span <= coraal.TOGETHER
        lines = range(utterance[0].line, utterance[-1].line)
        assert not [r for r in rows if r.line in lines and r.speaker != utterance[0].speaker
                    and not r.pause]  # fmt: skip
