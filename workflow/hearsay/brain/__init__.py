"""BP-GPT: text decoded from fMRI by prompting a causal language model.

    >>> from hearsay.brain import FmriEncoder, PromptMapper, contrastive_loss

Stage 1 learns a text prompt from BERT's features; stage 2 learns an fMRI prompt that is aligned to
it (X. Chen et al., "BP-GPT: Auditory Neural Decoding Using fMRI-prompted LLM", 2025). Names are
imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsay.brain.losses import contrastive_loss
    from hearsay.brain.prompts import FmriEncoder, PromptMapper
    from hearsay.brain.stories import read_stories

_MODULES = {
    "FmriEncoder": "prompts",
    "PromptMapper": "prompts",
    "contrastive_loss": "losses",
    "read_stories": "stories",
}

__all__ = ["FmriEncoder", "PromptMapper", "contrastive_loss", "read_stories"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
