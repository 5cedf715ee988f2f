"""Where Fabric comes from: light to import, and the same beside what else uses it."""

import subprocess
import sys
from pathlib import Path

import pytest

import hearsay


def run(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_training_does_not_import_what_it_does_not_use():
    heavy = ("torchmetrics", "scipy.signal", "matplotlib", "lightning", "transformers", "nemo")
    program = f"import sys, hearsay.training.loop; print(*[m for m in {heavy} if m in sys.modules])"
    assert run(program) == []


@pytest.mark.parametrize("first", ["hearsay.training.fabric", "torchmetrics", "lightning.pytorch"])
def test_torchmetrics_and_lightning_are_themselves_afterwards(first):
    program = (
        f"import {first}\n"
        "import hearsay.training.fabric, torch\n"
        "import torchmetrics\n"
        "from pytorch_lightning.trainer.connectors.logger_connector import result\n"
        "mean = torchmetrics.MeanMetric(); mean.update(torch.tensor([1.0, 3.0]))\n"
        "print(float(mean.compute()), bool(result._TORCHMETRICS_GREATER_EQUAL_1_0_0))\n"
    )
    assert run(program) == ["2.0", "True"]


def test_no_module_takes_fabric_from_elsewhere():

    found = [
        path.name
        for path in Path(hearsay.__file__).parent.rglob("*.py")
        if "from lightning" in path.read_text(encoding="utf-8")
    ]
    assert found == ["fabric.py"]
