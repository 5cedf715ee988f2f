"""Train one classifier of sentiment on text, on speech, or on a graft (Section 4.2)."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from torch import nn

from hearsay.corpora.slue import LABELS
from hearsay.metrics.classification import class_scores
from hearsay.settings.slu import SentimentRecipe
from hearsay.slu.sentiment import SentimentClassifier, class_weights, reading_of
from hearsay.slu.sentiment_batches import (
    SentimentBatch,
    SentimentClips,
    batches_by_length,
    epochs_of,
    read_sentiments,
)
from hearsay.slu.sentiment_files import save_classifier
from hearsay.slu.sentiment_start import started
from hearsay.training.clock import Clock
from hearsay.training.fabric import Fabric
from hearsay.training.job import Job
from hearsay.training.loop import Training, fit
from hearsay.training.schedules import linear_schedule

STEP = "hearsay.slu.train_sentiment"


class SentimentLoss(nn.Module):
    """A classifier with its loss, as one module with one call."""

    weights: torch.Tensor

    def __init__(self, model: SentimentClassifier, weights: torch.Tensor) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, batch: SentimentBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss, a mean over utterances of their class's weight times cross-entropy; and scores."""
        scores = self.model(batch).float()
        each = nn.functional.cross_entropy(scores, batch.labels, reduction="none")
        return (each * self.weights[batch.labels]).mean(), scores


class Validation:
    """Loss, accuracy and macro F1 of one part; data-parallel processes do all of it each."""

    def __init__(
        self, held: SentimentClips, recipe: Mapping[str, Any], workers: int, fabric: Fabric
    ):
        self._held, self._fabric = held, fabric
        self._loading = {"batch_size": recipe["micro_batch"], "workers": workers}

    def __call__(self, network: nn.Module) -> dict[str, float]:
        """Values for the history; ``validation_macro_f1_error`` is 1 less macro F1."""
        predicted, total = [0] * len(self._held), 0.0
        with torch.no_grad():
            for numbers, batch in batches_by_length(self._held, **self._loading):
                loss, scores = network(batch.to(self._fabric.device))
                total += loss.item() * len(numbers)
                for number, label in zip(numbers, scores.argmax(1).tolist(), strict=True):
                    predicted[number] = label
        found = class_scores(self._held.labels, predicted, range(len(LABELS)))
        return {
            "validation_loss": total / len(self._held),
            "validation_accuracy": found.accuracy,
            "validation_macro_f1": found.averages["macro f1"],
            "validation_macro_f1_error": 1 - found.averages["macro f1"],
        }


def optimizer_of(model: SentimentClassifier, recipe: Mapping[str, Any]) -> torch.optim.Optimizer:
    """AdamW; the head has a rate of its own."""
    head = list(model.head.parameters())
    body = [p for p in model.features.parameters() if p.requires_grad]
    groups = [{"params": head, "lr": recipe["learning_rate"] * recipe["head_rate"]}]
    if body:
        groups.append({"params": body, "lr": recipe["learning_rate"]})
    return torch.optim.AdamW(groups, weight_decay=recipe["weight_decay"])


def schedule_of(
    optimizer: torch.optim.Optimizer, recipe: Mapping[str, Any], steps: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """A linear rise over the warm-up's share of steps, then a linear fall to 0."""
    warmup = max(1, round(recipe["warmup_ratio"] * steps))
    return linear_schedule(optimizer, warmup=warmup, steps=steps)


def main(
    run: str = typer.Option(help="name of the run"),
    seed: int = typer.Option(help="of the head, dropout and the order of utterances"),
    kind: str = typer.Option(help="text, speech or graft"),
    training: list[Path] = typer.Option(help="manifest of each part to train on"),
    labels: list[Path] = typer.Option(help="sentiments of each of them, in the same order"),
    validation: Path = typer.Option(help="manifest of the part to validate on"),
    validation_labels: Path = typer.Option(help="sentiments of it"),
    speech: Path | None = typer.Option(None, help="folder of the speech encoder (kind speech)"),
    text: Path | None = typer.Option(
        None, help="folder of the text encoder (kinds text and graft)"
    ),
    aligner: Path | None = typer.Option(None, help="weights of the aligner (kind graft)"),
    settings: str = typer.Option(help="recipe, device, devices, precision as JSON"),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    weights: Path = typer.Option(help="safetensors to write"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
    workers: Annotated[int, typer.Option(help="processes that load audio; 0: none besides")] = 0,
) -> None:
    """Train one classifier; killed and started again, it goes on where it was, step by step."""
    options = json.loads(settings)
    recipe = SentimentRecipe(**options["recipe"]).model_dump()
    models = [path for path in (speech, text, aligner) if path is not None]
    job = Job(
        STEP,
        options,
        settings={"run": run, "kind": kind},
        inputs=[*training, *labels, validation, validation_labels, *models],
        seed=seed,
        threads=threads,
        workers=workers,
    )
    fabric = job.fabric
    begun = started(kind, recipe, speech, text, aligner)
    reading = reading_of(begun.model, begun.tokeniser)
    held = read_sentiments(training, labels, **reading)
    checked = read_sentiments([validation], [validation_labels], **reading)
    batches = epochs_of(held, **job.batching(recipe))
    network = SentimentLoss(begun.model, class_weights(held.labels, recipe["class_weights"]))
    optimizer, clock = optimizer_of(begun.model, recipe), Clock()
    steps = batches.steps_per_epoch * recipe["epochs"]
    checks = Validation(checked, recipe, workers, fabric)
    folder = job.checkpoints(checkpoints, run=run, kind=kind)
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
            clip_norm=recipe["clip_norm"],
            checkpoint_steps=200,
            monitor="validation_macro_f1_error" if recipe["keep"] == "best" else None,
            carried=clock,
        ),
        folder,
        fabric,
    )
    found = checks(network.to(fabric.device).eval())
    if not fabric.is_global_zero:
        return
    if begun.text is not None and recipe["frozen_text"] and begun.text.digest() != begun.digest:
        raise RuntimeError("the frozen text encoder has changed in training")
    about = {"run": run, "seed": seed, "kind": kind, "recipe": recipe, "text": begun.digest}
    save_classifier(weights, begun.model, about | {"aligner": begun.aligner})
    job.write(
        pd.DataFrame(trained).drop(columns="validation_macro_f1_error"),
        history,
        record,
        steps=steps,
        utterances=len(held),
        training_seconds=round(clock.seconds, 3),
        parameters=sum(each.numel() for each in begun.model.parameters()),
        trained_parameters=sum(p.numel() for p in begun.model.parameters() if p.requires_grad),
        **{name: value for name, value in found.items() if not name.endswith("error")},
    )
    folder.remove()
    print(
        f"{run}, seed {seed}: {len(trained)} epochs, validation macro F1 "
        f"{found['validation_macro_f1']:.3f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
