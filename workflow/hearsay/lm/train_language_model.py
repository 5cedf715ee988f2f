"""Train one language model on one corpus: chunk after chunk, with the state carried through."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from torch import nn

from hearsay.corpora.text_corpus import read_tokens
from hearsay.errors import InputError
from hearsay.lm.chunks import epoch_batches, negative_log_likelihood, perplexity, streams
from hearsay.lm.language_model import model_of, save_language_model
from hearsay.lm.optimisation import optimizer_of
from hearsay.lm.stream import ChunkLoss, Stream
from hearsay.training.job import Job
from hearsay.training.loop import Training, fit
from hearsay.training.snapshots import Snapshots

STEP = "hearsay.lm.train_language_model"
# Of the validation after each epoch; the scores of the finished model are taken with one.
VALIDATION_STREAMS = 10


def main(
    corpus: str = typer.Option(help="name of the corpus, for messages"),
    run: str = typer.Option(help="name of the run, for messages"),
    seed: int = typer.Option(help="of weights, dropout and chunk lengths"),
    tokens: Path = typer.Option(help="tokens.npz of the corpus"),
    settings: str = typer.Option(
        help="recipe, backend, device and precision as JSON; trajectory: number of snapshots"
    ),
    threads: int = typer.Option(1, help="CPU threads; the same number gives the same bits"),
    weights: Path = typer.Option(help="safetensors to write"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
    trajectory: Annotated[
        Path | None, typer.Option(help="folder to write: weights at a few epochs")
    ] = None,
) -> None:
    """Train one model; killed and started again, it goes on where it was."""
    options = json.loads(settings)
    recipe = options["recipe"]
    text = read_tokens(tokens)
    job = Job(
        STEP,
        options,
        settings={"corpus": corpus, "run": run},
        inputs=[tokens],
        seed=seed,
        threads=threads,
    )
    model = model_of(len(text.words), recipe, backend=options["backend"])
    used_tokens = int(recipe["training_share"] * len(text.train))
    if recipe["decoder_bias_from_words"]:
        model.begin_with_frequencies(text.train[:used_tokens])
    folder = job.checkpoints(
        checkpoints, corpus=corpus, run=run, vocabulary=text.vocabulary_digest, inputs=text.digest
    )
    about = {
        "corpus": corpus,
        "run": run,
        "seed": seed,
        "recipe": recipe,
        "vocabulary": text.vocabulary_digest,
    }
    snapshots = Snapshots(
        folder,
        epochs=recipe["epochs"],
        count=options.get("trajectory", 0),
        save=lambda path: save_language_model(path, model, about),
    )

    rows = streams(text.train[:used_tokens], recipe["batch_size"])
    if len(rows) < 2:
        raise InputError(
            f"{tokens}: {used_tokens} training tokens are too few for batch_size "
            f"{recipe['batch_size']}; give each stream at least 2"
        )
    stream = Stream(model.to(job.fabric.device), recipe, len(rows))
    model.count_into(stream.counter)
    chunked = {"variable": recipe["bptt_variable"], "seed": seed}

    def evaluate(module: nn.Module) -> Mapping[str, float]:
        model.count_into(None)
        found = negative_log_likelihood(
            model, text.valid, batch_size=VALIDATION_STREAMS, device=job.fabric.device
        )
        model.count_into(stream.counter)
        value = perplexity(*found)
        stream.validated(value)
        return {"validation_perplexity": value, **stream.report()}

    trained = fit(
        Training(
            model=ChunkLoss(model, recipe),
            optimizer=optimizer_of(model, recipe),
            batches=epoch_batches(rows, recipe["bptt"], **chunked),
            steps_per_epoch=-(-len(rows) // recipe["bptt"]),
            loss=lambda module, batch: stream.loss(module, batch[0]),
            evaluate=evaluate,
            epochs=recipe["epochs"],
            clip_norm=recipe["clip_norm"],
            checkpoint_steps=500,
            monitor="validation_perplexity",
            patience=recipe["patience"],
            tensorboard=weights.with_suffix(".tensorboard"),
            carried=stream,
            before_step=lambda batch, optimizer: stream.begin(batch[1], optimizer),
            after_step=stream.end,
            evaluated=stream.evaluated,
            snapshot=snapshots if trajectory else None,
        ),
        folder,
        job.fabric,
    )

    save_language_model(weights, model, about)
    job.write(
        trained,
        history,
        record,
        backend=stream.backend,
        steps=stream.step,
        tokens=rows[1:].numel(),
        training_seconds=stream.seconds,
        tokens_per_second=stream.step and len(trained) * rows[1:].numel() / stream.seconds,
        parameters=sum(weight.numel() for weight in model.parameters()),
        averaged=stream.average is not None and stream.average.triggered,
    )
    if trajectory:
        snapshots.finish(trajectory, len(trained))
    folder.remove()
    best = trained["validation_perplexity"].min()
    print(
        f"{corpus}, {run}, seed {seed}: {len(trained)} epochs by {stream.backend}, "
        f"validation perplexity {best:.1f}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    typer.run(main)
