"""Versions that the project pins, where some must agree."""

import re

from hearsay.provenance import ROOT


def test_fabric_and_lightning_are_of_one_version():
    """Both packages hold the same files: the later one to be installed overwrites the other's."""
    text = (ROOT / "envs/constraints.txt").read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", text, re.MULTILINE))
    assert pinned["lightning-fabric"] == pinned["pytorch-lightning"]
