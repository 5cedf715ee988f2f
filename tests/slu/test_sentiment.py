"""Classifiers of sentiment: what they start from, exact resume, predictions, scores."""

import csv
import json

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.metrics import f1_score, recall_score
from tiny import sentences, training_options, write_models, write_part

import hearsay
from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.slue import LABELS
from hearsay.errors import InputError
from hearsay.metrics.scores import read_scores
from hearsay.settings.slu import SentimentRecipe
from hearsay.slu import predict_sentiment, score_sentiment, train_aligner, train_sentiment
from hearsay.slu.bert_layers import load_bert
from hearsay.slu.sentiment import class_weights, reading_of
from hearsay.slu.sentiment_batches import padded, read_sentiments
from hearsay.slu.sentiment_experiments import read_sentiment
from hearsay.slu.sentiment_files import load_classifier
from hearsay.slu.sentiment_start import started

SMALL = {
    "epochs": 4,
    "batch_size": 4,
    "micro_batch": 2,
    "learning_rate": 3e-3,
    "head_rate": 1.0,
    "hidden": 32,
    "dropout": 0.0,
}


def write_labels(manifest, numbers):
    """Sentiments beside a manifest."""
    path = manifest.with_suffix(".labels.csv")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["id", "label", "sentiment", "speaker"])
        for clip, number in zip(read_manifest(manifest), numbers, strict=True):
            writer.writerow([clip.id, number, LABELS[number], "s"])
    return path


@pytest.fixture
def data(tmp_path):
    """Models, an aligner, and two parts with sentiments that words tell."""
    speech, text = write_models(tmp_path / "models")
    folder = tmp_path / "speech"
    parts = {}
    for name, count, seed in (("train", 12, 0), ("dev", 6, 1)):
        texts = [
            f"{words} {('deaf', 'egg', 'cabbage')[k % 3]}"
            for k, words in enumerate(sentences(count, seed))
        ]
        manifest = write_part(folder, name, texts)
        parts[name] = manifest, write_labels(manifest, [k % 3 for k in range(count)])
    aligner = training_options(tmp_path / "aligner", (speech, text), parts["train"][0], epochs=1)
    train_aligner.main(**aligner)
    return {"speech": speech, "text": text, "aligner": aligner["weights"], **parts}


def options_of(folder, data, kind, seed=0, **keys):
    """Options of `train_sentiment`, with all outputs in `folder`."""
    needed = {"text": ("text",), "speech": ("speech",), "graft": ("text", "aligner")}[kind]
    settings = {
        "recipe": SentimentRecipe(**(SMALL | keys)).model_dump(),
        "device": "cpu",
        "devices": 1,
        "precision": "32-true",
    }
    return {
        "run": f"a-{kind}",
        "seed": seed,
        "kind": kind,
        "training": [data["train"][0]],
        "labels": [data["train"][1]],
        "validation": data["dev"][0],
        "validation_labels": data["dev"][1],
        **{k: data[k] if k in needed else None for k in ("speech", "text", "aligner")},
        "settings": json.dumps(settings),
        "threads": 1,
        "weights": folder / "weights.safetensors",
        "history": folder / "history.csv",
        "record": folder / "training.run.json",
        "checkpoints": folder / "checkpoints",
    }


def predict(folder, data, options, part="dev", batch_size=1, settings=None, **more):
    """Predictions of a training on a part."""
    out = folder / f"predictions-{batch_size}.csv"
    predict_sentiment.main(
        run=options["run"], seed=options["seed"], kind=options["kind"],
        weights=options["weights"], text=options["text"],
        part=[f"slue/{part}={data[part][0]}"], labels=[f"slue/{part}={data[part][1]}"],
        settings=json.dumps({"device": "cpu", "batch_size": batch_size} | (settings or {})),
        threads=1, out=out, record=folder / "predictions.run.json", **more,
    )  # fmt: skip
    return out


@pytest.mark.parametrize(("kind", "epochs"), [("text", 60), ("speech", 30), ("graft", 30)])
def test_every_kind_learns_its_training_data(tmp_path, data, kind, epochs):
    options = options_of(tmp_path / "run", data, kind, epochs=epochs, frozen_speech="nothing")
    before = load_bert(data["text"]).digest()
    train_sentiment.main(**options)
    frame = pd.read_csv(predict(tmp_path, data, options, "train"))
    assert (frame["label"] == frame["predicted"]).all()
    assert frame["id"].tolist() == [clip.id for clip in read_manifest(data["train"][0])]
    assert np.allclose(frame[["p_negative", "p_neutral", "p_positive"]].sum(axis=1), 1, atol=1e-5)
    assert load_bert(data["text"]).digest() == before
    record = json.loads(options["record"].read_text())
    assert record["utterances"] == 12
    assert 0 < record["trained_parameters"] < record["parameters"]
    assert not options["checkpoints"].exists()


@pytest.mark.parametrize("kind", ["text", "speech", "graft"])
def test_a_batch_changes_no_prediction(tmp_path, data, kind):
    options = options_of(tmp_path / "run", data, kind)
    train_sentiment.main(**options)
    frames = [pd.read_csv(predict(tmp_path, data, options, batch_size=n)) for n in (1, 4)]
    columns = ["p_negative", "p_neutral", "p_positive"]
    assert np.allclose(frames[0][columns], frames[1][columns], atol=1e-4)


def test_loading_processes_are_the_options(tmp_path, data):
    options = options_of(tmp_path / "run", data, "speech")
    settings = json.loads(options["settings"]) | {"workers": -1}  # torch refuses to start -1
    train_sentiment.main(**options | {"settings": json.dumps(settings)})
    assert json.loads(options["record"].read_text())["workers"] == 0
    predict(tmp_path, data, options, settings={"workers": -1})
    predict(tmp_path, data, options, workers=1)
    assert json.loads((tmp_path / "predictions.run.json").read_text())["workers"] == 1
    with pytest.raises(ValueError, match="num_workers"):
        train_sentiment.main(**options, workers=-1)
    with pytest.raises(ValueError, match="num_workers"):
        predict(tmp_path, data, options, workers=-1)


@pytest.mark.parametrize("kind", ["graft", "speech"])
def test_what_hears_needs_no_transcript(tmp_path, data, kind):
    options = options_of(tmp_path / "run", data, kind)
    train_sentiment.main(**options)
    heard, kept = predict(tmp_path, data, options).read_bytes(), load_file(options["weights"])
    for manifest, _ in (data["train"], data["dev"]):
        lines = [json.loads(line) for line in manifest.read_text().splitlines()]
        manifest.write_text("".join(json.dumps({**x, "text": ""}) + "\n" for x in lines))
    again = options_of(tmp_path / "again", data, kind)
    train_sentiment.main(**again)
    assert all(torch.equal(kept[n], t) for n, t in load_file(again["weights"]).items())
    assert predict(tmp_path, data, again).read_bytes() == heard


def test_a_graft_is_told_how_many_tokens_if_asked(tmp_path, data):
    told = options_of(tmp_path / "told", data, "graft", lengths="text")
    train_sentiment.main(**told)
    model, about = load_classifier(told["weights"], load_bert(data["text"]))
    assert about["recipe"]["lengths"] == "text"
    assert not model.training
    heard = predict(tmp_path, data, told).read_bytes()
    manifest = data["dev"][0]
    lines = [json.loads(line) for line in manifest.read_text().splitlines()]
    manifest.write_text("".join(json.dumps({**x, "text": "egg"}) + "\n" for x in lines))
    assert predict(tmp_path, data, told).read_bytes() != heard


def test_what_is_frozen_stays_and_bert_is_trained_if_asked(tmp_path, data):
    still = options_of(tmp_path / "still", data, "graft", frozen_speech="everything")
    train_sentiment.main(**still)
    aligner, kept = load_file(data["aligner"]), load_file(still["weights"])
    name = next(n for n in aligner if n.startswith("speech.model.feature_extractor"))
    assert torch.equal(aligner[name], kept[f"features.graft.aligner.{name}"])
    assert not any(".text." in name for name in kept)


def test_bert_is_trained_if_asked_and_kept_with_the_classifier(tmp_path, data):
    options = options_of(tmp_path / "run", data, "text", frozen_text=False, pooling="cls")
    train_sentiment.main(**options)
    bert, original = load_bert(data["text"]), load_bert(data["text"]).state_dict()
    model, _ = load_classifier(options["weights"], bert)
    found = model.features.text.state_dict()
    for part in ("embeddings.word", "encoder.layer.0.", "encoder.layer.3.", "pooler."):
        assert any(part in n and not torch.equal(found[n], original[n]) for n in found), part
    assert len(pd.read_csv(predict(tmp_path, data, options))) == 6
    path, kept = tmp_path / "less.safetensors", load_file(options["weights"])
    with safe_open(str(options["weights"]), "pt") as file:
        metadata = file.metadata()
    lost = next(name for name in kept if "encoder.layer.3" in name)
    save_file({n: t for n, t in kept.items() if n != lost}, path, metadata=metadata)
    with pytest.raises(InputError, match=f"it lacks {lost}"):
        load_classifier(path, load_bert(data["text"]))
    save_file({**kept, "more": torch.zeros(1)}, path, metadata=metadata)
    with pytest.raises(InputError, match="it has more too"):
        load_classifier(path, load_bert(data["text"]))
    save_file({**kept, "head.4.bias": torch.zeros(7)}, path, metadata=metadata)
    with pytest.raises(InputError, match="not a classifier of hearsay: size mismatch"):
        load_classifier(path, load_bert(data["text"]))


def begun(data, kind, aligner=None, **keys):
    """A classifier before its first step, in training mode."""
    given = {"text": ("text",), "graft": ("text", "aligner")}[kind]
    paths = {k: data[k] if k in given else None for k in ("speech", "text", "aligner")}
    recipe = SentimentRecipe(**(SMALL | keys)).model_dump()
    return started(kind, recipe, **paths | ({"aligner": aligner} if aligner else {})).model.train()


def test_only_what_is_trained_of_bert_has_dropout(data):
    model = begun(data, "graft", frozen_text=False)
    layers = model.features.text.base.encoder.layer
    assert [each.training for each in layers] == [False, False, True, True]  # grafted above 2
    assert [next(each.parameters()).requires_grad for each in layers] == [False] * 2 + [True] * 2
    assert not any(each.training for each in model.eval().modules())
    frozen = begun(data, "graft")
    assert not any(each.training for each in frozen.features.text.modules())
    assert not any(each.requires_grad for each in frozen.features.text.parameters())


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"extra_layers": "0"},
        {"edges": "constant"},
        {"edges": "constant", "path_weight": 1.0},
    ],
)
def test_all_that_is_trained_has_a_gradient(tmp_path, data, keys):
    options = training_options(
        tmp_path / "other", (data["speech"], data["text"]), data["train"][0], epochs=0, **keys
    )
    train_aligner.main(**options)
    model = begun(data, "graft", options["weights"], pooling="cls", frozen_text=False)
    held = read_sentiments([data["train"][0]], [data["train"][1]], **reading_of(model, None))
    model(padded([held[0], held[1]])).logsumexp(1).sum().backward()
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle, idle


def test_the_best_epoch_is_kept_if_asked(tmp_path, data):
    # The validation part contradicts the training part: the more is learnt, the less is right.
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text(data["train"][0].read_text())
    data["dev"] = wrong, write_labels(wrong, [(k + 1) % 3 for k in range(12)])
    options = options_of(tmp_path / "run", data, "text", epochs=20, learning_rate=0.01, keep="best")
    train_sentiment.main(**options)
    history = pd.read_csv(options["history"])
    names = ["validation_loss", "validation_accuracy", "validation_macro_f1"]
    assert history.columns.tolist() == ["epoch", "loss", "learning_rate", *names]
    f1 = history["validation_macro_f1"]
    assert f1.iloc[-1] < f1.max()  # else the last and the best are one
    record = json.loads(options["record"].read_text())
    assert record["validation_macro_f1"] == pytest.approx(f1.max())
    frame = pd.read_csv(predict(tmp_path, data, options))
    more = {"labels": list(LABELS), "zero_division": 0, "average": "macro"}
    assert f1_score(frame["label"], frame["predicted"], **more) == pytest.approx(f1.max())


def test_rates_rise_and_fall_and_the_heads_is_its_own(data):
    recipe = SentimentRecipe(**SMALL | {"head_rate": 5.0, "warmup_ratio": 0.2}).model_dump()
    optimizer = train_sentiment.optimizer_of(begun(data, "graft"), recipe)
    schedule = train_sentiment.schedule_of(optimizer, recipe, 10)
    rates = []
    for _ in range(10):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    head, body = zip(*rates, strict=True)
    assert head == pytest.approx([5 * rate for rate in body])
    assert body == pytest.approx([3e-3 * f for f in (0.5, 1, 1, *(k / 8 for k in range(7, 0, -1)))])
    assert [group["lr"] for group in optimizer.param_groups] == [0, 0]


def test_killed_and_started_again_it_ends_with_the_same_bits(tmp_path, data, kill_in_training):
    whole = options_of(tmp_path / "whole", data, "graft", epochs=12, dropout=0.1)
    train_sentiment.main(**whole)
    cut = options_of(tmp_path / "cut", data, "graft", epochs=12, dropout=0.1)
    arguments = []
    for key, value in cut.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None:
                arguments += [f"--{key.replace('_', '-')}", str(each)]
    (tmp_path / "cut").mkdir()
    kill_in_training(train_sentiment.STEP, arguments, cut["checkpoints"])
    assert not cut["weights"].exists()
    train_sentiment.main(**cut)
    a, b = load_file(whole["weights"]), load_file(cut["weights"])
    assert all(torch.equal(a[name], b[name]) for name in a | b)
    assert whole["history"].read_bytes() == cut["history"].read_bytes()


def test_weights_of_classes():
    labels = [0, 1, 1, 1, 2, 2]
    assert class_weights(labels, "none").tolist() == [1, 1, 1]
    balanced = class_weights(labels, "balanced")
    assert float(balanced[labels].mean()) == pytest.approx(1)
    assert balanced.tolist() == pytest.approx([2, 2 / 3, 1])
    assert float(class_weights([1, 1], "balanced")[[1, 1]].mean()) == pytest.approx(1)


def test_scores_are_scikit_learns(tmp_path, data):
    entries = []
    for kind in ("speech", "text", "graft"):
        options = options_of(tmp_path / kind, data, kind)
        train_sentiment.main(**options)
        path = predict(tmp_path / kind, data, options)
        entries.append(
            json.dumps(
                {"run": options["run"], "seed": 0, "kind": kind, "predictions": str(path),
                 "training": str(options["record"])}
            )
        )  # fmt: skip
    score_sentiment.main(
        training=entries, labels=[f"slue/dev={data['dev'][1]}"],
        training_labels=[data["train"][1]], settings=json.dumps({"resamples": 200}),
        out=tmp_path / "sentiment.csv", record=tmp_path / "sentiment.run.json",
    )  # fmt: skip
    frame = read_scores(tmp_path / "sentiment.csv")
    assert list(dict.fromkeys(frame["experiment"])) == ["majority", "a-speech", "a-text", "a-graft"]
    heard = pd.read_csv(json.loads(entries[2])["predictions"])
    own = frame[frame["experiment"] == "a-graft"].set_index("metric")["value"]
    truth, told = heard["label"], heard["predicted"]
    more = {"labels": list(LABELS), "zero_division": 0}
    assert own["macro f1"] == pytest.approx(f1_score(truth, told, average="macro", **more))
    assert own["weighted f1"] == pytest.approx(f1_score(truth, told, average="weighted", **more))
    assert own["weighted recall"] == pytest.approx((truth == told).mean())
    each = recall_score(truth, told, average=None, **more)
    assert [own[f"recall {label}"] for label in LABELS] == pytest.approx(list(each))
    assert own["weighted recall low"] <= own["weighted recall"] <= own["weighted recall high"]
    assert 0 <= own["mcnemar p against a-speech"] <= 1
    assert "mcnemar p against a-speech" not in set(
        frame["metric"][frame["experiment"] == "a-speech"]
    )
    trained = frame[frame["metric"] == "trained_parameters"]
    assert trained["experiment"].tolist() == ["a-speech", "a-text", "a-graft"]
    majority = frame[frame["experiment"] == "majority"].set_index("metric")["value"]
    assert majority["accuracy"] == pytest.approx(1 / 3)
    assert majority["recall Negative"] == 1  # all equally common: the first


def score(folder, labels, predictions, record, **settings):
    """Score file of one classifier of text, `slue/dev` alone."""
    entry = {"run": "a", "seed": 0, "kind": "text"}
    entry |= {"predictions": str(predictions), "training": str(record)}
    score_sentiment.main(
        training=[json.dumps(entry)], labels=[f"slue/dev={labels}"], training_labels=[labels],
        settings=json.dumps({"resamples": 200, **settings}),
        out=folder / "s.csv", record=folder / "s.json",
    )  # fmt: skip
    return read_scores(folder / "s.csv").set_index(["experiment", "metric"])["value"]


def test_intervals_over_speakers_are_wider_where_a_speaker_is_of_a_kind(tmp_path):
    labels, predictions, record = (tmp_path / name for name in ("l.csv", "p.csv", "r.json"))
    told, heard = ["id,label,sentiment,speaker"], [",".join(predict_sentiment.COLUMNS)]
    for k in range(60):  # all of three speakers is right, all of the other three wrong
        told.append(f"u{k},{k % 3},{LABELS[k % 3]},s{k // 10}")
        answer = LABELS[(k % 3 + (k < 30)) % 3]
        heard.append(f"slue/dev,u{k},s{k // 10},{LABELS[k % 3]},{answer},0,0,1")
    labels.write_text("\n".join(told) + "\n")
    predictions.write_text("\n".join(heard) + "\n")
    record.write_text(json.dumps(dict.fromkeys(score_sentiment.OF_TRAINING, 1)))
    items = score(tmp_path, labels, predictions, record)
    speakers = score(tmp_path, labels, predictions, record, interval_over="speakers")
    for found in (items, speakers):
        assert found["a", "weighted recall"] == 0.5

    def width(found):
        return found["a", "weighted recall high"] - found["a", "weighted recall low"]

    assert width(speakers) > 1.5 * width(items)
    with pytest.raises(InputError, match="interval_over = 'cities': items or speakers"):
        score(tmp_path, labels, predictions, record, interval_over="cities")
    labels.write_text(labels.read_text().replace(",s5", ","))
    with pytest.raises(InputError, match="'u50' has no speaker; set interval_over to items"):
        score(tmp_path, labels, predictions, record, interval_over="speakers")
    predictions.write_text(predictions.read_text().replace("Positive,Neg", "Positive,Bad"))
    with pytest.raises(InputError, match=r"p.csv: 'u2' is predicted 'Badative', none of Negative"):
        score(tmp_path, labels, predictions, record)


def test_a_record_that_is_of_no_training_is_told(tmp_path, data):
    options = options_of(tmp_path / "run", data, "text", epochs=1)
    train_sentiment.main(**options)
    path, record = predict(tmp_path, data, options), tmp_path / "other.json"
    record.write_text("{}")
    with pytest.raises(InputError, match="not of train_sentiment: has no training_seconds"):
        score(tmp_path, data["dev"][1], path, record)
    record.write_text("{")
    with pytest.raises(InputError, match="not a run record"):
        score(tmp_path, data["dev"][1], path, record)


def test_what_does_not_fit_is_told(tmp_path, data):
    options = options_of(tmp_path / "run", data, "graft")
    with pytest.raises(InputError, match="kind 'song': none of text, speech, graft"):
        train_sentiment.main(**options | {"kind": "song"})
    with pytest.raises(InputError, match="a classifier of kind graft needs --aligner"):
        train_sentiment.main(**options | {"aligner": None})
    with pytest.raises(InputError, match="a classifier of kind graft has no use for --speech"):
        train_sentiment.main(**options | {"speech": data["speech"]})
    with pytest.raises(InputError, match="1 manifests, but 2 tables"):
        train_sentiment.main(**options | {"labels": [data["train"][1]] * 2})
    with pytest.raises(InputError, match="12 of 12 clips have no sentiment, such as 'train-0'"):
        train_sentiment.main(**options | {"labels": [data["dev"][1]]})
    with pytest.raises(InputError, match="clip 'train-0' comes twice"):
        train_sentiment.main(
            **options | {"training": [data["train"][0]] * 2, "labels": [data["train"][1]] * 2}
        )
    data["train"][1].write_text(data["train"][1].read_text().replace("0,Negative", "3,Angry"))
    with pytest.raises(InputError, match="has none of the labels 0 Negative"):
        train_sentiment.main(**options)


def test_audio_that_is_missing_is_named(tmp_path, data):
    options = options_of(tmp_path / "run", data, "speech")
    (tmp_path / "speech" / "train" / "3.wav").unlink()
    with pytest.raises(InputError, match="train-3"):
        train_sentiment.main(**options)


def test_predictions_must_be_of_the_same_utterances(tmp_path, data):
    options = options_of(tmp_path / "run", data, "text", epochs=1)
    train_sentiment.main(**options)
    path = predict(tmp_path, data, options)
    lines = path.read_text().splitlines(keepends=True)

    def score_again(text):
        path.write_text(text)
        score(tmp_path, data["dev"][1], path, options["record"])

    with pytest.raises(InputError, match="5 predictions for 6 utterances of slue/dev, such as"):
        score_again("".join(lines[:-1]))
    with pytest.raises(InputError, match="comes twice"):
        score_again("".join([*lines, lines[-1]]))
    with pytest.raises(InputError, match="not a file of predictions"):
        score_again("id,label\n")
    with pytest.raises(InputError, match="another text encoder"):
        other = write_models(tmp_path / "other", seed=5)[1]
        load_classifier(options["weights"], load_bert(other))
    with pytest.raises(InputError, match="needs its text encoder"):
        load_classifier(options["weights"])
    with pytest.raises(InputError, match="not a classifier of hearsay"):
        load_classifier(path)
    with pytest.raises(InputError, match="is of kind text, not graft"):
        predict(tmp_path, data, {**options, "kind": "graft"})
    with pytest.raises(InputError, match="give each part once, as corpus/part=path"):
        predict_sentiment.named_paths(["a"], "--part")
    with pytest.raises(InputError, match="slue/dev: give it both as --part and as --labels"):
        predict_sentiment.main(
            run="a", seed=0, kind="text", weights=options["weights"], text=data["text"],
            part=[f"slue/dev={data['dev'][0]}"], labels=[f"slue/x={data['dev'][1]}"],
            settings="{}", threads=1, out=path, record=tmp_path / "p.json",
        )  # fmt: skip


def test_clips_that_cannot_be_heard_or_read_are_told(tmp_path, data):
    manifest = data["train"][0]
    original = [json.loads(line) for line in manifest.read_text().splitlines()]

    def fails(message, kind, keys=None, **changes):
        lines = [original[0] | changes, *original[1:]]
        manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(InputError, match=message):
            train_sentiment.main(**options_of(tmp_path / "run", data, kind, **keys or {}))

    soundfile.write(tmp_path / "speech" / "train" / "0.wav", np.zeros(200), 16_000)
    short = {"samples": 200, "duration": 200 / 16_000}
    fails("clip train-0: 0 frames of speech, but 1 are needed", "speech", **short)
    fails("clip train-0: 0 frames of speech, but 1 are needed", "graft", **short)
    fails(r"clip train-0: 0 frames of speech, but \d+ are", "graft", {"lengths": "text"}, **short)
    fails("clip train-0: its transcript has no word piece", "text", text=" ")
    fails("clip train-0: 42 word pieces, but the text encoder takes 40", "text", text="egg " * 40)


HEAD = "run\tkind\taligner\tcorpora\tvalidation\ttests\tseeds\tkeep\tbatch_size\tmicro_batch"
GRAFT = "g\tgraft\tbest\ts/train\ts/dev\ts/dev\t0,1\tbest\t\t"


def table(tmp_path, *lines):
    path = tmp_path / "sentiment.tsv"
    path.write_text("\n".join([HEAD, *lines]) + "\n", encoding="utf-8")
    return path


def test_the_table_of_classifiers(tmp_path):
    graft, speech = read_sentiment(
        table(tmp_path, GRAFT, "s\tspeech\t\ts/train\ts/dev\ts/dev s/two\t0\t\t\t")
    )
    assert graft.aligner == "best"
    assert graft.recipe.keep == "best"
    assert [part.name for part in speech.sets] == ["s/train", "s/dev", "s/dev", "s/two"]
    shipped = read_sentiment(hearsay.provenance.ROOT / "config/experiments/slu-sentiment.tsv")
    assert [each.kind for each in shipped] == ["text", "speech", *["graft"] * 4]
    assert all(len(each.seeds) == 5 for each in shipped)
    # SLUE's topline is a BERT that was fine-tuned; grafts have it fixed.
    assert [each.recipe.frozen_text for each in shipped] == [False, *[True] * 5]
    source = (hearsay.provenance.ROOT / "resources/published/wabert.csv").open(encoding="utf-8")
    with source:
        published = {row["row"] for row in csv.DictReader(source) if row["table"] == "3"}
    assert {each.published for each in shipped} <= published


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (GRAFT.replace("graft", "song"), "kind = 'song': none of text, speech, graft"),
        (GRAFT.replace("\tbest\ts/train", "\t\ts/train"), "name the aligner to graft"),
        (GRAFT.replace("graft", "text"), "kind text has none"),
        (GRAFT.replace("s/train", "s/train*2"), "no weights here"),
        (GRAFT.replace("s/train", ""), "name at least one part as corpora"),
        (GRAFT.replace("best\t\t", "worst\t\t"), "keep = 'worst'"),
        (GRAFT.replace("best\t\t", "best\t6\t4"), "6 is no multiple of micro_batch = 4"),
    ],
)
def test_wrong_rows(tmp_path, line, message):
    with pytest.raises(InputError, match=message) as told:
        read_sentiment(table(tmp_path, line))
    assert "sentiment.tsv, line 2" in str(told.value)


@pytest.mark.parametrize(
    ("kind", "key", "value", "message"),
    [
        ("graft", "speech", "hubert", "a graft has those of its aligner"),
        ("graft", "text", "bert", "a graft has those of its aligner"),
        ("speech", "text", "bert", "kind speech does not read it"),
        ("speech", "pooling", "cls", "kind speech does not read it"),
        ("speech", "frozen_text", "false", "kind speech does not read it"),
        ("text", "speech", "hubert", "kind text does not read it"),
        ("text", "frozen_speech", "nothing", "kind text does not read it"),
        ("text", "lengths", "text", "kind text does not read it"),
    ],
)
def test_keys_that_a_kind_does_not_read_are_refused(tmp_path, kind, key, value, message):
    cells = {"run": "x", "kind": kind, "aligner": "best" if kind == "graft" else ""}
    cells |= {"corpora": "s/train", "validation": "s/dev", "tests": "s/dev", "seeds": "0"}
    path = tmp_path / "sentiment.tsv"
    for last in (value, ""):
        lines = ["\t".join(each) for each in zip(*{**cells, key: last}.items(), strict=True)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if last:
            with pytest.raises(InputError, match=rf"line 2: {key} = '{value}': {message}"):
                read_sentiment(path)
        else:
            assert read_sentiment(path)[0].kind == kind
