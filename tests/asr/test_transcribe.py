"""From weights to score rows: nothing left out, texts as they were prepared, rates as jiwer's."""

import csv
import json
import math
from pathlib import Path

import jiwer
import numpy as np
import pandas as pd
import pytest
from tones import training_options, write_part

from hearsay.asr import score_transcripts, train_recogniser, transcribe
from hearsay.asr.score_transcripts import epochs_to_near_final, error_rates, read_transcripts
from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores

SETTINGS = json.dumps({"device": "cpu", "batch_size": 3})


@pytest.fixture
def trained(corpus, tmp_path):
    """A recogniser and a part to test it on."""
    train, dev = corpus("train", 12), corpus("dev", 7, seed=1)
    options = training_options(tmp_path / "en", train, dev, epochs=3)
    train_recogniser.main(**options)
    return options, dev


def hear(options, dev, folder, language="en", **keys):
    given = {
        "language": language,
        "run": "tiny",
        "seed": 0,
        "weights": options["weights"],
        "test": [f"tones/dev={dev}"],
        "settings": SETTINGS,
        "threads": 1,
        "out": folder / "transcripts.csv",
        "record": folder / "transcripts.run.json",
    }
    transcribe.main(**given | keys)
    return folder / "transcripts.csv"


def test_every_clip_has_a_row_in_the_order_of_the_manifest(trained, tmp_path):
    options, dev = trained
    path = hear(options, dev, tmp_path)
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    clips = [json.loads(line) for line in dev.read_text().splitlines()]
    assert [row["id"] for row in rows] == [clip["id"] for clip in clips]
    assert [row["reference"] for row in rows] == [clip["text"] for clip in clips]
    assert {row["test"] for row in rows} == {"tones/dev"}


def test_a_language_with_an_alphabet_of_the_configuration(tmp_path):
    own = {"letters": "abcdé", "capitals": {}, "replace": {}}
    train = write_part(tmp_path / "fr", "train", ["abé cd", "dé ab", "cab é"])
    options = training_options(tmp_path / "run", train, train, language="fr", epochs=1)
    settings = json.loads(options["settings"])
    train_recogniser.main(**options | {"settings": json.dumps(settings | {"alphabet": own})})
    record = json.loads(options["record"].read_text(encoding="utf-8"))
    assert record["alphabet"] == " abcdé"
    heard = json.dumps(json.loads(SETTINGS) | {"alphabet": own})
    path = hear(options, train, tmp_path, language="fr", settings=heard)
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert [row["reference"] for row in rows] == ["abé cd", "dé ab", "cab é"]
    other = json.dumps(json.loads(SETTINGS) | {"alphabet": own | {"letters": "abcéd"}})
    with pytest.raises(InputError, match="with the alphabet ' abcdé'"):
        hear(options, train, tmp_path, language="fr", settings=other)


def test_loading_processes_are_the_options(trained, tmp_path):
    options, dev = trained
    settings = json.loads(options["settings"]) | {"workers": -1}  # torch refuses to start -1
    train_recogniser.main(**options | {"settings": json.dumps(settings)}, workers=1)
    assert json.loads(options["record"].read_text(encoding="utf-8"))["workers"] == 1
    hear(options, dev, tmp_path, settings=json.dumps(json.loads(SETTINGS) | {"workers": -1}))
    ids = []
    for workers in (0, 1):
        hear(options, dev, tmp_path, workers=workers)
        record = json.loads((tmp_path / "transcripts.run.json").read_text(encoding="utf-8"))
        assert record["workers"] == workers
        ids.append(record["id"])
    assert ids[0] == ids[1]
    with pytest.raises(ValueError, match="num_workers"):
        train_recogniser.main(**options, workers=-1)
    with pytest.raises(ValueError, match="num_workers"):
        hear(options, dev, tmp_path, workers=-1)


def test_the_batch_makes_no_difference(trained, tmp_path):
    options, dev = trained
    other = json.dumps({"device": "cpu", "batch_size": 1})
    (tmp_path / "one").mkdir()
    first = hear(options, dev, tmp_path)
    second = hear(options, dev, tmp_path / "one", settings=other)
    assert first.read_bytes() == second.read_bytes()


def test_a_recogniser_of_another_language_is_refused(trained, tmp_path):
    options, dev = trained
    with pytest.raises(InputError, match="a recogniser of en with the alphabet"):
        hear(options, dev, tmp_path, language="de")
    assert not (tmp_path / "transcripts.csv").exists()


def test_scores_are_jiwers_on_the_texts(trained, tmp_path):
    options, dev = trained
    path = hear(options, dev, tmp_path)
    entry = {
        "run": "tiny",
        "seed": 0,
        "transcripts": str(path),
        "history": str(options["history"]),
        "training": str(options["record"]),
    }
    score_transcripts.main(
        language="en",
        training=[json.dumps(entry)],
        settings=json.dumps({"resamples": 500}),
        out=tmp_path / "scores.csv",
        record=tmp_path / "scores.run.json",
    )
    frame = read_scores(tmp_path / "scores.csv")
    found = frame.set_index("metric")["value"]
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    references = [row["reference"] for row in rows]
    texts = [row["hypothesis"] for row in rows]
    assert found["wer tones/dev"] == pytest.approx(jiwer.wer(references, texts), abs=1e-12)
    assert found["cer tones/dev"] == pytest.approx(jiwer.cer(references, texts), abs=1e-12)
    assert found["wer_low tones/dev"] <= found["wer tones/dev"] <= found["wer_high tones/dev"]
    # What the training saw at its end on the same part.
    assert found["validation_wer"] == pytest.approx(found["wer tones/dev"])
    assert set(frame["n"][frame["metric"] == "wer tones/dev"]) == {7}
    assert set(frame["model"]) == {"narrow"}


def test_the_missing_umlauts_count():
    rates = error_rates([("größe über alles", "gre ber alles")], 100)
    assert rates["wer"] == pytest.approx(2 / 3)


def test_references_without_words_are_told():
    with pytest.raises(InputError, match="none of 2 references has a word"):
        error_rates([("", "c"), ("", "")], 200)


def test_empty_hypotheses_and_references_count():
    rates = error_rates([("a b", ""), ("", "c"), ("d", "d")], 200)
    assert rates["wer"] == pytest.approx(3 / 3)
    assert rates["cer"] == pytest.approx(4 / 4)


def test_intervals_cover_a_known_rate():
    draw = np.random.default_rng(0)
    inside = 0
    for _ in range(60):
        pairs = [
            ("a b c d", " ".join(w if draw.random() > 0.3 else "x" for w in "abcd"))
            for _ in range(80)
        ]
        rates = error_rates(pairs, 300)
        inside += rates["wer_low"] <= 0.3 <= rates["wer_high"]
    assert 50 <= inside <= 60


@pytest.mark.parametrize(
    ("errors", "expected"),
    [([1.0, 0.5, 0.19, 0.1], 3), ([0.1], 1), ([1.0, 1.0], math.nan), ([1.2, 1.1], math.nan)],
)
def test_epochs_to_90_percent_of_the_final_accuracy(tmp_path, errors, expected):
    path = tmp_path / "history.csv"
    frame = pd.DataFrame({"epoch": range(1, len(errors) + 1), "validation_wer": errors})
    frame.to_csv(path, index=False)
    assert epochs_to_near_final(path) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "test,id,reference,hypothesis\n"])
def test_other_files_are_no_transcripts(tmp_path: Path, content):
    path = tmp_path / "transcripts.csv"
    path.write_text(content)
    with pytest.raises(InputError, match=r"transcripts\.csv: (not a file of|no) transcripts"):
        read_transcripts(path)
