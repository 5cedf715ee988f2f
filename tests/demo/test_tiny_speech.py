"""A tiny data2vec-audio: files as from the hub, exact resume, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hearsay.corpora.alphabets import Alphabet, alphabet_of
from hearsay.corpora.manifest import Clip, write_manifest
from hearsay.demo import train_tiny_speech
from hearsay.demo.train_tiny_speech import band_filters, frames_of, make_model, vocabulary_of
from hearsay.errors import InputError

RATE = 16_000
OPTIONS = {"width": 16, "layers": 1, "epochs": 2, "batch_size": 4, "learning_rate": 0.003}


def write_part(folder: Path, texts: list[str], seconds: float = 0.5) -> Path:
    draw = np.random.default_rng(0)
    clips = []
    for number, text in enumerate(texts):
        path, sound = folder / f"{number}.wav", 0.1 * draw.standard_normal(int(seconds * RATE))
        soundfile.write(path, sound, RATE, subtype="PCM_16")
        facts = (len(sound) / RATE, len(sound), text, text, "")
        clips.append(Clip(f"clip-{number}", path, None, None, *facts))
    write_manifest(folder / "part.jsonl", clips)
    return folder / "part.jsonl"


def train(manifest: Path, folder: Path, language: str = "en") -> Path:
    folder.mkdir(exist_ok=True)
    train_tiny_speech.main(
        model="tiny",
        training=[manifest],
        language=language,
        settings=json.dumps(OPTIONS | {"seed": 0}),
        threads=1,
        out=folder / "tiny",
        record=folder / "tiny.run.json",
        checkpoints=folder / "training",
    )
    return folder / "tiny"


@pytest.fixture(autouse=True)
def _as_before():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_part(tmp_path_factory.mktemp("speech"), ["the dog", "can't", "a fox"] * 4)


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(manifest, tmp_path_factory.mktemp("trained"))


def test_read_as_the_hubs(trained: Path) -> None:
    from transformers import AutoFeatureExtractor, AutoModel, AutoModelForCTC, Wav2Vec2CTCTokenizer

    for kind in (AutoModel, AutoModelForCTC):
        model, about = kind.from_pretrained(trained, output_loading_info=True)
        assert model.config.model_type == "data2vec-audio"
        assert not about["missing_keys"]
    assert AutoFeatureExtractor.from_pretrained(trained).do_normalize
    tokeniser = Wav2Vec2CTCTokenizer.from_pretrained(trained)
    labels = tokeniser("can't go").input_ids
    english = vocabulary_of(alphabet_of("en"))
    assert labels == [english[letter] for letter in "can't|go"]
    assert tokeniser.decode(labels) == "can't go"
    assert model.config.pad_token_id == english["<pad>"] == 0
    assert model.lm_head.out_features == len(english)
    assert list(vocabulary_of(Alphabet(" bé")))[-2:] == ["b", "é"]


def test_record(trained: Path) -> None:
    record = json.loads(trained.with_name("tiny.run.json").read_text())
    assert record["utterances"] == 11  # of 12 one is held out
    assert record["steps"] == 6
    assert np.isfinite(record["final_loss"])
    assert record["held_out_letter_error_rate"] >= 0
    assert not trained.with_name("training").exists()


def test_a_frame_every_20_ms() -> None:
    model = make_model(16, 1, 8).eval()
    for samples in (460, 779, 780, 16_000):
        with torch.no_grad():
            assert model(torch.randn(1, samples)).logits.shape[1] == frames_of(samples)
    assert frames_of(459) == 0
    assert frames_of(16_000 + 320) == frames_of(16_000) + 1


def test_killed_and_started_again(
    manifest: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first epoch, it ends with the same bits."""
    from hearsay.training import loop

    kept = loop.save

    def killed(*arguments) -> None:
        kept(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save", killed)
    with pytest.raises(KeyboardInterrupt):
        train(manifest, tmp_path)
    assert not (tmp_path / "tiny").exists()
    assert list((tmp_path / "training").glob("*/checkpoint.pt"))
    monkeypatch.setattr(loop, "save", kept)
    again = train(manifest, tmp_path) / "model.safetensors"
    assert again.read_bytes() == (trained / "model.safetensors").read_bytes()


def test_filters_are_bands() -> None:
    """Each answers most to its own pitch, and pitches rise."""
    filters = band_filters(32, 80)
    assert filters.shape == (32, 80)
    spectra = torch.fft.rfft(filters, 4096).abs()
    peaks = spectra.argmax(1)[::2]
    assert (peaks[4:].diff() > 0).all()
    assert peaks[-1].item() * RATE / 4096 == pytest.approx(7000, abs=60)


@pytest.mark.parametrize(
    ("texts", "seconds", "language", "message"),
    [
        (["a fox", "", "a"], 0.5, "en", "clip clip-1: its transcript is empty"),
        (["a", "the dog waits here"], 0.2, "en", "clip-1: its transcript needs 18 frames"),
        (["a", "тут"], 0.5, "en", "clip clip-1: no label for 'т'; name the language"),
        (["a fox"], 0.5, "en", "models.tiny: speech has 1 clip, which is held out"),
        (["a", "b"], 0.5, "fr", "language 'fr': no alphabet"),
    ],
)
def test_refused(
    texts: list[str], seconds: float, language: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(write_part(tmp_path, texts, seconds), tmp_path / "out", language)
    assert not (tmp_path / "out" / "tiny").exists()
