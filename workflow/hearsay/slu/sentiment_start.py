"""What the training of a classifier of sentiment starts from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsay.errors import InputError
from hearsay.slu.aligner_files import load_aligner
from hearsay.slu.bert_layers import BertLayers, load_bert, load_tokeniser
from hearsay.slu.sentiment import SentimentClassifier, classifier_of, reads_text
from hearsay.slu.speech_encoder import load_speech_encoder


@dataclass
class Start:
    """A classifier before its first step, and what it was made from.

    Attributes
    ----------
    text, tokeniser : None where nothing is read; `digest` is the text encoder's.
    aligner : the recipe of the aligner that was grafted.
    """

    model: SentimentClassifier
    text: BertLayers | None
    tokeniser: Any
    digest: str | None
    aligner: dict[str, Any] | None


def started(
    kind: str,
    recipe: Mapping[str, Any],
    speech: Path | None,
    text: Path | None,
    aligner: Path | None,
) -> Start:
    """The classifier before its first step.

    Raises
    ------
    InputError
        for a kind whose models are not named, and models that it has no use for.
    """
    needed = {"text": ("text",), "speech": ("speech",), "graft": ("text", "aligner")}
    if kind not in needed:
        raise InputError(f"kind {kind!r}: none of {', '.join(needed)}")
    given = {"speech": speech, "text": text, "aligner": aligner}
    for name, path in given.items():
        if (path is not None) != (name in needed[kind]):
            does = "needs" if name in needed[kind] else "has no use for"
            raise InputError(f"a classifier of kind {kind} {does} --{name}")
    bert = load_bert(text) if text else None
    digest = bert.digest() if bert else None
    encoder, whole, about = None, None, None
    if kind == "speech":
        assert speech is not None
        encoder = load_speech_encoder(speech, frozen=recipe["frozen_speech"])
    if kind == "graft":
        assert aligner is not None
        assert bert is not None
        whole, found = load_aligner(aligner, bert)
        about = found["recipe"]
        whole.train()
        whole.requires_grad_(True)
        whole.speech.freeze(recipe["frozen_speech"])
    model = classifier_of(kind, recipe, text=bert, speech=encoder, aligner=whole)
    tokeniser = load_tokeniser(text) if text and reads_text(kind, recipe) else None
    return Start(model, bert, tokeniser, digest, about)
