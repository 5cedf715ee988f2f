"""What the text prompt is made of: the text encoder's features of each window."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from hearsay.brain.aligned_text import joined
from hearsay.brain.language_model import text_features
from hearsay.brain.windows import Window

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def features_of(
    windows: Sequence[Window], encoder: "tuple[PreTrainedModel, Any]", recipe: Mapping[str, Any]
) -> Tensor:
    """The text features [N, F] that the mapping network reads."""
    aligned = recipe["stop"] == "tokens" and recipe["encoder_text"] == "aligned"
    stop = "tokens" if aligned else "words"
    lead = f"{recipe['prefix']} " if recipe["prefix"] else ""
    texts = [lead + joined(window.words, stop=stop) for window in windows]
    return text_features(*encoder, texts, pooling=recipe["pooling"])
