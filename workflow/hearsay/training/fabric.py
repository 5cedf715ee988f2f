"""Lightning's Fabric, without what it imports and we do not use.

Fabric imports the whole of torchmetrics, and with it scipy.signal and matplotlib, to ask for its
version: two seconds, nearly half of all that a training imports.
"""

import sys

import torch  # noqa: F401 - first: what it imports of its own must not be among what is left out


def _without_torchmetrics() -> None:
    """Import Fabric as if torchmetrics were not installed, unless it is imported already."""
    if "torchmetrics" in sys.modules:
        return
    sys.modules["torchmetrics"] = None  # type: ignore[assignment] # so Python marks what is absent
    try:
        import lightning_fabric.utilities.imports as imports
    finally:
        del sys.modules["torchmetrics"]
    # Lightning's trainer, which NeMo imports, reads Fabric's answer.
    later = imports.RequirementCache("torchmetrics>=1.0.0")  # true or false once it is asked
    imports._TORCHMETRICS_GREATER_EQUAL_1_0_0 = later  # type: ignore[assignment]


_without_torchmetrics()

from lightning_fabric import Fabric, seed_everything  # noqa: E402
from lightning_fabric.plugins.environments import LightningEnvironment  # noqa: E402

__all__ = ["Fabric", "LightningEnvironment", "seed_everything"]
