"""One training of either stage: from the options of its step to its files.

The two steps differ in the network they train, in what it reads and in what goes into its file;
everything else is here.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.fitting import Examples, make_examples, training_of
from hearsay.brain.language_model import check_context, load_causal, load_encoder
from hearsay.brain.prompted import save_prompted
from hearsay.brain.stories import Story, read_stories
from hearsay.brain.windows import cut_all
from hearsay.training.job import Job
from hearsay.training.loop import fit


@dataclass(frozen=True)
class Outputs:
    """Files that a training writes, and the folder of its checkpoints."""

    weights: Path
    history: Path
    record: Path
    checkpoints: Path


class Stage:
    """What a training has before its network: device, stories, language model, text.

    Parameters
    ----------
    step : dotted name of the step.
    subject : whose stories.
    options : recipe, device, devices and precision.
    windows, encoder, language_model : files and folders that the step reads.
    more : further files that it reads.
    threads : CPU threads.

    Attributes
    ----------
    recipe, job, stories : the test story is not among the stories.
    causal, text : the language model, and the tokens of its targets.
    frozen : text encoder and its tokeniser.

    Raises
    ------
    InputError
        for a prompt and target that do not fit the language model's context, and for files that
        are not what they should be.
    """

    def __init__(
        self,
        step: str,
        subject: str,
        options: Mapping[str, Any],
        *,
        windows: Path,
        encoder: Path,
        language_model: Path,
        more: Sequence[Path] = (),
        threads: int,
    ) -> None:
        self.subject, self.recipe = subject, options["recipe"]
        self.job = Job(
            step,
            options,
            settings={"subject": subject},
            inputs=[windows, *more, encoder, language_model],
            seed=self.recipe["seed"],
            threads=threads,
        )
        self.stories = read_stories(windows, ("train", "validation"))
        self.causal, tokenizer = load_causal(language_model)
        check_context(self.causal, self.recipe["prompt_length"], self.recipe["max_tokens"])
        self.text = AlignedText.of_recipe(tokenizer, self.recipe)
        self.frozen = load_encoder(encoder)

    def examples(
        self, heard: Sequence[Story], held_out: Sequence[Story], *, context: int = 0
    ) -> tuple[Examples, Examples | None]:
        """Windows to train on, and those of whole stories that are held out, if there are any."""
        cutting = {
            "window": self.recipe["window"],
            "context": context,
            "shift": self.recipe["text_shift"],
        }
        training = cut_all(heard, hop=self.recipe["train_hop"], **cutting)
        validation = cut_all(held_out, hop=self.recipe["window"], **cutting)
        made = [
            make_examples(windows, self.text, self.frozen, self.recipe, what=what)
            for windows, what in ((training, "training"), (validation, "validation"))
            if windows or what == "training"
        ]
        return made[0], made[1] if validation else None

    def train(
        self,
        module: nn.Module,
        network: nn.Module,
        causal: nn.Module,
        examples: Examples,
        checks: Examples | None,
        evaluate: Callable[[nn.Module], Mapping[str, float]],
        *,
        epochs: int,
        outputs: Outputs,
        about: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> int | None:
        """Train `network` (and `causal`, where it is not frozen) within `module`; write all files.

        Killed and started again, it goes on where it was. Returns the number of epochs, or None in
        all processes of a data-parallel training but the first.
        """
        fabric = self.job.fabric
        folder = self.job.checkpoints(
            outputs.checkpoints, subject=self.subject, voxels=self.stories.voxel_digest
        )
        training = training_of(
            module,
            [network],
            causal,
            examples,
            self.recipe,
            epochs=epochs,
            fabric=fabric,
            evaluate=evaluate if checks else None,
            tensorboard=outputs.weights.with_suffix(".tensorboard"),
        )
        trained = fit(training, folder, fabric)
        if not fabric.is_global_zero:
            return None
        save_prompted(
            outputs.weights,
            network,
            causal,
            {"subject": self.subject, "recipe": self.recipe, **about},
        )
        self.job.write(
            trained,
            outputs.history,
            outputs.record,
            windows={"train": len(examples), "validation": len(checks or ())},
            shortened=self.text.shortened,
            parameters=sum(weight.numel() for weight in network.parameters()),
            **facts,
        )
        folder.remove()
        return len(trained)


def tell(subject: str, setting: str, stage: int, epochs: int | None) -> None:
    """The last line of a step's log, from the process that wrote its files."""
    if epochs is not None:
        print(f"{subject}, {setting}: stage {stage}, {epochs} epochs", file=sys.stderr)
