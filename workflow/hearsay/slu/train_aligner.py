"""Train one aligner: speech to the states of one of BERT's layers (Section 3)."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from torch import nn

from hearsay.corpora.manifest import read_manifest
from hearsay.errors import InputError
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu.aligner import Aligner
from hearsay.slu.aligner_files import aligner_of, save_aligner
from hearsay.slu.batches import (
    EpochBatches,
    SpeechTexts,
    WordPieces,
    batches_by_length,
    word_pieces,
)
from hearsay.slu.bert_layers import BertLayers, load_bert, load_tokeniser
from hearsay.slu.objective import AlignmentLoss
from hearsay.slu.recipes import checked
from hearsay.slu.speech_encoder import load_speech_encoder
from hearsay.training.clock import Clock
from hearsay.training.fabric import Fabric
from hearsay.training.job import Job
from hearsay.training.loop import Training, fit
from hearsay.training.schedules import linear_schedule

STEP = "hearsay.slu.train_aligner"
EDGE_TEXTS = 256  # transcripts whose [CLS] and [SEP] constant edges are the mean of


class Validation:
    """The losses on one part, means over utterances; data-parallel processes do a share each.

    Raises
    ------
    InputError
        for fewer clips than processes.
    """

    def __init__(
        self, held: SpeechTexts, recipe: Mapping[str, Any], workers: int, fabric: Fabric
    ) -> None:
        if len(held) < fabric.world_size:
            raise InputError(
                f"{len(held)} clips to validate on, for {fabric.world_size} processes; name a "
                "larger part as validation, or fewer slu.devices"
            )
        share = slice(fabric.global_rank, None, fabric.world_size)
        self._held = SpeechTexts(held.clips[share], held.texts[share])
        self._fabric = fabric
        self._loading = {"batch_size": recipe["micro_batch"], "workers": workers}

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Values for the history: ``validation_`` and the names that `AlignmentLoss` gives."""
        sums: dict[str, float] = {}
        with torch.no_grad():
            for numbers, batch in batches_by_length(self._held, **self._loading):
                for name, value in network(self._fabric.to_device(batch)).items():
                    sums[name] = sums.get(name, 0.0) + value.item() * len(numbers)
        totals = torch.tensor([*sums.values(), len(self._held)], dtype=torch.float64)
        if self._fabric.world_size > 1:
            added = self._fabric.all_reduce(totals.to(self._fabric.device), reduce_op="sum")
            assert isinstance(added, torch.Tensor)
            totals = added.cpu()
        return {
            f"validation_{name}": float(total / totals[-1])
            for name, total in zip(sums, totals, strict=False)
        }


def schedule_of(
    optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any], steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """A linear rise over the warm-up's steps, then a linear fall to 0 at the last (Section 3.3)."""
    return linear_schedule(optimizer, warmup=recipe["warmup_steps"], steps=steps)


def weight_groups(network: AlignmentLoss, recipe: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is trained, at which peak rate: the paths of a known text have their own."""
    paths = list(network.aligner.paths.parameters()) if network.aligner.paths is not None else []
    own = {id(weight) for weight in paths}
    rest = [w for w in network.parameters() if w.requires_grad and id(w) not in own]
    rate = recipe["learning_rate"]
    groups = [{"params": rest, "lr": rate}]
    return [*groups, {"params": paths, "lr": rate * recipe["path_rate"]}] if paths else groups


def set_edges(aligner: Aligner, text: BertLayers, texts: Sequence[WordPieces]) -> None:
    """Make constant or learned edges the mean of BERT's states of [CLS] and [SEP]."""
    if aligner.edges == "emitted":
        return
    states = []
    for each in texts[:EDGE_TEXTS]:
        ids = torch.tensor([each.ids])
        (state,) = text.states(ids, torch.ones_like(ids, dtype=torch.bool), [aligner.layer])
        states.append(state[0, [0, -1]])
    with torch.no_grad():
        aligner.around.copy_(torch.stack(states).mean(0))


def main(
    run: str = typer.Option(help="name of the run, for messages"),
    seed: int = typer.Option(help="of weights, dropout and the order of utterances"),
    training: list[Path] = typer.Option(help="manifest of each part to train on"),
    validation: Path | None = typer.Option(None, help="manifest of the part to validate on"),
    speech: Path = typer.Option(help="folder of the speech encoder to start from"),
    text: Path = typer.Option(help="folder of the text encoder, with its tokeniser"),
    settings: str = typer.Option(help="recipe, device, devices, precision as JSON"),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    weights: Path = typer.Option(help="safetensors to write"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Train one aligner; killed and started again, it goes on where it was, step by step."""
    options = json.loads(settings)
    recipe = checked(AlignerRecipe(**options["recipe"])).model_dump()
    if recipe["keep"] == "best" and validation is None:
        raise InputError("keep = 'best' asks for a validation part to choose the best weights on")
    job = Job(
        STEP,
        options,
        settings={"run": run},
        inputs=[*training, *([validation] if validation else []), speech, text],
        seed=seed,
        threads=threads,
        workers=workers,
    )
    fabric = job.fabric
    bert, tokeniser = load_bert(text), load_tokeniser(text)
    encoder = load_speech_encoder(
        speech, **{key: recipe[key] for key in ("frozen", "layerdrop", "spec_augment")}
    )
    aligner = aligner_of(recipe, encoder, bert)

    def read(paths: Sequence[Path]) -> SpeechTexts:
        clips = [clip for path in paths for clip in read_manifest(path)]
        extra = aligner.extra_tokens
        pieces = word_pieces(clips, tokeniser, speech=encoder, text=bert, extra_tokens=extra)
        return SpeechTexts(clips, pieces)

    held = read(training)
    frames = sum(encoder.frames_of(clip.samples) for clip in held.clips)
    rate = sum(len(each.ids) - 2 + aligner.extra_tokens for each in held.texts) / frames
    aligner.alpha.set_rate(rate)
    set_edges(aligner, bert, held.texts)
    network, clock, before = AlignmentLoss(aligner, bert, recipe), Clock(), bert.digest()
    checks = None
    if validation is not None:
        checks = Validation(read([validation]), recipe, workers, fabric)
    folder = job.checkpoints(checkpoints, run=run)
    trained, steps = pd.DataFrame(columns=["epoch", "loss", "learning_rate"]), 0
    if recipe["epochs"]:
        batches = EpochBatches(held, **job.batching(recipe))
        steps = batches.steps_per_epoch * recipe["epochs"]
        optimizer = torch.optim.AdamW(
            weight_groups(network, recipe),
            lr=recipe["learning_rate"],
            weight_decay=recipe["weight_decay"],
        )
        trained = fit(
            Training(
                model=network,
                optimizer=optimizer,
                schedule=schedule_of(optimizer, recipe, steps),
                batches=batches,
                batches_from=batches,
                steps_per_epoch=batches.steps_per_epoch,
                loss=lambda module, batch: module(batch)["loss"],
                evaluate=checks,
                epochs=recipe["epochs"],
                clip_norm=recipe["clip_norm"],
                checkpoint_steps=200,
                monitor="validation_loss" if recipe["keep"] == "best" else None,
                tensorboard=weights.with_suffix(".tensorboard"),
                carried=clock,
            ),
            folder,
            fabric,
        )
    found = checks(network.to(fabric.device).eval()) if checks else {}
    if not fabric.is_global_zero:
        return
    if bert.digest() != before:
        raise RuntimeError("the frozen text encoder has changed in training")
    save_aligner(weights, aligner, bert, {"run": run, "seed": seed, "recipe": recipe})
    job.write(
        trained,
        history,
        record,
        steps=steps,
        utterances=len(held),
        tokens_per_frame=rate,
        training_seconds=round(clock.seconds, 3),
        parameters=sum(each.numel() for each in aligner.parameters()),
        trained_parameters=sum(each.numel() for each in aligner.parameters() if each.requires_grad),
        text_sha256=before,
        **found,
    )
    folder.remove()
    shown = f", validation loss {found['validation_loss']:.4g}" if found else ""
    print(f"{run}, seed {seed}: {len(trained)} epochs{shown}", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
