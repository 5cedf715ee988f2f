"""Stage 1: learn the text prompt, by which a language model repeats the text it was made from.

A frozen text encoder's feature of a window's text goes through the mapping network to k prompt
vectors; with them in front, the language model is trained to produce the same text (Eq. 2).
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
import typer
from torch import nn

from hearsay.brain.aligned_text import AlignedText
from hearsay.brain.fitting import in_batches, make_examples, training_of
from hearsay.brain.language_model import check_context, load_causal, load_encoder
from hearsay.brain.prompted import TextPrompted, make_mapper, save_prompted, set_tuning
from hearsay.brain.stories import read_stories
from hearsay.brain.windows import cut_all
from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import fit, start, write_history

STEP = "hearsay.brain.train_text_prompt"


def main(
    subject: str = typer.Option(help="whose stories"),
    setting: str = typer.Option(help="name of the setting, for messages"),
    windows: Path = typer.Option(help="windows.h5 of the subject"),
    encoder: Path = typer.Option(help="folder of the frozen text encoder"),
    language_model: Path = typer.Option(help="folder of the causal language model"),
    settings: str = typer.Option(help="recipe, device, devices and precision as JSON"),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    out: Path = typer.Option(help="safetensors to write: mapping network, trained GPT-2"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
) -> None:
    """Train stage 1 of one setting; killed and started again, it goes on where it was."""
    options = json.loads(settings)
    recipe = options["recipe"]
    torch.set_num_threads(threads)
    run = Run(
        STEP,
        settings={"subject": subject, **options},
        inputs=[windows, encoder, language_model],
        seed=recipe["seed"],
    )
    fabric = start(
        recipe["seed"],
        device=options["device"],
        precision=options["precision"],
        devices=options["devices"],
    )
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
    cutting = {"window": recipe["window"], "shift": recipe["text_shift"]}
    training_windows = cut_all(stories.of("train"), hop=recipe["train_hop"], **cutting)
    held_out = cut_all(stories.of("validation"), hop=recipe["window"], **cutting)
    examples = make_examples(training_windows, text, frozen, recipe, what="training")
    checks = make_examples(held_out, text, frozen, recipe, what="validation") if held_out else None

    feature_size, width = frozen[0].config.hidden_size, causal.get_input_embeddings().embedding_dim
    tuned = recipe["finetune"] != "none"
    causal = set_tuning(causal, tuned=tuned, lora_rank=recipe["lora_rank"])
    module = TextPrompted(make_mapper(feature_size, width, recipe), causal, loss=recipe["loss"])

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        assert checks is not None
        total = sum(n * model(fabric.to_device(b)).item() for n, b in in_batches(checks, 32))
        return {"validation_loss": total / len(checks)}

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
        [module.mapper],
        causal,
        examples,
        recipe,
        epochs=recipe["epochs_text"],
        fabric=fabric,
        evaluate=evaluate if checks else None,
        tensorboard=out.with_suffix(".tensorboard"),
    )
    trained = fit(training, folder, fabric)
    if not fabric.is_global_zero:
        return
    about = {
        "kind": "text prompt",
        "subject": subject,
        "recipe": recipe,
        "feature_size": feature_size,
        "width": width,
    }
    save_prompted(out, module.mapper, causal, about)
    write_history(trained, history)
    facts = {
        "windows": {"train": len(examples), "validation": len(held_out)},
        "shortened": text.shortened,
        "parameters": sum(w.numel() for w in module.mapper.parameters()),
        "epochs": len(trained),
        "precision": fabric._precision.precision,
    }
    run.write(record, threads=threads, **facts)
    folder.remove()
    print(f"{subject}, {setting}: stage 1, {len(trained)} epochs", file=sys.stderr)


if __name__ == "__main__":
    typer.run(main)
