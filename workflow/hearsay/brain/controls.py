"""Inputs that hold nothing of the brain, for the controls that stand beside every decoding."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hearsay.brain.stories import Story


def noise(shape: Sequence[int], *key: str | int) -> np.ndarray:
    """Standard normal numbers, float32; the same ones for the same `key`, on every machine."""
    return _draw(*key).standard_normal(tuple(shape), dtype=np.float32)


def noise_stories(stories: Sequence[Story]) -> list[Story]:
    """The same stories with Gaussian noise for responses, of a seed that is the story's name."""
    return [
        replace(story, responses=noise(story.responses.shape, "noise", story.name), repeats=None)
        for story in stories
    ]


def shuffled_in_time(responses: np.ndarray, *key: str | int) -> np.ndarray:
    """Rows of `responses` [rows, V] in a random order: the same numbers, no time."""
    return responses[_draw(*key).permutation(len(responses))]


def _draw(*key: str | int) -> np.random.Generator:
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))
