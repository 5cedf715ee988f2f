"""Stage 2: learn the fMRI prompt, by which the language model says what was heard.

The fMRI encoder is trained with the language model's loss (Eq. 2) and drawn to the text prompt of
the same window by the contrastive loss (Eq. 3-5); together they are Eq. 6.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
import typer
from torch import nn

from hearsay.brain.controls import noise_stories
from hearsay.brain.fitting import in_batches
from hearsay.brain.prompted import (
    FmriPrompted,
    check_about,
    check_recipe,
    load_prompted,
    make_encoder,
    make_mapper,
    set_tuning,
)
from hearsay.brain.stage import Outputs, Stage, tell

STEP = "hearsay.brain.train_fmri_prompt"


def main(
    subject: str = typer.Option(help="whose responses"),
    setting: str = typer.Option(help="name of the setting, for messages"),
    windows: Path = typer.Option(help="windows.h5 of the subject"),
    text_prompt: Path = typer.Option(help="what train_text_prompt wrote"),
    encoder: Path = typer.Option(help="folder of the frozen text encoder"),
    language_model: Path = typer.Option(help="folder of the causal language model"),
    settings: str = typer.Option(help="recipe, device, devices and precision as JSON"),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    out: Path = typer.Option(help="safetensors to write: fMRI encoder, trained GPT-2"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
) -> None:
    """Train stage 2 of one setting; killed and started again, it goes on where it was."""
    options = json.loads(settings)
    about = check_about(text_prompt, kind="text prompt", subject=subject)
    check_recipe(text_prompt, about, options["recipe"])
    stage = Stage(
        STEP,
        subject,
        options,
        windows=windows,
        encoder=encoder,
        language_model=language_model,
        more=[text_prompt],
        threads=threads,
    )
    recipe, fabric, stories = stage.recipe, stage.job.fabric, stage.stories
    heard, held_out = stories.of("train"), stories.of("validation")
    if recipe["input"] == "noise":
        heard, held_out = noise_stories(heard), noise_stories(held_out)
    examples, checks = stage.examples(heard, held_out, context=recipe["hrf_context"])

    mapper = make_mapper(about["feature_size"], about["width"], about["recipe"])
    tuned_before = about["recipe"]["finetune"] != "none"
    causal = set_tuning(stage.causal, tuned=tuned_before, lora_rank=recipe["lora_rank"])
    load_prompted(text_prompt, mapper, causal)
    if recipe["finetune"] != "both":
        causal.requires_grad_(False)
    brain = make_encoder(len(stories.voxels), about["width"], recipe)
    module = FmriPrompted(brain, causal, mapper, recipe)

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        assert checks is not None
        sums = torch.zeros(2)
        for n, batch in in_batches(checks, 32):
            losses = model(fabric.to_device(batch), parts=True)
            sums += n * torch.tensor([loss.item() for loss in losses])
        brain_loss, aligned = (sums / len(checks)).tolist()
        return {"validation_loss": brain_loss, "validation_contrastive": aligned}

    epochs = stage.train(
        module,
        module.encoder,
        causal,
        examples,
        checks,
        evaluate,
        epochs=recipe["epochs_fmri"],
        outputs=Outputs(out, history, record, checkpoints),
        about={
            "kind": "fMRI prompt",
            "voxels": stories.voxel_digest,
            "columns": [int(v) for v in stories.voxels],
            "width": about["width"],
        },
        facts={"voxels": len(stories.voxels)},
    )
    tell(subject, setting, 2, epochs)


if __name__ == "__main__":
    typer.run(main)
