"""What the trainings of both stages share: examples, optimiser, schedule, the fit itself."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.losses import IGNORED
from hearsay.brain.window_features import features_of
from hearsay.brain.windows import Window
from hearsay.errors import InputError
from hearsay.training.fabric import Fabric
from hearsay.training.loop import Training

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class Examples:
    """Windows ready for training: target tokens, text features, responses (views, not copies)."""

    ids: list[list[int]]
    features: Tensor
    responses: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    def batch(self, chosen: Sequence[int]) -> dict[str, Tensor]:
        """``ids``, ``labels`` [B, L] padded on the right, ``feature`` [B, F], ``responses``."""
        rows = [self.ids[i] for i in chosen]
        longest = max(1, *map(len, rows))  # silence has no token
        padded = torch.tensor([row + [IGNORED] * (longest - len(row)) for row in rows])
        return {
            "ids": padded.clamp_min(0),
            "labels": padded,
            "feature": self.features[list(chosen)],
            "responses": torch.from_numpy(np.stack([self.responses[i] for i in chosen])),
        }


def make_examples(
    windows: Sequence[Window],
    text: AlignedText,
    encoder: "tuple[PreTrainedModel, Any]",
    recipe: Mapping[str, Any],
    *,
    what: str,
) -> Examples:
    """Tokenise the windows' text and compute the frozen encoder's features once."""
    if not windows:
        raise InputError(f"no {what} window: every story is shorter than recipe.window")
    before = text.shortened
    ids = [text.encode(window.words) for window in windows]
    if text.shortened > before:
        print(
            f"{text.shortened - before} of {len(windows)} {what} windows lost words to fit "
            f"recipe.max_tokens = {text.max_tokens}",
            file=sys.stderr,
        )
    return Examples(ids, features_of(windows, encoder, recipe), [w.responses for w in windows])


def training_of(
    module: nn.Module,
    networks: Sequence[nn.Module],
    language_model: nn.Module,
    examples: Examples,
    recipe: Mapping[str, Any],
    *,
    epochs: int,
    fabric: Fabric,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None,
    tensorboard: Path,
) -> Training:
    """AdamW with a linear warm-up and decay; whole batches in an order drawn for each epoch."""
    optimizer = torch.optim.AdamW(
        [
            *_groups(networks, recipe["learning_rate"], recipe["weight_decay"]),
            *_groups(
                [language_model], recipe["language_model_learning_rate"], recipe["weight_decay"]
            ),
        ]
    )
    size = min(recipe["batch_size"], len(examples))
    steps = len(examples) // size  # the last, smaller batch is left out: fewer negatives
    total = epochs * steps
    rising = max(round(recipe["warmup"] * total), 1)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / rising, max(total - step, 0) / max(total - rising, 1)),
    )

    def batches(epoch: int) -> Iterator[dict[str, Tensor]]:
        draw = torch.Generator().manual_seed(recipe["seed"] * 100_003 + epoch)
        order = torch.randperm(len(examples), generator=draw).tolist()
        for k in range(steps):
            whole = order[k * size : (k + 1) * size]
            yield examples.batch(whole[fabric.global_rank :: fabric.world_size])

    return Training(
        model=module,
        optimizer=optimizer,
        schedule=schedule,
        batches=batches,
        steps_per_epoch=steps,
        loss=lambda model, batch: model(batch),
        evaluate=evaluate,
        epochs=epochs,
        clip_norm=recipe["clip_norm"],
        checkpoint_steps=200,
        # Without patience the last weights count, not the best.
        monitor="validation_loss" if evaluate and recipe["patience"] is not None else None,
        patience=recipe["patience"],
        tensorboard=tensorboard,
    )


def in_batches(examples: Examples, size: int) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """All examples in order; the number and the batch."""
    for first in range(0, len(examples), size):
        chosen = range(first, min(first + size, len(examples)))
        yield len(chosen), examples.batch(chosen)


def _groups(modules: Sequence[nn.Module], rate: float, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups; vectors (biases, norms) do not decay."""
    weights = [w for module in modules for w in module.parameters() if w.requires_grad]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "lr": rate, "weight_decay": weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "lr": rate, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
