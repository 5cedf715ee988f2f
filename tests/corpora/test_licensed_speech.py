"""WSJ, Fisher, Switchboard and the NSC in miniature layouts of their media; lhotse as a peer."""

import re
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from lhotse.recipes.fisher_english import create_supervision
from lhotse.recipes.switchboard import make_segments

from hearsay.corpora import fisher, nsc, switchboard, wsj
from hearsay.corpora.alphabets import alphabet_of, normalise
from hearsay.corpora.speech_source import open_source
from hearsay.errors import InputError

SHORTEN = b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n".ljust(1024)


def sphere(path, channels=1, seconds=3.0):
    """A SPHERE file as LDC has them when they are not compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).normal(0, 0.1, (int(8000 * seconds), channels))
    soundfile.write(path, noise, 8000, format="NIST", subtype="ULAW" if channels > 1 else "PCM_16")


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def read(reader, folder, parts, **options):
    return reader.list_recordings(open_source(folder), parts, options)


def refusal(reader, folder, parts, **options):
    with pytest.raises(InputError, match=r"\A[^\n]+\Z") as caught:
        read(reader, folder, parts, **options)
    return str(caught.value)


# --- WSJ -----------------------------------------------------------------------------------------


@pytest.fixture
def wall_street(tmp_path):
    sphere(tmp_path / "11-1.1/wsj0/si_tr_s/011/011c0201.wv1")
    sphere(tmp_path / "11-1.1/wsj0/si_tr_s/011/011c0201.wv2")
    sphere(tmp_path / "11-1.1/wsj0/si_tr_s/011/011c0202.wv1")
    sphere(tmp_path / "13-16.1/wsj1/si_tr_s/460/460C0301.WV1")
    sphere(tmp_path / "13-16.1/wsj1/si_dt_20/4k0/4k0c0301.wv1")
    text(
        tmp_path / "11-1.1/wsj0/transcrp/dots/si_tr_s/011/011c0200.dot",
        "The sale of <the> *hotels* is part of Holiday's ~ [lip_smack] strategy \\. (011c0201)\n"
        "It [<door_slam] fell ,COMMA [door_slam>] five %PERCENT . (011c0202)\n",
    )
    text(tmp_path / "13-16.1/wsj1/trans/wsj1/si_tr_s/460/460c0300.dot", "Yes (460C0301)\n")
    text(tmp_path / "13-16.1/wsj1/trans/wsj1/si_dt_20/4k0/4k0c0300.dot", "No -- no (4k0c0301)\n")
    return tmp_path


def test_wsj_is_read_by_folders_of_its_media(wall_street):
    listing = read(wsj, wall_street, ["si_tr_s"])
    assert [(r.id, r.speaker, r.text) for r in listing.recordings] == [
        ("011c0201", "011", "The sale of the hotels is part of Holiday's strategy"),
        ("011c0202", "011", "It fell ,COMMA five PERCENT"),
        ("460c0301", "460", "Yes"),
    ]
    assert listing.recordings[0].audio == "11-1.1/wsj0/si_tr_s/011/011c0201.wv1"
    assert listing.rejected == []
    assert [r.id for r in read(wsj, wall_street, ["wsj1/si_tr_s"]).recordings] == ["460c0301"]
    assert [r.text for r in read(wsj, wall_street, ["si_dt_20"]).recordings] == ["No no"]
    audio = wall_street / listing.recordings[0].audio
    assert soundfile.info(audio).frames == 24_000  # libsndfile reads SPHERE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("REVO(LUTIONARY)- change", "REVO- change"), ("the -(REVO)LUTION", "the -LUTION"),
        ("five %PERCENT of A &AMPERSAND P", "five PERCENT of A AMPERSAND P"),
        ("(LEFT-PAREN it )RIGHT-PAREN", "(LEFT-PAREN it )RIGHT-PAREN"),
    ],
)  # fmt: skip
def test_marks_of_wsj(text, said):
    """What of a word was not said goes, and a sign beside its own name says nothing."""
    assert wsj.clean(text) == said
    assert not normalise(said, alphabet_of("en"), "drop-utterance").removed


def test_compressed_sphere_is_rejected_by_name_until_a_copy_lies_beside(wall_street):
    packed = wall_street / "11-1.1/wsj0/si_tr_s/011/011c0202.wv1"
    packed.write_bytes(SHORTEN)
    (rejected,) = read(wsj, wall_street, ["wsj0/si_tr_s"]).rejected
    assert (rejected.id, rejected.reason) == ("011c0202", "shorten-compressed")
    assert rejected.detail.endswith("run: sph2pipe -f wav 011c0202.wv1 011c0202.wav")
    soundfile.write(packed.with_suffix(".wav"), np.zeros(100), 16_000)
    listing = read(wsj, wall_street, ["wsj0/si_tr_s"])
    assert listing.rejected == []
    assert listing.recordings[1].audio.endswith("011c0202.wav")


def test_what_wsj_lacks_is_named(wall_street, tmp_path):
    sphere(wall_street / "11-1.1/wsj0/si_tr_s/012/012c0201.wv1")
    (rejected,) = read(wsj, wall_street, ["si_tr_s"]).rejected
    assert (rejected.id, rejected.reason) == ("012c0201", "missing-text")
    assert "part 'si_et_20' (a folder si_et_20/ with *.wv1)" in refusal(
        wsj, wall_street, ["si_et_20"]
    )
    assert "si_dt_20 has 1 rows, not 503" in refusal(
        wsj, wall_street, ["si_dt_20"], counts={"si_dt_20": 503}
    )
    for dot in wall_street.rglob("*.dot"):
        dot.unlink()
    assert "no transcripts of WSJ (transcrp/dots/" in refusal(wsj, wall_street, ["si_tr_s"])


# --- Fisher --------------------------------------------------------------------------------------

TABLE = (
    "CALL_ID,DATE_TIME,TOPICID,SIG_GRADE,CNV_GRADE,APIN,ASX.DL,APHNUM,APHSET,APHTYP,BPIN,BSX.DL\n"
)


@pytest.fixture
def calls(tmp_path):
    for number, disc in (("00001", "fe_03_p1_sph1"), ("05851", "fe_03_p2_sph1")):
        corpus = "LDC2004S13" if number < "05851" else "LDC2005S13"
        sphere(tmp_path / corpus / disc / f"audio/{number[:3]}/fe_03_{number}.sph", channels=2)
    text(
        tmp_path / "LDC2004T19/data/trans/000/fe_03_00001.txt",
        "# fe_03_00001.sph\n# Transcribed by WordWave\n\n"
        "0.10 1.50 A: and i generally prefer ((eating)) at home\n\n"
        "1.60 2.00 B: [laughter] mhm\n"
        "2.00 2.90 A: (( ))\n",
    )
    text(
        tmp_path / "LDC2005T19/data/trans/058/fe_03_05851.txt",
        "# fe_03_05851.sph\n# Transcribed by WordWave\n\n0.50 2.50 B: hello\n",
    )
    text(
        tmp_path / "LDC2004T19/doc/fe_03_p1_calldata.tbl",
        f"{TABLE}00001,20021212,ENG01,4,4,2602,f.a,x,1,1,1790,f.a\n",
    )
    return tmp_path


def test_fisher_is_read_by_calls_and_sides(calls):
    listing = read(fisher, calls, ["all"])
    found = [(r.speaker, r.channel, r.start, r.end, r.text) for r in listing.recordings]
    assert found == [
        ("2602", 0, 0.1, 1.5, "and i generally prefer eating at home"),
        ("1790", 1, 1.6, 2.0, "mhm"),
        ("fe_03_05851B", 1, 0.5, 2.5, "hello"),
    ]
    assert [(r.id, r.reason) for r in listing.rejected] == [("fe_03_00001-00007", "unintelligible")]
    assert len(read(fisher, calls, ["part1"]).recordings) == 2
    assert [r.text for r in read(fisher, calls, ["part2"]).recordings] == ["hello"]


def test_lhotse_reads_the_same_of_a_call(calls):
    sessions = {"00001": {"A": "2602", "B": "1790"}}
    peer = create_supervision((sessions, calls / "LDC2004T19/data/trans/000/fe_03_00001.txt"))
    ours = read(fisher, calls, ["part1"]).recordings
    assert [(s.speaker, s.channel, s.start, round(s.end, 3)) for s in peer[:2]] == [
        (r.speaker, r.channel, r.start, r.end) for r in ours
    ]
    assert [re.sub(r"[()]|\[.*\]", "", s.text).split() for s in peer[:2]] == [
        r.text.split() for r in ours
    ]


def test_faults_of_fisher_are_listed(calls):
    sph = next(calls.rglob("fe_03_05851.sph"))
    sph.write_bytes(SHORTEN)
    transcript = next(calls.rglob("fe_03_00001.txt"))
    text(transcript, "0.1 1.5 A: yes\n3.0 2.0 B: backwards\nA: no times\n")
    text(transcript.with_name("fe_03_00002.txt"), "0.1 1.5 A: yes\n")
    listing = read(fisher, calls, ["all"])
    assert [r.text for r in listing.recordings] == ["yes"]
    assert [(r.id, r.reason) for r in listing.rejected] == [
        ("fe_03_00001-00002", "bad-row"),
        ("fe_03_00001-00003", "bad-row"),
        ("fe_03_00002", "missing"),
        ("fe_03_05851", "shorten-compressed"),
    ]
    assert "run: sph2pipe -f wav fe_03_05851.sph" in listing.rejected[-1].detail


def test_the_missing_digit_of_one_call_is_put_back(calls):
    sphere(calls / "more/fe_03_11487.sph", channels=2)
    text(calls / "more/fe_03_11487.txt", "31.09 234.06 A: so\n")
    listing = read(fisher, calls, ["part2"])
    assert [r.start for r in listing.recordings] == [0.5, 231.09]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("txt", "no texts (fe_03_*.txt) of Fisher; copy LDC2004T19 and LDC2005T19 there"),
        ("sph", "no audio (fe_03_*.sph) of Fisher; copy LDC2004S13, LDC2005S13 there"),
    ],
)
def test_what_fisher_lacks_is_named(calls, kind, message):
    for file in calls.rglob(f"*.{kind}"):
        file.unlink()
    assert message in refusal(fisher, calls, ["all"])


# --- Switchboard ---------------------------------------------------------------------------------

SIDE_A = (
    "sw2001A-ms98-a-0001 0.000000 0.977625 [silence]\n"
    "sw2001A-ms98-a-0002 0.977625 1.561375 hi um yeah\n"
    "sw2001A-ms98-a-0003 1.561375 2.400000 [laughter-yes] [noise] i th[ink]- am_1 [splace/space]\n"
    "sw2001A-ms98-a-0004 2.400000 2.900000 {alrighty} <b_aside> [vocalized-noise] uh-huh\n"
)


@pytest.fixture
def exchange(tmp_path):
    sphere(tmp_path / "LDC97S62/swb1_d1/data/sw02001.sph", channels=2)
    texts = tmp_path / "swb_ms98_transcriptions/20/2001"
    text(texts / "sw2001A-ms98-a-trans.text", SIDE_A)
    text(texts / "sw2001B-ms98-a-trans.text", "sw2001B-ms98-a-0001 0.100000 1.000000 right\n")
    text(texts / "sw2001A-ms98-a-word.text", "sw2001A-ms98-a-0002 0.97 1.1 hi\n")
    return tmp_path


def test_switchboard_is_read_by_sides(exchange):
    listing = read(switchboard, exchange, ["all"], counts={"all": 4})
    assert [(r.speaker, r.channel, r.text) for r in listing.recordings] == [
        ("sw2001A", 0, "hi um yeah"),
        ("sw2001A", 0, "yes i th am space"),
        ("sw2001A", 0, "alrighty uh-huh"),
        ("sw2001B", 1, "right"),
    ]
    assert listing.rejected == []


def test_lhotse_lists_the_same_utterances(exchange):
    """The whole of its recipe would need the program sph2pipe."""
    expected = set()
    for channel, side in enumerate("AB"):
        (path,) = exchange.rglob(f"sw2001{side}-ms98-a-trans.text")
        peer = make_segments(path, SimpleNamespace(id="sw02001"), channel)
        expected |= {(s.id, s.start, round(s.end, 6), s.channel) for s in peer}
    found = read(switchboard, exchange, ["all"]).recordings
    assert {(r.id, r.start, r.end, r.channel) for r in found} == expected


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("[laughter]", ""), ("[noise]", ""), ("[vocalized-noise]", ""), ("<e_aside>", ""),
        ("[laughter-i'm]", "i'm"), ("[hunderd/hundred]", "hundred"), ("-[th]at", "at"),
        ("{coined}", "coined"), ("them_1", "them"), ("uh-huh", "uh-huh"), ("i[t]-", "i"),
    ],
)  # fmt: skip
def test_marks_of_the_transcribers(word, said):
    assert switchboard.clean(word) == said


def test_faults_of_switchboard_are_listed(exchange):
    sphere(exchange / "LDC97S62/swb1_d1/data/sw02002.sph", channels=2)
    (exchange / "LDC97S62/swb1_d1/data/sw02003.sph").write_bytes(SHORTEN)
    texts = exchange / "swb_ms98_transcriptions/20"
    text(texts / "2002/sw2002A-ms98-a-trans.text", "sw2002A-ms98-a-0001 zero 1.0 hi\n\n")
    text(texts / "2004/sw2004A-ms98-a-trans.text", "sw2004A-ms98-a-0001 0.0 1.0 hi\n")
    listing = read(switchboard, exchange, ["all"])
    assert len(listing.recordings) == 4
    assert [(r.id, r.reason) for r in listing.rejected] == [
        ("sw2002A:1", "bad-row"),
        ("sw2002B", "missing-text"),
        ("sw2003", "shorten-compressed"),
        ("sw2004", "missing"),
    ]


@pytest.mark.parametrize(
    ("suffix", "message"),
    [
        ("sph", "no audio (sw0*.sph) of Switchboard; copy LDC97S62 there"),
        ("text", "no transcripts (sw*-ms98-a-trans.text) of Switchboard; copy swb_ms98"),
    ],
)
def test_what_switchboard_lacks_is_named(exchange, suffix, message):
    for file in exchange.rglob(f"*.{suffix}"):
        file.unlink()
    assert message in refusal(switchboard, exchange, ["all"])


# --- the NSC -------------------------------------------------------------------------------------


def speak(folder, part, speaker, phrases, channel=0):
    data = folder / "IMDA - National Speech Corpus" / f"PART{part}/DATA/CHANNEL{channel}"
    lines = ""
    for number, phrase in enumerate(phrases, start=1):
        name = f"{channel}{speaker}0{number:03d}"
        lines += f"{name}\t{phrase}\n\t{phrase.lower().rstrip('.')}\n"
        wav = data / f"WAVE/SPEAKER{speaker}/SESSION0/{name}.WAV"
        wav.parent.mkdir(parents=True, exist_ok=True)
        wav.write_bytes(b"RIFF")
    text(data / f"SCRIPT/{channel}{speaker}0.TXT", "\ufeff" + lines)


@pytest.fixture
def singapore(tmp_path):
    for number in range(1, 9):
        speak(tmp_path, 1, f"{number:04d}", ["We all say this.", f"Only {number} says that."])
    return tmp_path


def test_nsc_parts_share_neither_speakers_nor_phrases(singapore):
    train, dev = (read(nsc, singapore, [f"part1-{part}"]) for part in ("train", "dev"))
    speakers = [{r.speaker for r in listing.recordings} for listing in (train, dev)]
    assert [len(found) for found in speakers] == [4, 4]
    assert not speakers[0] & speakers[1]
    phrases = [{r.text for r in listing.recordings} for listing in (train, dev)]
    assert not phrases[0] & phrases[1]
    assert "we all say this" in phrases[1]
    assert [r.reason for r in train.rejected] == ["phrase-in-dev"] * 4
    assert len(train.recordings) + len(train.rejected) + len(dev.recordings) == 16
    assert read(nsc, singapore, ["part1-dev"]) == dev
    assert read(nsc, singapore, ["part1-dev"], seed=3) != dev


def test_nsc_speakers_that_are_named_validate(singapore):
    named = {"validation_speakers": ["0003"]}
    dev = read(nsc, singapore, ["part1-dev"], **named)
    assert [(r.id, r.text) for r in dev.recordings] == [
        ("000030001", "we all say this"), ("000030002", "only 3 says that")
    ]  # fmt: skip
    assert len(read(nsc, singapore, ["part1-train"], **named).recordings) == 7
    message = refusal(nsc, singapore, ["part1-dev"], validation_speakers=["3"])
    assert "validation speakers that are not in the NSC: 3; names have four digits" in message


def test_speakers_of_part_2_are_those_of_part_1_and_new_ones(singapore):
    for number in range(5, 13):
        speak(singapore, 2, f"{number:04d}", [f"Place {number}."])
    first = {r.speaker for r in read(nsc, singapore, ["part1-dev"]).recordings}
    second = {r.speaker for r in read(nsc, singapore, ["part2-dev"]).recordings}
    old, new = {s for s in second if s <= "0008"}, {s for s in second if s > "0008"}
    assert old <= first
    assert len(new) == 2


def test_of_a_whole_nsc_31_and_19_speakers_validate_part_2(tmp_path):
    """Table 2 of the paper: 50 speakers each, of which the second part shares 31 with the first."""
    for part, numbers in (("1", range(1, 121)), ("2", range(1, 161))):
        for number in numbers:
            name = f"0{number:04d}0"
            folder = tmp_path / f"PART{part}/DATA/CHANNEL0"
            text(folder / f"SCRIPT/{name}.TXT", f"{name}001\tWords\n")
        text(folder / "WAVE/SPEAKER0001/SESSION0/000010001.WAV", "")
    source = open_source(tmp_path)
    files = nsc._files(source, (0,))
    first, second = (nsc._validation_speakers(source, part, files, {}) for part in ("1", "2"))
    assert (len(first), len(second)) == (50, 50)
    assert len(first & second) == 31
    assert all(int(speaker) > 120 for speaker in second - first)


def test_channels_of_the_nsc_are_chosen(singapore):
    speak(singapore, 1, "0001", ["Far away."], channel=1)
    listings = {
        c: read(nsc, singapore, ["part1-dev", "part1-train"], channels=c) for c in ("1", "0")
    }
    assert [r.id for r in listings["1"].recordings] == ["100010001"]
    assert all(r.id.startswith("0") for r in listings["0"].recordings)


def test_a_missing_recording_of_the_nsc_is_listed_in_its_own_part(singapore):
    next(singapore.rglob("000030002.WAV")).unlink()
    named = {"validation_speakers": ["0003"]}
    (rejected,) = read(nsc, singapore, ["part1-dev"], **named).rejected
    assert (rejected.id, rejected.reason) == ("000030002", "missing")
    reasons = {r.reason for r in read(nsc, singapore, ["part1-train"], **named).rejected}
    assert reasons == {"phrase-in-dev"}


def test_what_the_nsc_lacks_is_named(singapore):
    assert "no texts of the NSC's part 2 (PART2/DATA/CHANNEL*/SCRIPT/*.TXT)" in refusal(
        nsc, singapore, ["part2-dev"]
    )
    for wav in singapore.rglob("*.WAV"):
        wav.unlink()
    assert "copy PART1/DATA/CHANNEL*/WAVE there" in refusal(nsc, singapore, ["part1-dev"])
    packed = next(singapore.rglob("SPEAKER0001")).with_suffix(".zip")
    packed.write_bytes(b"PK")
    message = refusal(nsc, singapore, ["part1-dev"])
    assert "1 are still packed" in message
    assert message.endswith("CHANNEL0/WAVE/SPEAKER0001.zip); unzip them where they are")


# --- all -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "parts", "known"),
    [
        (fisher, ["dev"], "fisher: no part 'dev'; there are all, part1, part2"),
        (switchboard, ["dev"], "switchboard: no part 'dev'; there are all"),
        (nsc, ["dev"], "nsc: no part 'dev'; there are part1-train, part1-dev, part2-train"),
    ],
)
def test_parts_that_do_not_exist_are_refused(tmp_path, reader, parts, known):
    assert refusal(reader, tmp_path, parts).startswith(known)


@pytest.mark.parametrize("reader", [wsj, fisher, switchboard, nsc])
def test_an_archive_is_refused(tmp_path, reader):
    with tarfile.open(tmp_path / "ldc.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("a/b"))
    message = refusal(reader, tmp_path / "ldc.tar", ["all"])
    assert "ldc.tar: is an archive; " in message
    assert message.endswith("unpack it and name the folder as path")
