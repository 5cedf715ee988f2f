"""Train one QuartzNet: from scratch, or from another one's encoder."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from nemo.collections.asr.models.ctc_models import EncDecCTCModel
from nemo.core.optim.lr_scheduler import CosineAnnealing
from nemo.core.optim.novograd import Novograd
from torch import Tensor, nn

from hearsay.asr.batches import EpochBatches, SpeechBatch, batches_by_length, share_of
from hearsay.asr.cutout import SafeCutout
from hearsay.asr.decoding import greedy_texts
from hearsay.asr.networks import quartznet, transfer_encoder
from hearsay.asr.recogniser_files import load_source, save_recogniser
from hearsay.corpora.alphabets import labels_of
from hearsay.corpora.manifest import Clip, read_manifest
from hearsay.errors import InputError
from hearsay.files import sha256_of
from hearsay.metrics.text import word_errors
from hearsay.training.clock import Clock
from hearsay.training.fabric import Fabric
from hearsay.training.job import Job
from hearsay.training.loop import Training, fit
from hearsay.training.snapshots import Snapshots

STEP = "hearsay.asr.train_recogniser"


class CtcLoss(nn.Module):
    """A recogniser with its loss, as data parallelism wants it: one module, one call.

    Returns the loss, mean over clips in nats, the log-probabilities [B, T, V + 1] and their lengths
    [B].
    """

    def __init__(self, model: EncDecCTCModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: SpeechBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss, log-probabilities and lengths of a batch."""
        log_probs, lengths, _ = self.model(
            input_signal=batch.audio, input_signal_length=batch.audio_lengths
        )
        log_probs = log_probs.float()
        loss = self.model.loss(
            log_probs=log_probs,
            targets=batch.targets,
            input_lengths=lengths,
            target_lengths=batch.target_lengths,
        )
        return loss, log_probs, lengths


def build_model(
    recipe: Mapping[str, Any], labels: Sequence[str], source: Path | None
) -> EncDecCTCModel:
    """The model before its first step; weights come from PyTorch's global generator or `source`.

    Raises
    ------
    InputError
        for a source of other blocks than the recipe's, besides what `transfer_encoder` refuses.
    """
    cutout = SafeCutout(
        *(recipe[key] for key in ("rect_masks", "rect_time", "rect_freq", "rect_share"))
    )
    fresh = quartznet(recipe["blocks"], labels, dropout=recipe["dropout"], cutout=cutout)
    model = fresh
    if source is not None:
        known = load_source(source)
        try:
            model = transfer_encoder(
                known,
                labels,
                same_alphabet=recipe["decoder"] == "same-alphabet",
                dropout=recipe["dropout"],
                cutout=cutout,
            )
        except InputError as error:
            raise InputError(f"{source}: {error}") from None
        if _shapes(model) != _shapes(fresh):
            raise InputError(
                f"{source}: its encoder is no QuartzNet {recipe['blocks']} "
                f"({sum(w.numel() for w in model.encoder.parameters())} parameters); set blocks "
                "to the source's"
            )
    if recipe["decoder"] == "fresh" and recipe["blank_bias"] is not None:
        with torch.no_grad():
            model.decoder.decoder_layers[0].bias[-1] = recipe["blank_bias"]
    return model


def _shapes(model: EncDecCTCModel) -> dict[str, torch.Size]:
    return {name: weight.shape for name, weight in model.encoder.state_dict().items()}


def optimizer_of(model: nn.Module, recipe: Mapping[str, Any]) -> Novograd:
    """NeMo's Novograd (B. Ginsburg et al., 2019) with the recipe's β and weight decay."""
    return Novograd(
        model.parameters(),
        lr=recipe["learning_rate"],
        betas=(recipe["beta1"], recipe["beta2"]),
        weight_decay=recipe["weight_decay"],
    )


def schedule_of(
    optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any], steps: int
) -> CosineAnnealing:
    """NeMo's cosine to 0 over `steps` steps, after a linear rise in the recipe's share of them."""
    return CosineAnnealing(
        optimizer, max_steps=steps, warmup_ratio=recipe["warmup_ratio"], min_lr=0.0
    )


class Validation:
    """Loss and word error rate on one part; data-parallel processes do a share each."""

    def __init__(
        self,
        clips: Sequence[Clip],
        labels: Sequence[str],
        recipe: Mapping[str, Any],
        workers: int,
        fabric: Fabric,
    ) -> None:
        self._clips = share_of(clips, fabric.global_rank, fabric.world_size)
        self._labels, self._fabric = labels, fabric
        self._loading = {"batch_size": recipe["micro_batch"], "workers": workers}

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Values for the history: mean loss a clip, and errors over words of all clips."""
        loss, errors, words = 0.0, 0, 0
        for clips, batch in batches_by_length(self._clips, self._labels, **self._loading):
            mean, log_probs, lengths = network(self._fabric.to_device(batch))
            loss += mean.item() * len(clips)
            texts = greedy_texts(log_probs, lengths, self._labels)
            for clip, text in zip(clips, texts, strict=True):
                # Of the text as it was prepared, not of what the alphabet's labels make of it.
                found = word_errors(clip.text.split(), text.split())
                errors, words = errors + found.errors, words + found.words
        sums = torch.tensor([loss, len(self._clips), errors, words], dtype=torch.float64)
        if self._fabric.world_size > 1:
            added = self._fabric.all_reduce(sums.to(self._fabric.device), reduce_op="sum")
            assert isinstance(added, torch.Tensor)
            sums = added.cpu()
        return {
            "validation_loss": float(sums[0] / sums[1]),
            "validation_wer": float(sums[2] / sums[3]),
        }


def main(
    language: str = typer.Option(help="language of corpora and alphabet"),
    run: str = typer.Option(help="name of the run, for messages"),
    seed: int = typer.Option(help="of weights, dropout, masks and the order of clips"),
    training: list[str] = typer.Option([], help="WEIGHT=MANIFEST of each part to train on"),
    validation: Path = typer.Option(help="manifest of the part to validate on"),
    source: Path | None = typer.Option(
        None, help="recogniser to start from: ours, or a .nemo file"
    ),
    settings: str = typer.Option(
        help="recipe, device, devices, precision as JSON; trajectory: number of "
        "snapshots; alphabet of a language that is not built in"
    ),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    weights: Path = typer.Option(help="safetensors to write"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
    trajectory: Annotated[
        Path | None, typer.Option(help="folder to write: weights at a few epochs")
    ] = None,
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Train one recogniser; killed and started again, it goes on where it was, step by step."""
    options = json.loads(settings)
    recipe = options["recipe"]
    labels = labels_of(language, options)
    named = [
        (float(weight), Path(path)) for weight, _, path in (t.partition("=") for t in training)
    ]
    job = Job(
        STEP,
        options,
        settings={"language": language, "run": run, "weights": [w for w, _ in named]},
        inputs=[*(path for _, path in named), validation, *([source] if source else [])],
        seed=seed,
        threads=threads,
        workers=workers,
    )
    fabric, model = job.fabric, build_model(recipe, labels, source)
    # A checkpoint of another language, alphabet, source or corpus is refused by name.
    folder = job.checkpoints(
        checkpoints,
        language=language,
        alphabet="".join(labels),
        run=run,
        weights=[weight for weight, _ in named],
        source=sha256_of(source) if source else "",
    )
    for other in folder.others():
        if (other.get("language"), other.get("alphabet")) != (language, "".join(labels)):
            raise InputError(
                f"{checkpoints}: holds a checkpoint of {other.get('language')} (alphabet "
                f"{other.get('alphabet')!r}); it is not resumed for {language}: name another "
                "folder, or remove that one"
            )
    checks = Validation(read_manifest(validation), labels, recipe, workers, fabric)
    network, clock = CtcLoss(model), Clock()
    about = {"language": language, "run": run, "seed": seed, "recipe": recipe}
    snapshots = Snapshots(
        folder,
        epochs=recipe["epochs"],
        count=options.get("trajectory", 0),
        save=lambda path: save_recogniser(path, model, about),
        writer=fabric.is_global_zero,
    )
    trained, steps, clips = _no_history(), 0, 0
    if recipe["epochs"]:
        batches = EpochBatches(
            [(read_manifest(path), weight) for weight, path in named],
            labels,
            **job.batching(recipe),
        )
        steps, clips = batches.steps_per_epoch * recipe["epochs"], batches.clips_per_epoch
        optimizer = optimizer_of(network, recipe)
        trained = fit(
            Training(
                model=network,
                optimizer=optimizer,
                schedule=schedule_of(optimizer, recipe, steps),
                batches=batches,
                batches_from=batches,
                steps_per_epoch=batches.steps_per_epoch,
                loss=lambda module, batch: module(batch)[0],
                evaluate=checks,
                epochs=recipe["epochs"],
                checkpoint_steps=200,
                monitor="validation_wer" if recipe["keep"] == "best" else None,
                patience=recipe["patience"],
                tensorboard=weights.with_suffix(".tensorboard"),
                carried=clock,
                snapshot=snapshots if trajectory else None,
            ),
            folder,
            fabric,
        )
    elif trajectory:
        snapshots(0)
    found = checks(network.to(fabric.device).eval())
    if not fabric.is_global_zero:
        return
    save_recogniser(weights, model, about)
    job.write(
        trained,
        history,
        record,
        steps=steps,
        clips_per_epoch=clips,
        training_seconds=round(clock.seconds, 3),
        parameters=sum(weight.numel() for weight in model.parameters()),
        alphabet="".join(labels),
        **found,
    )
    if trajectory:
        snapshots.finish(trajectory, len(trained))
    folder.remove()
    print(
        f"{language}, {run}, seed {seed}: {len(trained)} epochs, "
        f"validation word error rate {100 * found['validation_wer']:.2f} %",
        file=sys.stderr,
    )


def _no_history() -> pd.DataFrame:
    """The history of a model that is taken as it is."""
    return pd.DataFrame(
        columns=["epoch", "loss", "learning_rate", "validation_loss", "validation_wer"]
    )


if __name__ == "__main__":
    typer.run(main)
