"""Classifiers of sentiment on disk: safetensors, with all that is needed to build them anew."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file

from hearsay.errors import InputError, reason_of
from hearsay.files import whole_file
from hearsay.slu.aligner_files import aligner_of
from hearsay.slu.bert_layers import BertLayers
from hearsay.slu.sentiment import SentimentClassifier, classifier_of, speech_of
from hearsay.slu.speech_encoder import encoder_of

TEXT = "features.text."  # where BERT lies in a classifier's state
GRAFTED = "features.graft.text."  # and again in a graft's


def save_classifier(path: Path | str, model: SentimentClassifier, about: Mapping[str, Any]) -> None:
    """Write what was trained; a BERT that was not is named by its digest.

    `about` has ``run``, ``seed``, ``kind``, ``recipe``, ``text`` (digest before training, None
    without one) and, of a graft, ``aligner`` (its recipe).
    """
    keep_text = not about["recipe"]["frozen_text"]
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in model.state_dict().items()
        if not name.startswith(GRAFTED) and (keep_text or not name.startswith(TEXT))
    }
    if keep_text:  # tied weights would share memory
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
    content: dict[str, Any] = {"about": dict(about)}
    speech = speech_of(model)
    if speech is not None:
        content["speech"] = speech.model.config.to_dict()
        content["normalise"] = speech.normalise
    with whole_file(path) as temporary:
        save_file(tensors, temporary, metadata={"hearsay": json.dumps(content, sort_keys=True)})


def load_classifier(
    path: Path | str, text: BertLayers | None = None
) -> tuple[SentimentClassifier, dict[str, Any]]:
    """Read what `save_classifier` wrote: the classifier, in evaluation mode, and `about`.

    Raises
    ------
    InputError
        if it is not such a file, or asks for a text encoder that `text` is not.
    """
    try:
        with safe_open(str(path), "pt") as file:
            content = json.loads((file.metadata() or {})["hearsay"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        about = content["about"]
        kind, recipe, digest = about["kind"], about["recipe"], about["text"]
    except Exception as error:  # whatever a broken file brings about
        reason = reason_of(error)
        raise InputError(f"{path}: not a classifier of hearsay: {reason}") from None
    if kind != "speech":
        if text is None:
            raise InputError(f"{path}: a classifier of kind {kind} needs its text encoder")
        if digest != text.digest():
            raise InputError(
                f"{path}: was trained with another text encoder (its weights' SHA-256 begins with "
                f"{digest[:12]}, not {text.digest()[:12]}); name that one"
            )
    speech, aligner = None, None
    if kind != "text":
        speech = encoder_of(content["speech"], normalise=content["normalise"])
    if kind == "graft" and speech is not None and text is not None:
        aligner = aligner_of(about["aligner"], speech, text)
    model = classifier_of(kind, recipe, text=text, speech=speech, aligner=aligner)
    try:
        missing, unexpected = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"{path}: not a classifier of hearsay: {reason}") from None
    elsewhere = (TEXT, GRAFTED) if recipe["frozen_text"] else (GRAFTED,)
    lacking = [name for name in missing if not name.startswith(elsewhere)]
    if lacking:
        raise InputError(f"{path}: not a classifier of hearsay: it lacks {lacking[0]}")
    if unexpected:
        raise InputError(f"{path}: not a classifier of hearsay: it has {unexpected[0]} too")
    return model.eval(), about
