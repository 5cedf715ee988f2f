"""Training of aligners: what it changes, exact resume, what it refuses; times of words."""

import itertools
import json
import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from tiny import (
    SILENCE,
    TINY,
    bert_model,
    sentences,
    sung,
    training_options,
    write_models,
    write_part,
)

from hearsay.corpora.manifest import read_manifest
from hearsay.corpora.word_times import read_word_times
from hearsay.errors import InputError
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu import align_words, train_aligner
from hearsay.slu.aligner_files import aligner_of, load_aligner
from hearsay.slu.batches import EpochBatches, SpeechTexts, WordPieces, padded, word_pieces
from hearsay.slu.bert_layers import load_bert, load_tokeniser
from hearsay.slu.objective import AlignmentLoss
from hearsay.slu.speech_encoder import load_speech_encoder
from hearsay.slu.train_aligner import Validation, schedule_of, weight_groups


@pytest.fixture
def speech(tmp_path):
    """Models, and parts to train and to validate on."""
    models = write_models(tmp_path / "models")
    folder = tmp_path / "speech"
    train, dev = (
        write_part(folder, "train", sentences(10)),
        write_part(folder, "dev", sentences(3, 1)),
    )
    return models, train, dev


def same(first, second):
    """Whether two trainings wrote the same bits."""
    a, b = load_file(first["weights"]), load_file(second["weights"])
    histories = [Path(each["history"]).read_bytes() for each in (first, second)]
    return all(torch.equal(a[n], b[n]) for n in a | b) and histories[0] == histories[1]


def test_what_it_writes(speech, tmp_path):
    models, *_ = speech
    options = training_options(tmp_path / "run", *speech, keep="best", edges="learned", layer=1)
    train_aligner.main(**options)
    history, record = pd.read_csv(options["history"]), json.loads(options["record"].read_text())
    assert history["epoch"].tolist() == [1, 2, 3]
    assert record["validation_loss"] == pytest.approx(history["validation_loss"].min())
    assert {"validation_quantity", "validation_wrong_lengths"} <= set(history.columns)
    assert (record["steps"], record["utterances"]) == (9, 10)
    assert not options["checkpoints"].exists()
    bert = load_bert(models[1])
    assert record["text_sha256"] == bert.digest()
    aligner, about = load_aligner(options["weights"], bert)
    assert about["recipe"] == json.loads(options["settings"])["recipe"]
    assert not aligner.training
    started = load_speech_encoder(models[0]).state_dict()
    assert any(not torch.equal(started[n], w) for n, w in aligner.speech.state_dict().items())
    assert not any(name.startswith("text") or "bert" in name for name in aligner.state_dict())


def test_an_aligner_needs_the_bert_that_it_was_aligned_to(speech, tmp_path):
    options = training_options(tmp_path / "run", *speech, epochs=0)
    train_aligner.main(**options)
    assert pd.read_csv(options["history"]).empty
    other = tmp_path / "other"
    bert_model(seed=7).save_pretrained(str(other))
    with pytest.raises(InputError, match="was aligned to another text encoder"):
        load_aligner(options["weights"], load_bert(other))
    with pytest.raises(InputError, match="not an aligner of hearsay"):
        load_aligner(options["history"], load_bert(other))


def arguments_of(options):
    """The same options for the step as a process."""
    arguments = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        arguments += [f"--{name}={each}" for each in values if each is not None]
    return arguments


def stop_after(monkeypatch, pieces):
    """SIGTERM comes during a step."""
    forward, count = train_aligner.AlignmentLoss.forward, 0

    def counting(self, batch):
        nonlocal count
        count += self.training
        if count == pieces:
            os.kill(os.getpid(), signal.SIGTERM)
        return forward(self, batch)

    monkeypatch.setattr(train_aligner.AlignmentLoss, "forward", counting)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_it_ends_with_the_same_bits(
    speech, tmp_path, number, monkeypatch, kill_in_training
):
    keys = {"spec_augment": True, "layerdrop": 0.2, "edges": "constant", "energy_gate": 30.0}
    keys |= {"frame_weight": 0.5, "path_weight": 1.0, "extra_layers": "0", "buckets": 2}
    whole = training_options(tmp_path / "whole", *speech, **keys)
    train_aligner.main(**whole)
    killed = training_options(tmp_path / "killed", *speech, **keys)
    if number == signal.SIGKILL:
        kill_in_training("hearsay.slu.train_aligner", arguments_of(killed), killed["checkpoints"])
    else:
        stop_after(monkeypatch, pieces=8)  # within the second epoch of three steps
        with pytest.raises(SystemExit):
            train_aligner.main(**killed)
        monkeypatch.undo()
    assert not killed["weights"].exists()
    train_aligner.main(**killed)
    assert same(whole, killed)


@pytest.mark.parametrize("paths", [0.0, 1.0])
def test_paths_have_a_rate_of_their_own_and_every_weight_one(speech, paths):
    recipe = AlignerRecipe(
        **TINY | {"edges": "constant", "path_weight": paths, "path_rate": 4.0, "learning_rate": 0.1}
    ).model_dump()
    bert = load_bert(speech[0][1])
    encoder = load_speech_encoder(speech[0][0], frozen="convolutions")
    network = AlignmentLoss(aligner_of(recipe, encoder, bert), bert, recipe)
    groups = weight_groups(network, recipe)
    assert [group["lr"] for group in groups] == [0.1, 0.4][: 1 + bool(paths)]
    given = [weight for group in groups for weight in group["params"]]
    assert len(given) == len({id(weight) for weight in given})
    assert {id(w) for w in given} == {id(w) for w in network.parameters() if w.requires_grad}
    if paths:
        assert {id(w) for w in groups[1]["params"]} == {
            id(w) for w in network.aligner.paths.parameters()
        }


def test_the_rate_rises_in_a_line_and_falls_in_one():
    recipe = AlignerRecipe(warmup_steps=4).model_dump()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = schedule_of(optimizer, recipe, 12), []
    for _ in range(12):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[5:] == pytest.approx([7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8])
    assert optimizer.param_groups[0]["lr"] == 0


def align(options, models, part, folder, batch_size=1, settings=None, **more):
    out = folder / "words.csv"
    align_words.main(
        weights=options["weights"],
        text=models[1],
        part=[part],
        settings=json.dumps({"device": "cpu", "batch_size": batch_size} | (settings or {})),
        threads=1,
        out=out,
        record=folder / "words.run.json",
        **more,
    )
    return read_word_times(out)


@pytest.mark.parametrize("preset", ["paper", "best"])
def test_words_are_in_order_within_the_audio_and_do_not_depend_on_the_batch(
    speech, tmp_path, preset
):
    models, train, dev = speech
    keys = {}
    if preset == "best":
        keys = {"edges": "constant", "energy_gate": 30.0, "masses": "characters", "trim": 0.02}
        keys |= {"path_weight": 1.0}
    options = training_options(tmp_path / "run", models, train, epochs=1, **keys)
    train_aligner.main(**options)
    found = align(options, models, dev, tmp_path)
    together = align(options, models, dev, tmp_path / "together", batch_size=3)
    for clip in read_manifest(dev):
        words = found[clip.id]
        assert [word.word for word in words] == clip.text.split()
        times = [time for word in words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= clip.duration
        if preset == "paper":
            assert all(a.end_s == b.start_s for a, b in itertools.pairwise(words))
        other = [t for word in together[clip.id] for t in (word.start_s, word.end_s)]
        assert other == pytest.approx(times, abs=1e-3)


def test_loading_processes_are_the_options(speech, tmp_path):
    models, train, dev = speech
    options = training_options(tmp_path / "run", models, train, dev, epochs=1)
    settings = json.loads(options["settings"]) | {"workers": -1}  # torch refuses to start -1
    train_aligner.main(**options | {"settings": json.dumps(settings)})
    assert json.loads(options["record"].read_text())["workers"] == 0
    align(options, models, dev, tmp_path, settings={"workers": -1})
    align(options, models, dev, tmp_path, workers=1)
    assert json.loads((tmp_path / "words.run.json").read_text())["workers"] == 1
    with pytest.raises(ValueError, match="num_workers"):
        train_aligner.main(**options, workers=-1)
    with pytest.raises(ValueError, match="num_workers"):
        align(options, models, dev, tmp_path, workers=-1)


def test_best_needs_no_training_for_words_of_letters_of_equal_length(speech, tmp_path):
    """The corpus of tones is what masses by characters and an energy gate expect."""
    import numpy as np

    models, train, dev = speech
    keys = {"edges": "constant", "energy_gate": 30.0, "masses": "characters", "trim": 0.02}
    options = training_options(tmp_path / "run", models, train, epochs=0, **keys)
    train_aligner.main(**options)
    for clip in read_manifest(dev):
        times = sung(clip.text, np.random.default_rng(0))[1]
        words = align(options, models, dev, tmp_path)[clip.id]
        errors = [
            abs(w.start_s - s) + abs(w.end_s - e) for w, (s, e) in zip(words, times, strict=True)
        ]
        assert max(errors) < 0.06
        assert words[0].start_s > SILENCE - 0.02


def test_pieces_nest_in_words(speech):
    pieces = WordPieces([2, 7, 9, 8, 3], [-1, 0, 0, 1, -1], [3, 2, 4, 1, 3])
    clip = read_manifest(speech[2])[0]
    clip = type(clip)(**{f: getattr(clip, f) for f in clip.__slots__} | {"text": "cabbage a"})
    left = torch.tensor([0.0, 0.1, 0.2, 0.3, 0.4])
    right = torch.tensor([0.1, 0.2, 0.3, 0.4, 9.0])
    words = align_words.word_times(clip, pieces, left, right)
    assert [(w.word, round(w.start_s, 3), round(w.end_s, 3)) for w in words] == [
        ("cabbage", 0.1, 0.3),
        ("a", 0.3, 0.4),
    ]


def replaced(clips, **keys):
    first = clips[0]
    return [type(first)(**{f: getattr(first, f) for f in first.__slots__} | keys), *clips[1:]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"text": ""}, "clip dev-0: its transcript is empty"),
        (
            {"text": "cab \u200b bed"},
            r"clip dev-0: the text encoder has no word piece for '\\u200b'",
        ),
        ({"text": "a " * 39}, "clip dev-0: 41 word pieces, but the text encoder takes 40"),
        ({"samples": 2_000}, r"clip dev-0: \d+ tokens in \d frames of speech; its transcript"),
        ({"samples": 100}, r"clip dev-0: \d+ tokens in 0 frames of speech; its transcript"),
    ],
)
def test_clips_that_cannot_be_aligned_are_refused_by_name(speech, keys, message):
    models, _, dev = speech
    clips = replaced(read_manifest(dev), **keys)
    text, tokeniser = load_bert(models[1]), load_tokeniser(models[1])
    encoder = load_speech_encoder(models[0])
    with pytest.raises(InputError, match=message):
        word_pieces(clips, tokeniser, speech=encoder, text=text, extra_tokens=2)


def test_word_pieces_know_their_words_and_characters(speech):
    models, _, dev = speech
    clips = replaced(read_manifest(dev), text="cabbage don't fade")[:1]
    text, tokeniser = load_bert(models[1]), load_tokeniser(models[1])
    encoder = load_speech_encoder(models[0])
    (found,) = word_pieces(clips, tokeniser, speech=encoder, text=text, extra_tokens=2)
    names = tokeniser.convert_ids_to_tokens(found.ids)
    assert names == ["[CLS]", "cab", "##bage", "don", "'", "t", "fad", "##e", "[SEP]"]
    assert found.words == [-1, 0, 0, 1, 1, 1, 2, 2, -1]
    assert found.characters == [3, 3, 4, 3, 1, 1, 3, 1, 3]


def test_batches_are_the_same_whenever_they_are_asked_for(speech):
    models, train, _ = speech
    clips = read_manifest(train)
    text, tokeniser = load_bert(models[1]), load_tokeniser(models[1])
    encoder = load_speech_encoder(models[0])
    held = SpeechTexts(
        clips, word_pieces(clips, tokeniser, speech=encoder, text=text, extra_tokens=2)
    )
    made = EpochBatches(held, batch_size=4, micro_batch=2, seed=3, buckets=2)
    assert made.steps_per_epoch == 3
    assert [len(step) for step in made.order(0)] == [4, 4, 2]
    assert sorted(n for step in made.order(1) for n in step) == list(range(10))
    assert [s.tolist() for s in made.order(0)] != [s.tolist() for s in made.order(1)]
    late, whole = list(made(0, 1)), list(made(0))[1:]
    assert all(
        torch.equal(x, y)
        for a, b in zip(late, whole, strict=True)
        for p, q in zip(a, b, strict=True)
        for x, y in zip(vars(p).values(), vars(q).values(), strict=True)
    )
    shares = [
        EpochBatches(held, batch_size=4, micro_batch=4, rank=rank, processes=2).order(0)
        for rank in range(2)
    ]
    assert [s.tolist() for s in shares[0]] == [s.tolist() for s in shares[1]]
    with pytest.raises(InputError, match="too few for 2 processes"):
        EpochBatches(SpeechTexts(held.clips[:1], held.texts[:1]), batch_size=4, micro_batch=4,
                     processes=2)  # fmt: skip
    batch = padded([held[0], held[1]])
    assert batch.ids[0, 0] == 2
    assert batch.ids.shape == batch.characters.shape


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"layer": 5}, "layer 5: the text encoder has layers 0 to 4"),
        ({"extra_layers": "9"}, "layer 9: the text encoder has layers 0 to 4"),
        ({"energy_gate": 30.0}, "set edges to 'constant' or 'learned'"),
    ],
)
def test_recipes_that_do_not_fit_are_refused(speech, tmp_path, keys, message):
    with pytest.raises(InputError, match=message):
        train_aligner.main(**training_options(tmp_path / "run", *speech, **keys))


def test_the_best_weights_need_a_validation_part(speech, tmp_path):
    models, train, _ = speech
    with pytest.raises(InputError, match="keep = 'best' asks for a validation part"):
        train_aligner.main(**training_options(tmp_path / "run", models, train, keep="best"))


def test_each_process_needs_a_clip_to_validate_on(speech):
    models, _, dev = speech
    clips = read_manifest(dev)
    encoder, text = load_speech_encoder(models[0]), load_bert(models[1])
    texts = word_pieces(clips, load_tokeniser(models[1]), speech=encoder, text=text, extra_tokens=2)
    for rank in range(4):  # the last one would have no losses to add to the others', which wait
        share = SimpleNamespace(global_rank=rank, world_size=4)
        with pytest.raises(InputError, match="3 clips to validate on, for 4 processes"):
            Validation(SpeechTexts(clips, texts), {"micro_batch": 2}, 0, share)


def test_weights_that_blow_up_are_told(speech, tmp_path):
    options = training_options(tmp_path, *speech[:2], learning_rate=1e10, warmup_steps=0)
    with pytest.raises(InputError, match=r"α is not a number.* smaller learning_rate"):
        train_aligner.main(**options)


def test_audio_that_is_not_as_prepared_stops_it(speech, tmp_path):
    """Stereo, or at 8 kHz: a prepared part has neither."""
    import numpy as np
    import soundfile

    models, train, _ = speech
    path = train.parent / "train" / "0.wav"
    samples, rate = soundfile.read(path)
    for sound, other in ((np.stack([samples, samples], 1), rate), (samples, 8_000)):
        soundfile.write(path, sound, other, subtype="PCM_16")
        with pytest.raises(InputError, match=r"'train-0' has \d channels at \d+ Hz, not one at"):
            train_aligner.main(**training_options(tmp_path / "run", models, train))
