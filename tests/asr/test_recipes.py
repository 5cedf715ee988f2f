"""The table of experiments: what it may say, and what it is told otherwise."""

import pytest

from hearsay.asr.recipes import check_experiments, read_experiments
from hearsay.corpora.alphabets import labels_of
from hearsay.errors import InputError
from hearsay.experiments import SpeechSet, parse_sets
from hearsay.provenance import ROOT

HEAD = "language\trun\tsource\tcorpora\tvalidation\ttests\tseeds\ttables\tepochs\tdecoder"
ENGLISH = "en\tenglish\t\tls/train\tls/dev\tls/dev\t0,1\t3=15x5 5D; 5\t3\t"
AS_IS = "en\tpublic\tpublic\t\tls/dev\tls/dev\t0\t3\t0\tsame-alphabet"
GERMAN = "de\ttransfer\ten/english\tcv/train\tcv/dev\tcv/dev\t0\t6\t\t"
CORPORA = {
    "ls": ("en", ["train", "dev"], ["train"]),
    "cv": ("de", ["train", "dev", "more"], ["train"]),
}


def table(tmp_path, *lines, head=HEAD):
    path = tmp_path / "experiments.tsv"
    path.write_text("\n".join(["# a comment", head, *lines]) + "\n", encoding="utf-8")
    return path


def test_rows_and_defaults(tmp_path):
    english, german = read_experiments(table(tmp_path, ENGLISH, GERMAN))
    assert (english.language, english.run, english.seeds) == ("en", "english", (0, 1))
    assert english.tables == {"3": "15x5 5D", "5": ""}
    assert english.recipe.epochs == 3
    assert german.source == "en/english"
    assert german.recipe.epochs == 256
    assert [each.name for each in german.sets] == ["cv/train", "cv/dev", "cv/dev"]
    check_experiments([english, german], CORPORA, [], labels_of)


def test_a_source_may_be_tested_as_it_is(tmp_path):
    (public,) = read_experiments(table(tmp_path, AS_IS))
    assert public.recipe.epochs == 0
    check_experiments([public], CORPORA, ["public"], labels_of)


def test_mixtures_have_weights():
    assert parse_sets("x", "corpora", "a/train b/dev*0.25") == (
        SpeechSet("a", "train", 1.0),
        SpeechSet("b", "dev", 0.25),
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (ENGLISH.replace("ls/train", "ls"), "line 3: corpora: 'ls' is not corpus/part"),
        (ENGLISH.replace("ls/train", "ls/train*0"), "with a weight above 0"),
        (ENGLISH.replace("ls/train", "ls/train*1.2.3"), "is not corpus/part"),
        (ENGLISH.replace("ls/train", "ls/train ls/train"), "names a part twice"),
        (ENGLISH.replace("ls/train", ""), "corpora is empty, but there are 3 epochs"),
        (ENGLISH.replace("\t3\t", "\t0\t"), "neither epochs nor a source"),
        (ENGLISH.replace("\t3\t", "\tmany\t"), "epochs = 'many': input should be a valid integer"),
        (ENGLISH.replace("0,1", "0,0"), "none below zero, and none twice"),
        (ENGLISH.replace("0,1", "zero"), "seeds = 'zero': whole numbers with commas between"),
        (ENGLISH.replace("3=15x5 5D; 5", "7"), "numbers 3 to 6, each once"),
        (ENGLISH.replace("english", "../up"), "it becomes a folder's name"),
        (ENGLISH + "same-alphabet", "asks for a source to take it from"),
        (AS_IS.replace("same-alphabet", ""), "decoder = 'fresh' would be tested as it is drawn"),
        (
            AS_IS.replace("\t\tls/dev", "\tls/train\tls/dev", 1),
            "nothing would be trained on ls/train",
        ),
        (ENGLISH.replace("\tls/dev\tls/dev", "\t\tls/dev"), "validation: name one part, not 0"),
        (ENGLISH.replace("\tls/dev\tls/dev", "\tls/dev\t"), "tests is empty"),
        (ENGLISH + "\textra\tmore", "12 cells, but 10 columns"),
        (f"{ENGLISH}\n{ENGLISH}", "run 'english' of en stands there twice"),
    ],
)
def test_faults_name_line_and_column(tmp_path, line, message):
    with pytest.raises(InputError) as error:
        read_experiments(table(tmp_path, line))
    assert message in str(error.value)
    assert "experiments.tsv" in str(error.value)


def test_patience_asks_for_the_best_weights(tmp_path):
    head = f"{HEAD}\tpatience\tkeep"
    with pytest.raises(InputError, match=r"line 3: patience = 5 asks for keep = 'best'"):
        read_experiments(table(tmp_path, f"{ENGLISH}\t5\tlast", head=head))
    (english,) = read_experiments(table(tmp_path, f"{ENGLISH}\t5\tbest", head=head))
    assert english.recipe.patience == 5


def test_unknown_and_missing_columns(tmp_path):
    head = HEAD.replace("epochs", "epoch").replace("tests\t", "")
    with pytest.raises(InputError, match="unknown columns: epoch; missing: tests"):
        read_experiments(table(tmp_path, head=head))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cv/train", "cv2/train", "no corpus 'cv2' in speech_corpora; there are: ls, cv"),
        ("cv/train", "cv/trian", "cv has no part 'trian'; there are: train, dev, more"),
        ("cv/train", "ls/train", "run 'transfer' of de: ls is in en"),
        ("en/english", "en/englisch", "no source 'en/englisch'"),
        ("en/english", "de/transfer", "starts from itself"),
        ("cv/train", "cv/more", "add 'more' to speech_corpora.cv.training"),
        ("\t6\t\t", "\t6\t\tsame-alphabet", "en/english has the alphabet of en: set decoder"),
    ],
)
def test_what_does_not_exist_is_named(tmp_path, old, new, message):
    experiments = read_experiments(table(tmp_path, ENGLISH, GERMAN.replace(old, new)))
    with pytest.raises(InputError) as error:
        check_experiments(experiments, CORPORA, ["public"], labels_of)
    assert message in str(error.value)


def test_a_source_of_other_blocks_is_told_before_anything_is_trained(tmp_path):
    lines = (f"{ENGLISH}\t15x5", f"{GERMAN}\t5x3")
    experiments = read_experiments(table(tmp_path, *lines, head=f"{HEAD}\tblocks"))
    with pytest.raises(InputError, match="blocks = '5x3', but its source en/english has '15x5'"):
        check_experiments(experiments, CORPORA, [], labels_of)


def test_two_languages_may_share_an_alphabet(tmp_path):
    experiments = read_experiments(table(tmp_path, ENGLISH, f"{GERMAN}same-alphabet"))
    check_experiments(experiments, CORPORA, [], lambda language: [" ", "a"])


def test_a_bias_for_a_decoder_that_is_kept_is_refused(tmp_path):
    path = table(tmp_path, ENGLISH, f"{GERMAN}same-alphabet\t1.5", head=f"{HEAD}\tblank_bias")
    told = (
        "blank_bias = 1.5: decoder = 'same-alphabet' keeps the source's own; leave the cell empty"
    )
    with pytest.raises(InputError, match=told):
        read_experiments(path)


@pytest.mark.parametrize("name", ["asr.tsv", "asr-demo.tsv"])
def test_the_shipped_tables_can_be_read(name):
    experiments = read_experiments(ROOT / "config" / "experiments" / name)
    assert {"en", "de", "es", "ru"} == {each.language for each in experiments}
    for each in experiments:
        rates = {e.run: e.recipe.learning_rate for e in experiments if e.language == each.language}
        if name == "asr.tsv" and each.source and each.recipe.epochs and "15x5-scratch" in rates:
            assert each.recipe.learning_rate == pytest.approx(rates["15x5-scratch"] / 10)
