"""Stage 1: learn the text prompt, by which a language model repeats the text it was made from.

A frozen text encoder's feature of a window's text goes through the mapping network to k prompt
vectors; with them in front, the language model is trained to produce the same text (Eq. 2).
"""

import json
from collections.abc import Mapping
from pathlib import Path

import typer
from torch import nn

from hearsay.brain.fitting import in_batches
from hearsay.brain.prompted import TextPrompted, make_mapper, set_tuning
from hearsay.brain.stage import Outputs, Stage, tell

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
    stage = Stage(
        STEP,
        subject,
        json.loads(settings),
        windows=windows,
        encoder=encoder,
        language_model=language_model,
        threads=threads,
    )
    recipe, fabric = stage.recipe, stage.job.fabric
    examples, checks = stage.examples(stage.stories.of("train"), stage.stories.of("validation"))

    feature_size = stage.frozen[0].config.hidden_size
    width = stage.causal.get_input_embeddings().embedding_dim
    tuned = recipe["finetune"] != "none"
    causal = set_tuning(stage.causal, tuned=tuned, lora_rank=recipe["lora_rank"])
    module = TextPrompted(make_mapper(feature_size, width, recipe), causal, loss=recipe["loss"])

    def evaluate(model: nn.Module) -> Mapping[str, float]:
        assert checks is not None
        total = sum(n * model(fabric.to_device(b)).item() for n, b in in_batches(checks, 32))
        return {"validation_loss": total / len(checks)}

    epochs = stage.train(
        module,
        module.mapper,
        causal,
        examples,
        checks,
        evaluate,
        epochs=recipe["epochs_text"],
        outputs=Outputs(out, history, record, checkpoints),
        about={"kind": "text prompt", "feature_size": feature_size, "width": width},
        facts={},
    )
    tell(subject, setting, 1, epochs)


if __name__ == "__main__":
    typer.run(main)
