"""The training loop: plain epochs over batches, with everything needed to stop and go on.

Killed at any moment and started again, `fit` continues from the last checkpoint and, on a CPU with
the same number of threads, ends with the same bits as an uninterrupted run.
"""

import math
import signal
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lightning
import pandas as pd
import torch
from lightning.fabric import Fabric
from torch import nn
from tqdm import tqdm

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.training.checkpoints import CheckpointFolder, random_states, set_random_states

Batch = Any


class Interrupted(SystemExit):
    """SIGTERM came; the state is saved. Exits with 143, so that Snakemake retries the job."""

    def __init__(self, message: str) -> None:
        print(message, file=sys.stderr, flush=True)
        super().__init__(143)


@dataclass
class Training:
    """What `fit` trains, and how.

    Attributes
    ----------
    model : the module; its parameters with ``requires_grad`` are trained.
    optimizer, schedule : torch's; the schedule (if any) advances once a step.
    batches : ``batches(epoch)`` gives that epoch's batches, the same ones in the same order
        whenever it is asked (draw the order from a generator seeded with the epoch).
    steps_per_epoch : how many batches that is.
    loss : ``loss(model, batch)`` gives the scalar to minimise.
    evaluate : ``evaluate(model)`` gives validation metrics after each epoch, if wanted.
    epochs : passes over the data.
    clip_norm : largest norm of the gradient; None leaves it alone.
    checkpoint_steps : a checkpoint every so many steps, besides the one after each epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    batches: Callable[[int], Iterator[Batch]]
    steps_per_epoch: int
    loss: Callable[[nn.Module, Batch], torch.Tensor]
    epochs: int
    schedule: torch.optim.lr_scheduler.LRScheduler | None = None
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None
    clip_norm: float | None = None
    checkpoint_steps: int | None = None


@dataclass
class _Cursor:
    """Where the training stands: the next step to take, and what has been seen so far."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


def start(seed: int, *, device: str = "auto", precision: str = "32-true") -> Fabric:
    """Seed every random generator and return the device as a Fabric.

    On a CPU torch's deterministic algorithms are asked for, since exact resume rests on them.
    """
    lightning.seed_everything(seed, verbose=False)
    fabric = Fabric(accelerator=device, devices=1, precision=precision)  # type: ignore[arg-type]
    if fabric.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
    return fabric


def fit(training: Training, folder: CheckpointFolder, fabric: Fabric) -> pd.DataFrame:
    """Train, or go on training, until `training.epochs` are done.

    Parameters
    ----------
    training : what to train.
    folder : where the checkpoint lies; `folder.remove()` is the caller's, once outputs are written.
    fabric : from `start`.

    Returns
    -------
    One row an epoch: ``epoch``, ``loss`` (mean over steps), ``learning_rate`` (at its end), and
    what `training.evaluate` gave.

    Raises
    ------
    InputError
        if the loss is not finite: it names the step and the learning rate, and the last good
        checkpoint stays.
    Interrupted
        on SIGTERM, after saving.
    """
    model, optimizer = fabric.setup(training.model, training.optimizer)
    cursor = _restore(training, folder, fabric)
    total = training.epochs * training.steps_per_epoch
    done = cursor.epoch * training.steps_per_epoch + cursor.step
    interval = 0.1 if sys.stderr.isatty() else 5.0
    bar = tqdm(total=total, initial=done, unit="step", mininterval=interval, file=sys.stderr)
    with bar, _stop_flag() as stopped:
        while cursor.epoch < training.epochs:
            model.train()
            for number, batch in enumerate(training.batches(cursor.epoch)):
                if number < cursor.step:
                    continue
                loss = training.loss(model, fabric.to_device(batch))
                value = loss.item()
                if not math.isfinite(value):
                    raise InputError(_diverged(value, cursor, optimizer, folder))
                fabric.backward(loss)
                if training.clip_norm is not None:
                    fabric.clip_gradients(model, optimizer, max_norm=training.clip_norm)
                optimizer.step()
                optimizer.zero_grad()
                if training.schedule is not None:
                    training.schedule.step()
                cursor.step += 1
                cursor.loss_sum += value
                bar.update()
                bar.set_postfix(epoch=cursor.epoch + 1, loss=f"{value:.4g}", refresh=False)
                every = training.checkpoint_steps
                if stopped() or (every and cursor.step % every == 0):
                    _save(training, folder, cursor)
                if stopped():
                    raise Interrupted(
                        f"SIGTERM: saved at epoch {cursor.epoch + 1}, step {cursor.step}, "
                        f"in {folder.path}; run again to go on"
                    )
            _end_epoch(training, model, optimizer, cursor)
            _save(training, folder, cursor)
    return pd.DataFrame(cursor.history)


def write_history(history: pd.DataFrame, path: Path | str) -> None:
    """Write what `fit` returned as CSV."""
    with whole_file(path) as temporary:
        history.to_csv(temporary, index=False)


def _end_epoch(
    training: Training, model: nn.Module, optimizer: torch.optim.Optimizer, cursor: _Cursor
) -> None:
    row: dict[str, float] = {
        "epoch": cursor.epoch + 1,
        "loss": cursor.loss_sum / max(cursor.step, 1),
        "learning_rate": float(optimizer.param_groups[0]["lr"]),
    }
    if training.evaluate is not None:
        model.eval()
        with torch.no_grad():
            row |= {name: float(value) for name, value in training.evaluate(model).items()}
    cursor.history.append(row)
    cursor.epoch, cursor.step, cursor.loss_sum = cursor.epoch + 1, 0, 0.0


def _save(training: Training, folder: CheckpointFolder, cursor: _Cursor) -> None:
    folder.save(
        {
            "model": training.model.state_dict(),
            "optimizer": training.optimizer.state_dict(),
            "schedule": training.schedule.state_dict() if training.schedule else {},
            "random": random_states(),
            "cursor": vars(cursor),
        }
    )


def _restore(training: Training, folder: CheckpointFolder, fabric: Fabric) -> _Cursor:
    state = folder.load()
    if state is None:
        return _Cursor()
    training.model.load_state_dict(state["model"])
    training.optimizer.load_state_dict(state["optimizer"])
    if training.schedule is not None:
        training.schedule.load_state_dict(state["schedule"])
    set_random_states(state["random"])
    cursor = _Cursor(**state["cursor"])
    print(
        f"going on from {folder.path}, epoch {cursor.epoch + 1}, step {cursor.step}",
        file=sys.stderr,
    )
    return cursor


def _diverged(
    value: float, cursor: _Cursor, optimizer: torch.optim.Optimizer, folder: CheckpointFolder
) -> str:
    rate = optimizer.param_groups[0]["lr"]
    kept = f"; the last good checkpoint is {folder.path}" if folder.path.is_file() else ""
    return (
        f"the loss is {value} at epoch {cursor.epoch + 1}, step {cursor.step + 1}, "
        f"learning rate {rate:g}{kept}; try a smaller learning rate"
    )


@contextmanager
def _stop_flag() -> Iterator[Callable[[], bool]]:
    """A function that tells whether SIGTERM has come; the step under way is finished first."""
    came = False

    def note(signum: int, frame: types.FrameType | None) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: came
    finally:
        signal.signal(signal.SIGTERM, before)
