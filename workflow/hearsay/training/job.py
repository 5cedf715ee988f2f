"""What training steps do alike, whatever they train: device, checkpoints, run record, files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import start, write_history


class Job:
    """One training, from the options of its step to its files.

    Parameters
    ----------
    step : dotted name of the step.
    options : of its ``--settings``: device, precision, recipe and what else it has; `devices` is 1
        where it has none.
    settings : further values for the run record, such as the run's name.
    inputs : files and folders that it reads.
    seed : of every random generator.
    threads : CPU threads.
    workers : processes that load data; 0: none besides.

    Attributes
    ----------
    run : the run record.
    fabric : the device, or devices.
    """

    def __init__(
        self,
        step: str,
        options: Mapping[str, Any],
        *,
        settings: Mapping[str, Any],
        inputs: Sequence[Path],
        seed: int,
        threads: int,
        workers: int = 0,
    ) -> None:
        self.step, self.options, self.seed = step, options, seed
        self.threads, self.workers = threads, workers
        torch.set_num_threads(threads)
        self.run = Run(step, settings={**settings, **options}, inputs=inputs, seed=seed)
        self.fabric = start(
            seed,
            device=options["device"],
            precision=options["precision"],
            devices=options.get("devices", 1),
        )

    def checkpoints(self, folder: Path, **which: Any) -> CheckpointFolder:
        """The folder of checkpoints; those of another training are not gone on from.

        Two trainings are the same if their step, seed, code, options, inputs and `which` are.
        """
        identity = {
            "step": self.step,
            "seed": self.seed,
            "settings": dict(self.options),
            "code": code_of(self.step),
            "inputs": [each["sha256"] for each in self.run.record["inputs"]],
        }
        return CheckpointFolder(folder, identity | which, writer=self.fabric.is_global_zero)

    def batching(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        """How `EpochBatches` cuts epochs: the recipe's sizes, and this process's share of each."""
        sizes = ("batch_size", "micro_batch", "buckets")
        return {key: recipe[key] for key in sizes} | {
            "seed": self.seed,
            "workers": self.workers,
            "rank": self.fabric.global_rank,
            "processes": self.fabric.world_size,
        }

    def write(self, trained: pd.DataFrame, history: Path, record: Path, **facts: Any) -> None:
        """Write the history and the run record, with `facts`; the weights are the caller's."""
        write_history(trained, history)
        self.run.write(
            record,
            threads=self.threads,
            workers=self.workers,
            epochs=len(trained),
            precision=self.fabric._precision.precision,
            **facts,
        )
