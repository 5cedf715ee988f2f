"""EGRU: recurrent language models whose units speak in events, and their dense peers.

    >>> from hearsay.lm import EGRU, EventEngine, LanguageModel

`EGRU` is called as torch.nn.GRU: x [T, B, I] to y [T, B, H] and a state (M. Schöne et al., "An
efficient RNN Language Model using activity sparsity and sparse back-propagation through time",
2023, Eq. 1-5). `LanguageModel` stacks it between tied word vectors; `EventEngine` runs such a model
token by token and reads only the weights of active units. Names are imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsay.lm.egru import EGRU, EGRUState
    from hearsay.lm.event_engine import EventEngine
    from hearsay.lm.language_model import LanguageModel, load_language_model

_MODULES = {
    "EGRU": "egru",
    "EGRUState": "egru",
    "EventEngine": "event_engine",
    "LanguageModel": "language_model",
    "load_language_model": "language_model",
}

__all__ = ["EGRU", "EGRUState", "EventEngine", "LanguageModel", "load_language_model"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
