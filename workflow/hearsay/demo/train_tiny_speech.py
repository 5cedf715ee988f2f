"""Train a tiny data2vec-audio with a CTC head over letters, for the demo.

Files are those of the hub: safetensors, `config.json`, the feature extractor's configuration and
the tokeniser's, read offline by ``AutoModel`` and ``AutoModelForCTC``. It has three convolutions
where data2vec has seven, and the first one starts as a bank of band-pass filters: there is too
little speech here to find these. As in data2vec, a frame comes every 20 ms.
"""

import json
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import typer
from torch import Tensor, nn
from torch.utils.data import Dataset

from hearsay.corpora.alphabets import Alphabet, alphabet_of
from hearsay.corpora.audio import RATE
from hearsay.corpora.manifest import Clip, read_audio, read_manifest
from hearsay.errors import InputError
from hearsay.files import whole_folder
from hearsay.metrics.text import character_errors
from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.clock import Clock
from hearsay.training.epoch_batches import EpochBatches
from hearsay.training.loop import Training, fit, start

STEP = "hearsay.demo.train_tiny_speech"
KERNELS, STRIDES = (80, 12, 2), (20, 8, 2)  # samples; a frame sees 29 ms
HEADS = 4
LOWEST, HIGHEST = 100.0, 7000.0  # Hz, of the filters
SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "|")  # the blank first, the delimiter of words last
DROPOUT = 0.05
BUCKETS = 4  # groups by length: little padding
HELD_OUT = 20  # every so manieth clip is held out, to say how well letters are known
IGNORED = -100


class SpokenLetters(Dataset):
    """Clips with the labels of their letters.

    Parameters
    ----------
    vocabulary : letter to label.

    Raises
    ------
    InputError
        naming the clip whose transcript is empty, has a letter that the vocabulary lacks, or is
        longer than CTC can find in its frames.
    """

    def __init__(self, clips: Sequence[Clip], vocabulary: dict[str, int]) -> None:
        self.clips = list(clips)
        self.labels = [_labels(clip, vocabulary) for clip in clips]
        for clip, labels in zip(self.clips, self.labels, strict=True):
            twice = sum(a == b for a, b in pairwise(labels))
            needed, there = len(labels) + twice, frames_of(clip.samples)
            if not labels:
                raise InputError(f"clip {clip.id}: its transcript is empty; leave it out")
            if needed > there:
                raise InputError(
                    f"clip {clip.id}: its transcript needs {needed} frames of speech, but there "
                    f"are {there}; leave it out"
                )

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> tuple[np.ndarray, list[int]]:
        return read_audio(self.clips[number]), self.labels[number]


def _labels(clip: Clip, vocabulary: dict[str, int]) -> list[int]:
    try:
        return [vocabulary["|" if letter == " " else letter] for letter in clip.text]
    except KeyError as error:
        raise InputError(
            f"clip {clip.id}: no label for {error.args[0]!r}; name the language of the speech, and "
            "speech of one language only"
        ) from None


def frames_of(samples: int) -> int:
    """Frames of so many samples at 16 kHz."""
    for kernel, stride in zip(KERNELS, STRIDES, strict=True):
        samples = max(0, (samples - kernel) // stride + 1)
    return samples


def vocabulary_of(alphabet: Alphabet) -> dict[str, int]:
    """Labels of the special tokens and of an alphabet's letters."""
    letters = [letter for letter in alphabet.letters if letter != " "]
    return {token: label for label, token in enumerate([*SPECIAL, *letters])}


def band_filters(count: int, length: int) -> Tensor:
    """Windowed waves [count, length] along the mel scale; at each pitch two, a quarter apart.

    Their gain grows with the pitch, since speech has little energy where its consonants are.
    """
    low, high = (math.log1p(hertz / 700) for hertz in (LOWEST, HIGHEST))
    pitches = 700 * torch.linspace(low, high, (count + 1) // 2).expm1()
    seconds = (torch.arange(length) - (length - 1) / 2) / RATE
    angles = 2 * math.pi * pitches[:, None] * seconds
    waves = torch.stack([angles.cos(), angles.sin()], dim=1).flatten(0, 1)[:count]
    waves = waves * torch.hann_window(length, periodic=False)
    gains = (pitches / pitches.mean()).repeat_interleave(2)[:count, None]
    return gains * waves / waves.norm(dim=1, keepdim=True)


def make_model(width: int, layers: int, vocabulary: int) -> Any:
    """A data2vec-audio of this width (convolutions, too) and depth with its CTC head."""
    from transformers import Data2VecAudioConfig, Data2VecAudioForCTC

    config = Data2VecAudioConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        intermediate_size=4 * width,
        conv_dim=(width,) * len(KERNELS),
        conv_kernel=KERNELS,
        conv_stride=STRIDES,
        conv_bias=True,  # without it the level would be lost in the normalisation
        num_conv_pos_embeddings=2,
        conv_pos_kernel_size=5,
        hidden_dropout=DROPOUT,
        attention_dropout=DROPOUT,
        activation_dropout=0.0,
        final_dropout=DROPOUT,
        layerdrop=0.0,
        mask_time_prob=0.0,
        ctc_loss_reduction="mean",
        pad_token_id=SPECIAL.index("<pad>"),
        bos_token_id=SPECIAL.index("<s>"),
        eos_token_id=SPECIAL.index("</s>"),
    )
    net = Data2VecAudioForCTC(config)
    first = net.data2vec_audio.feature_extractor.conv_layers[0].conv
    assert isinstance(first, torch.nn.Conv1d)
    with torch.no_grad():
        first.weight.copy_(band_filters(width, KERNELS[0])[:, None])
    return net


def extractor() -> Any:
    """The feature extractor of the hub's data2vec-audio: it normalises, pads and masks."""
    from transformers import Wav2Vec2FeatureExtractor

    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=RATE,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=True,
    )


def padded(items: Sequence[tuple[np.ndarray, list[int]]]) -> dict[str, Tensor]:
    """Clips as one batch with the names of the model's arguments."""
    audio = [samples for samples, _ in items]
    found = extractor()(audio, sampling_rate=RATE, padding=True, return_tensors="pt")
    labels = [torch.tensor(each) for _, each in items]
    return {
        "input_values": found["input_values"],
        "attention_mask": found["attention_mask"].long(),
        "labels": nn.utils.rnn.pad_sequence(labels, batch_first=True, padding_value=IGNORED),
    }


@torch.no_grad()
def letter_error_rate(net: nn.Module, held: SpokenLetters) -> float:
    """Edits a letter, blanks between words among them, of the likeliest label of each frame."""
    net.eval()
    wrong = total = 0
    for number in range(len(held)):
        batch = padded([held[number]])
        best = net(input_values=batch["input_values"]).logits[0].argmax(-1)
        found = [label for label in best.unique_consecutive().tolist() if label]
        # A character a label, for the edit distance.
        errors, count = character_errors(
            "".join(map(chr, held.labels[number])), "".join(map(chr, found))
        )
        wrong, total = wrong + errors, total + count
    return wrong / total


def save_model(folder: Path, net: Any, vocabulary: dict[str, int]) -> None:
    """Write all files that the hub has of such a model."""
    from transformers import Wav2Vec2CTCTokenizer

    net.save_pretrained(folder)
    extractor().save_pretrained(folder)
    listed = folder / "vocab.json"
    listed.write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    Wav2Vec2CTCTokenizer(str(listed)).save_pretrained(folder)


def main(
    model: str = typer.Option(help="name of the model in the configuration"),
    training: list[Path] = typer.Option(help="manifest of each part to train on"),
    language: str = typer.Option(help="whose letters the transcripts are written in"),
    settings: str = typer.Option(
        help="width, layers, epochs, learning_rate, batch_size, seed and, for a language that is "
        "not built in, alphabet as JSON"
    ),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    out: Path = typer.Option(help="folder to write, in the hub's layout"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder of checkpoints while it runs"),
) -> None:
    """Train on prepared clips; killed and started again, it goes on where it was."""
    options = json.loads(settings)
    seed = options["seed"]
    torch.set_num_threads(threads)
    named = {"model": model, "language": language, **options}
    run = Run(STEP, settings=named, inputs=training, seed=seed)
    fabric = start(seed, device="cpu")
    clips = [clip for path in training for clip in read_manifest(path)]
    vocabulary = vocabulary_of(alphabet_of(language, options))
    held = SpokenLetters(clips[::HELD_OUT], vocabulary)
    heard = SpokenLetters([c for k, c in enumerate(clips) if k % HELD_OUT], vocabulary)
    if not heard:
        raise InputError(
            f"models.{model}: speech has {len(clips)} clip, which is held out; name more speech"
        )
    batches = EpochBatches(
        heard,
        [clip.samples for clip in heard.clips],
        padded,
        batch_size=options["batch_size"],
        micro_batch=options["batch_size"],
        buckets=BUCKETS,
        seed=seed,
    )
    steps = batches.steps_per_epoch * options["epochs"]
    net, clock = make_model(options["width"], options["layers"], len(vocabulary)), Clock()
    optimizer = torch.optim.AdamW(net.parameters(), lr=options["learning_rate"], weight_decay=0.01)
    identity = {
        "step": STEP,
        "settings": named,
        "threads": threads,
        "code": code_of(STEP),
        "inputs": [each["sha256"] for each in run.record["inputs"]],
    }
    folder = CheckpointFolder(checkpoints, identity)
    history = fit(
        Training(
            model=net,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.OneCycleLR(
                optimizer, options["learning_rate"], total_steps=steps + 1, pct_start=0.15
            ),
            batches=batches,
            batches_from=batches,
            steps_per_epoch=batches.steps_per_epoch,
            loss=lambda module, batch: module(**batch).loss,
            epochs=options["epochs"],
            clip_norm=1.0,
            carried=clock,
        ),
        folder,
        fabric,
    )
    rate = letter_error_rate(net, held)
    with whole_folder(out) as temporary:
        save_model(temporary, net, vocabulary)
    run.write(
        record,
        threads=threads,
        utterances=len(heard),
        steps=steps,
        training_seconds=round(clock.seconds, 3),
        parameters=sum(p.numel() for p in net.parameters()),
        vocabulary=len(vocabulary),
        final_loss=float(history["loss"].iloc[-1]),
        held_out_letter_error_rate=rate,
    )
    folder.remove()
    print(f"{model}: held-out letter error rate {rate:.3f}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
