"""Where a training stands, and how that is kept in its checkpoint."""

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import nn

from hearsay.errors import InputError
from hearsay.training.checkpoints import CheckpointFolder, random_states, set_random_states
from hearsay.training.fabric import Fabric

if TYPE_CHECKING:
    from hearsay.training.loop import Training


@dataclass
class Cursor:
    """Where the training stands: the next step to take, and what has been seen so far."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = math.inf
    best_epoch: int = 0

    def over(self, training: "Training") -> bool:
        """Whether all epochs are done, or patience is at its end."""
        if self.epoch >= training.epochs:
            return True
        if training.monitor is None or training.patience is None:
            return False
        return self.epoch - self.best_epoch >= training.patience


def trained_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: all of the state but parameters that are frozen."""
    weights = model.named_parameters(remove_duplicate=False)  # tied ones under both names
    frozen = {name for name, weight in weights if not weight.requires_grad}
    return {name: tensor for name, tensor in model.state_dict().items() if name not in frozen}


def save(
    training: "Training",
    folder: CheckpointFolder,
    cursor: Cursor,
    best: Mapping[str, torch.Tensor],
    fabric: Fabric,
) -> None:
    """Write the checkpoint; all processes wait for the one that does."""
    if fabric.is_global_zero:
        folder.save(
            {
                "model": trained_state(training.model),
                "best": dict(best),
                "optimizer": training.optimizer.state_dict(),
                "schedule": training.schedule.state_dict() if training.schedule else {},
                "random": random_states(),
                "precision": fabric._precision.state_dict(),  # of 16-mixed: its loss's scale
                "carried": training.carried.state_dict() if training.carried else {},
                "cursor": vars(cursor),
            }
        )
    fabric.barrier()


def restore(
    training: "Training", folder: CheckpointFolder, fabric: Fabric
) -> tuple[Cursor, dict[str, torch.Tensor]]:
    """Put back what the checkpoint holds: the cursor, and the best weights so far.

    Raises
    ------
    InputError
        for the checkpoint of another network.
    """
    state = folder.load()
    if state is None:
        return Cursor(), {}
    missing = set(trained_state(training.model)) - set(state["model"])
    unexpected = training.model.load_state_dict(state["model"], strict=False).unexpected_keys
    if missing or unexpected:
        raise InputError(
            f"{folder.loaded}: its weights are another network's "
            f"({', '.join(sorted([*missing, *unexpected])[:3])}); remove it to start afresh"
        )
    training.optimizer.load_state_dict(state["optimizer"])
    if training.schedule is not None:
        training.schedule.load_state_dict(state["schedule"])
    set_random_states(state["random"])
    fabric._precision.load_state_dict(state["precision"])
    if training.carried is not None:
        training.carried.load_state_dict(state["carried"])
    cursor = Cursor(**state["cursor"])
    print(
        f"going on from {folder.loaded}, epoch {cursor.epoch + 1}, step {cursor.step}",
        file=sys.stderr,
    )
    return cursor, state["best"]
