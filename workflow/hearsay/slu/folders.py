"""Pretrained models in local folders in the hub's layout; no pickles, no code from outside."""

import json
from pathlib import Path
from typing import Any

import torch

from hearsay.errors import InputError, reason_of


def load_folder(
    folder: Path | str, kind: Any, *, wanted: str, **configuration: Any
) -> tuple[Any, set[str]]:
    """A model in float32 and evaluation mode, by one of transformers' Auto classes.

    Parameters
    ----------
    wanted : "speech" or "text", for messages.
    configuration : keys that replace the folder's own, or are added to them.

    Returns
    -------
    (model, names of its weights that the folder lacks, which are random).

    Raises
    ------
    InputError
        for a folder without a model, or one that cannot be read.
    """
    from transformers import AutoConfig

    quiet()
    if not (Path(folder) / "config.json").is_file():
        raise InputError(f"{folder}: no {wanted} encoder here (config.json is missing)")
    try:
        config = AutoConfig.from_pretrained(
            str(folder), local_files_only=True, trust_remote_code=False
        )
        for key, value in configuration.items():
            setattr(config, key, value)
        model, about = kind.from_pretrained(
            str(folder),
            local_files_only=True,
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            config=config,
        )
    except Exception as error:  # bare exceptions for a bad file
        reason = reason_of(error)
        raise InputError(f"{folder}: cannot be loaded as a {wanted} encoder: {reason}") from None
    return model.eval(), set(about["missing_keys"])


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a model's folder."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch the model again") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: is no JSON object; fetch the model again")
    return found


def quiet() -> None:
    """Keep transformers' warnings and bars out of the log."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
