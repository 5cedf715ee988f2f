"""The training loop: plain epochs over batches, with everything needed to stop and go on.

Killed at any moment and started again, `fit` continues from the last checkpoint and, on a CPU with
the same number of threads, ends with the same bits as an uninterrupted run.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from hearsay.errors import InputError
from hearsay.files import whole_file
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.devices import precision_of
from hearsay.training.fabric import Fabric, LightningEnvironment, seed_everything
from hearsay.training.interruption import Interrupted, stop_flag
from hearsay.training.pieces import Batch, Pieces
from hearsay.training.progress import Cursor, restore, save, trained_state
from hearsay.training.scalars import scalars


class Carried(Protocol):
    """State besides weights, optimiser and random generators."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers, text, and lists or dictionaries of them."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        ...


@dataclass
class Training:
    """What `fit` trains, and how.

    Attributes
    ----------
    model : the module; its parameters with ``requires_grad`` are trained.
    optimizer, schedule : torch's; the schedule (if any) advances once a step.
    batches : ``batches(epoch)`` gives that epoch's batches, the same ones in the same order
        whenever it is asked (draw the order from a generator seeded with the epoch). A batch may be
        `Pieces`.
    batches_from : ``batches_from(epoch, step)`` gives them from a step on, where that is cheaper
        than to pass over those before it.
    steps_per_epoch : how many batches that is; about, where epochs differ.
    loss : ``loss(model, batch)`` gives the scalar to minimise.
    evaluate : ``evaluate(model)`` gives validation metrics after each epoch, if wanted.
    epochs : passes over the data.
    clip_norm : largest norm of the gradient; None leaves it alone.
    checkpoint_steps : a checkpoint every so many steps, besides the one after each epoch.
    monitor : the metric of `evaluate` whose smallest value marks the best weights; `fit` ends
        with these.
    patience : with `monitor`, how many epochs without a better value end the training early; None
        goes through all epochs.
    tensorboard : folder for TensorBoard's event files, written as the training goes.
    carried : further state that goes from step to step, such as a recurrent network's; saved and
        restored with the checkpoint.
    before_step : ``before_step(batch, optimizer)`` is called before each step, to set the learning
        rate where it depends on the batch.
    after_step : called after each step.
    evaluated : a context in which the model has the weights that are to be evaluated and kept,
        where these are not the ones that are trained (averages of them).
    snapshot : ``snapshot(epochs)`` is called with the number of finished epochs: 0 before the first
        step, then after each epoch and before its checkpoint.
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
    monitor: str | None = None
    patience: int | None = None
    tensorboard: Path | str | None = None
    carried: Carried | None = None
    before_step: Callable[[Batch, torch.optim.Optimizer], None] | None = None
    after_step: Callable[[], None] | None = None
    evaluated: Callable[[], AbstractContextManager[None]] = nullcontext
    batches_from: Callable[[int, int], Iterator[Batch]] | None = None
    snapshot: Callable[[int], None] | None = None


def start(seed: int, *, device: str = "auto", precision: str = "auto", devices: int = 1) -> Fabric:
    """Seed every random generator and return the device, or devices, as a Fabric.

    Parameters
    ----------
    seed : of python, numpy and torch.
    device : ``"auto"``, ``"cpu"`` or ``"cuda"``.
    precision : as of `hearsay.training.devices.precision_of`.
    devices : with more than one, a process each trains on its share of every batch (data
        parallel); `batches` of `Training` gives each its share, by ``fabric.global_rank``.

    On a CPU torch's deterministic algorithms are asked for, since exact resume rests on them.
    """
    seed_everything(seed, verbose=False)
    precision = precision_of(precision, gpu=device != "cpu" and torch.cuda.is_available())
    # One task of the scheduler starts all processes, wherever it runs.
    fabric = Fabric(
        accelerator=device,
        devices=devices,
        precision=precision,  # type: ignore[arg-type]  # Fabric itself refuses others
        strategy="ddp" if devices > 1 else "auto",
        plugins=[LightningEnvironment()],
    )
    fabric.launch()
    if fabric.device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory is for finding bugs; it changes no result and costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
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
    cursor, best = restore(training, folder, fabric)
    shown_in = training.tensorboard if fabric.is_global_zero else None
    bar = _bar(training, cursor, shown=fabric.is_global_zero)
    with bar, stop_flag(fabric) as stopped, scalars(shown_in, cursor.epoch + 1) as tell:
        if training.snapshot is not None and (cursor.epoch, cursor.step) == (0, 0):
            training.snapshot(0)
        while not cursor.over(training):
            model.train()
            for batch in _remaining(training, cursor):
                if training.before_step is not None:
                    training.before_step(batch, optimizer)
                value = _backward(training, model, batch, fabric)
                if not math.isfinite(value):
                    raise InputError(_diverged(f"loss is {value}", cursor, optimizer, folder))
                if training.clip_norm is not None:
                    norm = fabric.clip_gradients(
                        model, optimizer, max_norm=training.clip_norm, error_if_nonfinite=False
                    )
                    if norm is not None and not (torch.isfinite(norm) or _rescaled(fabric)):
                        fault = f"norm of the gradient is {norm.item()}"
                        raise InputError(_diverged(fault, cursor, optimizer, folder))
                optimizer.step()
                optimizer.zero_grad()
                if training.after_step is not None:
                    training.after_step()
                if training.schedule is not None:
                    training.schedule.step()
                cursor.step += 1
                cursor.loss_sum += value
                bar.update()
                bar.set_postfix(epoch=cursor.epoch + 1, loss=f"{value:.4g}", refresh=False)
                every = training.checkpoint_steps
                stop = stopped()
                if stop or (every and cursor.step % every == 0):
                    save(training, folder, cursor, best, fabric)
                if stop:
                    raise Interrupted(
                        f"SIGTERM: saved at epoch {cursor.epoch + 1}, step {cursor.step}, "
                        f"in {folder.path}; run again to go on"
                    )
            with training.evaluated():
                row = _end_epoch(training, model, optimizer, cursor)
                if training.snapshot is not None:
                    training.snapshot(cursor.epoch)
                if training.monitor is not None and row[training.monitor] < cursor.best:
                    cursor.best, cursor.best_epoch = row[training.monitor], cursor.epoch
                    best = {
                        name: tensor.clone()
                        for name, tensor in trained_state(training.model).items()
                    }
            tell(cursor.epoch, row)
            save(training, folder, cursor, best, fabric)
    if best:
        training.model.load_state_dict(best, strict=False)
    return pd.DataFrame(cursor.history)


def write_history(history: pd.DataFrame, path: Path | str) -> None:
    """Write what `fit` returned as CSV."""
    with whole_file(path) as temporary:
        history.to_csv(temporary, index=False)


def _remaining(training: Training, cursor: Cursor) -> Iterator[Batch]:
    """The batches of the epoch that are still to come."""
    if training.batches_from is not None:
        return iter(training.batches_from(cursor.epoch, cursor.step))
    return itertools.islice(training.batches(cursor.epoch), cursor.step, None)


def _bar(training: Training, cursor: Cursor, *, shown: bool) -> "tqdm[Any]":
    return tqdm(
        total=training.epochs * training.steps_per_epoch,
        initial=cursor.epoch * training.steps_per_epoch + cursor.step,
        unit="step",
        file=sys.stderr,
        mininterval=0.1 if sys.stderr.isatty() else 5.0,
        disable=not shown,
    )


def _backward(training: Training, model: nn.Module, batch: Batch, fabric: Fabric) -> float:
    """Loss of a batch; its gradients are added up unless it is not finite."""
    pieces = batch if isinstance(batch, Pieces) else Pieces([batch], weights=[1.0])
    total = 0.0
    for number, (piece, share) in enumerate(zip(pieces, pieces.shares, strict=True), 1):
        # Processes exchange gradients once a step, with the last piece.
        alone = fabric.world_size == 1 or number == len(pieces)
        with nullcontext() if alone else fabric.no_backward_sync(model):  # type: ignore[arg-type]
            loss = training.loss(model, fabric.to_device(piece))
            value = loss.item()
            if not math.isfinite(value):
                return value
            fabric.backward(loss if len(pieces) == 1 else loss * share)
        total += value * share
    return total


def _rescaled(fabric: Fabric) -> bool:
    """Whether an infinite gradient may be float16's: the scaler leaves that step out."""
    scaler = getattr(fabric._precision, "scaler", None)
    return scaler is not None and scaler.get_scale() > 1


def _end_epoch(
    training: Training, model: nn.Module, optimizer: torch.optim.Optimizer, cursor: Cursor
) -> dict[str, float]:
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
    return row


def _diverged(
    fault: str, cursor: Cursor, optimizer: torch.optim.Optimizer, folder: CheckpointFolder
) -> str:
    rate = optimizer.param_groups[0]["lr"]
    kept = f"; the last good checkpoint is {folder.path}" if folder.path.is_file() else ""
    return (
        f"the {fault} at epoch {cursor.epoch + 1}, step {cursor.step + 1}, "
        f"learning rate {rate:g}{kept}; try a smaller learning rate"
    )
