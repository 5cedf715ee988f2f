"""Tiny language models, a tiny subject, and one whole training that many tests read."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny_subject
import torch
from tiny_subject import Pretrained, Steps, gpt2_like_tokenizer, write_pretrained

from hearsay.brain import decode_story, train_fmri_prompt, train_text_prompt
from hearsay.brain.stories import Stories, write_stories

# --- tokenisers and models ------------------------------------------------------------------------


@pytest.fixture(scope="session")
def byte_level() -> Callable[..., Any]:
    """Train a tokeniser of GPT-2's kind on lines: `tiny_subject.byte_level`."""
    return tiny_subject.byte_level


@pytest.fixture(scope="session")
def small_gpt2() -> Callable[..., Any]:
    """Make a random GPT-2 for a tokeniser: `tiny_subject.small_gpt2`."""
    return tiny_subject.small_gpt2


@pytest.fixture(scope="session")
def small_bert() -> Callable[..., Any]:
    """Make a random BERT with its tokeniser: `tiny_subject.small_bert`."""
    return tiny_subject.small_bert


@pytest.fixture(scope="session")
def gpt2_tokenizer() -> Any:
    """A tokeniser of GPT-2's kind: `tiny_subject.gpt2_like_tokenizer`."""
    return gpt2_like_tokenizer()


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory: pytest.TempPathFactory, gpt2_tokenizer: Any) -> Pretrained:
    """Folders of a random BERT and a random GPT-2: `write_pretrained`."""
    return write_pretrained(tmp_path_factory.mktemp("pretrained"), gpt2_tokenizer)


# --- a tiny subject -------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def make_stories() -> Callable[..., Stories]:
    """Make a tiny subject's stories: `tiny_subject.make_stories`."""
    return tiny_subject.make_stories


@pytest.fixture(scope="session")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """windows.h5 of subject SIM01: 2 voxels, 4 short stories."""
    path = tmp_path_factory.mktemp("subject") / "windows.h5"
    write_stories(path, tiny_subject.make_stories())
    return path


# --- the three steps ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def steps(pretrained: Pretrained, windows: Path) -> Iterator[Steps]:
    """The steps in this process, on the CPU; torch's flags are put back in the end."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield Steps(pretrained, windows)
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(strict)


@dataclass(frozen=True)
class Trained:
    """Files of one trained setting."""

    text_prompt: Path
    fmri_prompt: Path


@pytest.fixture(scope="session")
def train(steps: Steps, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Trained]:
    """Train both stages of a recipe, once a session for each."""
    made: dict[str, Trained] = {}

    def both(**recipe: Any) -> Trained:
        key = json.dumps(recipe, sort_keys=True)
        if key not in made:
            folder = tmp_path_factory.mktemp("trained")
            first = steps.text_prompt(folder, **recipe)
            train_text_prompt.main(**first)
            second = steps.fmri_prompt(folder, first["out"], **recipe)
            train_fmri_prompt.main(**second)
            made[key] = Trained(first["out"], second["out"])
        return made[key]

    return both


@pytest.fixture(scope="session")
def decode(steps: Steps) -> Callable[..., pd.DataFrame]:
    """Decode into a folder; keyword arguments as of `Steps.decoded`."""

    def run(folder: Path, trained: Trained, **options: Any) -> pd.DataFrame:
        command = steps.decoded(folder, trained.text_prompt, trained.fmri_prompt, **options)
        decode_story.main(**command)
        return pd.read_csv(command["out"], keep_default_na=False)

    return run
