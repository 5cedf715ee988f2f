"""Stage 2: learn the fMRI prompt, by which the language model says what was heard.

The fMRI encoder is trained with the language model's loss (Eq. 2) and drawn to the text prompt of
the same window by the contrastive loss (Eq. 3-5); together they are Eq. 6.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import typer
from torch import nn

from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.controls import noise_stories
from hearsay.brain.fitting import in_batches, make_examples, training_of
from hearsay.brain.language_model import check_context, load_causal, load_encoder
from hearsay.brain.prompted import (
    FmriPrompted,
    check_about,
    check_recipe,
    load_prompted,
    make_encoder,
    make_mapper,
    save_prompted,
    set_tuning,
)
from hearsay.brain.stories import read_stories
from hearsay.brain.windows import cut_all
from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import fit, start, write_history

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
    recipe = options["recipe"]
    torch.set_num_threads(threads)
    run = Run(
        STEP,
        settings={"subject": subject, **options},
        inputs=[windows, text_prompt, encoder, language_model],
        seed=recipe["seed"],
    )
    fabric = start(
        recipe["seed"],
        device=options["device"],
        precision=options["precision"],
        devices=options["devices"],
    )
    about = check_about(text_prompt, kind="text prompt", subject=subject)
    check_recipe(text_prompt, about, recipe)
    stories = read_stories(windows, ("train", "validation"))
    causal, tokenizer = load_causal(language_model)
    check_context(causal, recipe["prompt_length"], recipe["max_tokens"])
    text = AlignedText(
        tokenizer,
        stop=recipe["stop"],
        prefix=recipe["prefix"],
        max_tokens=recipe["max_tokens"],
    )
    frozen = load_encoder(encoder)
    cutting = {
        "window": recipe["window"],
        "context": recipe["hrf_context"],
        "shift": recipe["text_shift"],
    }
    heard, held_out = stories.of("train"), stories.of("validation")
    if recipe["input"] == "noise":
        heard, held_out = noise_stories(heard), noise_stories(held_out)
    training_windows = cut_all(heard, hop=recipe["train_hop"], **cutting)
    validation_windows = cut_all(held_out, hop=recipe["window"], **cutting)
    examples = make_examples(training_windows, text, frozen, recipe, what="training")
    checks = (
        make_examples(validation_windows, text, frozen, recipe, what="validation")
        if validation_windows
        else None
    )

    mapper = make_mapper(about["feature_size"], about["width"], about["recipe"])
    tuned_before = about["recipe"]["finetune"] != "none"
    causal = set_tuning(causal, tuned=tuned_before, lora_rank=recipe["lora_rank"])
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

    identity = {
        "step": STEP,
        "subject": subject,
        "voxels": stories.voxel_digest,
        "settings": options,
        "code": code_of(STEP),
        "inputs": [i["sha256"] for i in run.record["inputs"]],
    }
    folder = CheckpointFolder(checkpoints, identity, writer=fabric.is_global_zero)
    training = training_of(
        module,
        [module.encoder],
        causal,
        examples,
        recipe,
        epochs=recipe["epochs_fmri"],
        fabric=fabric,
        evaluate=evaluate if checks else None,
        tensorboard=out.with_suffix(".tensorboard"),
    )
    trained = fit(training, folder, fabric)
    if not fabric.is_global_zero:
        return
    save_prompted(
        out,
        module.encoder,
        causal,
        {
            "kind": "fMRI prompt",
            "subject": subject,
            "voxels": stories.voxel_digest,
            "columns": [int(v) for v in stories.voxels],
            "recipe": recipe,
            "width": about["width"],
        },
    )
    write_history(trained, history)
    facts = {
        "windows": {"train": len(examples), "validation": len(validation_windows)},
        "shortened": text.shortened,
        "parameters": sum(w.numel() for w in brain.parameters()),
        "voxels": len(stories.voxels),
        "epochs": len(trained),
        "precision": fabric._precision.precision,
    }
    run.write(record, threads=threads, **facts)
    folder.remove()
    print(f"{subject}, {setting}: stage 2, {len(trained)} epochs", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
