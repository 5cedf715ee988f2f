"""Train one small convolutional net on scikit-learn's handwritten digits.

A stand-in for the pretrained series of the paper where there is no network: nets that differ in
depth, with a real test accuracy. 1,797 images of 8x8 pixels; 60 % train, 40 % test, the same
stratified split for every net.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import typer
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn import functional

from hearsay.files import whole_file
from hearsay.metrics.scores import write_scores
from hearsay.provenance import Run, code_of
from hearsay.training.checkpoints import CheckpointFolder
from hearsay.training.loop import Training, fit, start, write_history

STEP = "hearsay.spectral.train_digits"


def digits_net(layers: int, channels: int) -> nn.Sequential:
    """3x3 convolutions with batch norm and ReLU, pooled after the first, a linear classifier.

    Maps images [batch, 1, 8, 8] to logits [batch, 10].
    """
    modules: list[nn.Module] = []
    for layer in range(layers):
        convolution = nn.Conv2d(channels if layer else 1, channels, 3, padding=1, bias=False)
        modules += [convolution, nn.BatchNorm2d(channels), nn.ReLU()]
        if layer == 0:
            modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def load_split() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training images [1078, 1, 8, 8] in 0..1 and labels [1078], then the 719 of the test."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(images, labels, test_size=0.4, stratify=labels, random_state=0)
    train_images, test_images, train_labels, test_labels = map(torch.from_numpy, split)
    return train_images, train_labels, test_images, test_labels


@torch.no_grad()
def percent_correct(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Top-1 accuracy in percent."""
    model.eval()
    return 100.0 * (model(images).argmax(1) == labels).double().mean().item()


def main(
    model: str = typer.Option(help="name of the net, for the record"),
    settings: str = typer.Option(help="hearsay.settings.DigitsNet as JSON"),
    weights: Path = typer.Option(help="safetensors file to write"),
    history: Path = typer.Option(help="CSV to write, one row an epoch"),
    scores: Path = typer.Option(help="score file to write"),
    record: Path = typer.Option(help="run record to write"),
    checkpoints: Path = typer.Option(help="folder for checkpoints; gone at the end"),
) -> None:
    """Train, test and save one net; killed and started again, it goes on where it was."""
    options = json.loads(settings)
    seed, batch_size, epochs = options["seed"], options["batch_size"], options["epochs"]
    # Sums over several threads round differently: one thread, the same bits everywhere.
    torch.set_num_threads(1)
    run = Run(STEP, settings=options, seed=seed)
    identity = {"step": STEP, "model": model, "settings": options, "code": code_of(STEP)}
    folder = CheckpointFolder(checkpoints, identity)
    fabric = start(seed, device="cpu")

    train_images, train_labels, test_images, test_labels = load_split()
    net = digits_net(options["layers"], options["channels"])
    steps = -(-len(train_images) // batch_size)
    optimizer = torch.optim.SGD(
        net.parameters(),
        lr=options["learning_rate"],
        momentum=0.9,
        nesterov=True,
        weight_decay=options["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options["learning_rate"], total_steps=max(epochs * steps, 1) + 1
    )

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(
            len(train_images), generator=torch.Generator().manual_seed(seed * 100_003 + epoch)
        )
        for chosen in order.split(batch_size):
            yield train_images[chosen], train_labels[chosen]

    training = Training(
        model=net,
        optimizer=optimizer,
        schedule=schedule,
        batches=batches,
        steps_per_epoch=steps,
        loss=lambda m, batch: functional.cross_entropy(m(batch[0]), batch[1]),
        evaluate=lambda m: {"train_accuracy": percent_correct(m, train_images, train_labels)},
        epochs=epochs,
    )
    trained = fit(training, folder, fabric)
    accuracy = percent_correct(net, test_images, test_labels)

    with whole_file(weights) as temporary:
        tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
        save_file(tensors, temporary, metadata={"format": "pt"})
    write_history(trained, history)
    row = {"system": "spectral", "experiment": "digits", "model": model, "metric": "accuracy"}
    write_scores(
        scores, [{**row, "value": accuracy, "n": len(test_labels), "seed": seed, "run": run.id}]
    )
    run.write(record, threads=torch.get_num_threads())
    folder.remove()
    print(f"{model}: {accuracy:.2f} % of {len(test_labels)} test images")


if __name__ == "__main__":
    typer.run(main)
