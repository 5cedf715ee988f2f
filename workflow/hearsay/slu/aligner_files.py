"""Aligners on disk: safetensors, with all that is needed to build them anew but BERT."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from hearsay.errors import InputError, reason_of
from hearsay.files import whole_file
from hearsay.settings.slu import AlignerRecipe
from hearsay.slu.aligner import Aligner
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.recipes import extra_layers
from hearsay.slu.speech_encoder import SpeechEncoder, encoder_of


def aligner_of(
    recipe: Mapping[str, Any], speech: SpeechEncoder, text: BertLayers, rate: float = 0.066
) -> Aligner:
    """The aligner of a recipe, before its first step.

    Parameters
    ----------
    recipe : keys of `AlignerRecipe`.
    rate : tokens a frame to start from.

    Raises
    ------
    InputError
        for a layer that the text encoder does not have, and learned edges with no layer above them.
    """
    whole = AlignerRecipe(**recipe)  # of an older aligner keys may be missing
    extra, paths = extra_layers(whole), None
    if whole.path_weight:
        paths = {
            "states": whole.path_states,
            "kernel": whole.path_kernel,
            "silence": whole.path_silence,
            "deviation": whole.path_deviation,
            "temperature": whole.temperature,
        }
    for layer in (recipe["layer"], *extra):
        if layer > text.depth:
            raise InputError(f"layer {layer}: the text encoder has layers 0 to {text.depth}")
    if recipe["edges"] == "learned" and recipe["layer"] == text.depth:
        raise InputError(
            "edges = 'learned': no layer of the text encoder is left above them, so that nothing "
            "would train them; set edges to 'constant'"
        )
    return Aligner(
        speech,
        text,
        layer=recipe["layer"],
        extra_layers=extra,
        edges=recipe["edges"],
        alpha_kernel=recipe["alpha_kernel"],
        energy_gate=recipe["energy_gate"],
        rate=rate,
        paths=paths,
    )


def save_aligner(
    path: Path | str, aligner: Aligner, text: BertLayers, about: Mapping[str, Any]
) -> None:
    """Write weights; the speech encoder's configuration, BERT's digest and `about` go with them.

    `about` has the ``recipe``.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in aligner.state_dict().items()}
    content = {
        "speech": aligner.speech.model.config.to_dict(),
        "normalise": aligner.speech.normalise,
        "text": text.digest(),
        "about": dict(about),
    }
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"hearsay": json.dumps(content, sort_keys=True)})


def load_aligner(path: Path | str, text: BertLayers) -> tuple[Aligner, dict[str, Any]]:
    """Read what `save_aligner` wrote: the aligner, in evaluation mode, and `about`.

    Raises
    ------
    InputError
        if it is not such a file, or `text` is another BERT than the one that it was aligned to.
    """
    try:
        with safe_open(str(path), "pt") as file:
            content = json.loads((file.metadata() or {})["hearsay"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        recipe = content["about"]["recipe"]
        speech = encoder_of(
            content["speech"], normalise=content["normalise"], frozen=recipe["frozen"]
        )
        aligner = aligner_of(recipe, speech, text)
        digest = content["text"]
    except Exception as error:  # whatever a broken file brings about
        reason = reason_of(error)
        raise InputError(f"{path}: not an aligner of hearsay: {reason}") from None
    if digest != text.digest():
        raise InputError(
            f"{path}: was aligned to another text encoder (its weights' SHA-256 begins with "
            f"{digest[:12]}, not {text.digest()[:12]}); name that one"
        )
    try:
        aligner.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{path}: not an aligner of hearsay: {reason_of(error)}") from None
    return aligner.eval(), content["about"]
