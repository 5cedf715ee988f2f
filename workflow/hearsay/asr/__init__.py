"""QuartzNet transfer learning: recognisers across languages, accents and domains.

    >>> from hearsay.asr import load_recogniser, quartznet, transfer_encoder

`quartznet` makes a recogniser (NeMo's EncDecCTCModel), waveforms [B, samples] at 16 kHz to
log-probabilities [B, frames of 20 ms, V + 1]; `transfer_encoder` one that starts from another's
encoder (J. Huang et al., "Cross-Language Transfer Learning, Continuous Learning, and Domain
Adaptation for End-to-End Automatic Speech Recognition", 2020, section 1); `load_recogniser` reads
what a training wrote. Names are imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsay.asr.networks import quartznet, transfer_encoder
    from hearsay.asr.recogniser_files import load_recogniser

_MODULES = {
    "load_recogniser": "recogniser_files",
    "quartznet": "networks",
    "transfer_encoder": "networks",
}

__all__ = ["load_recogniser", "quartznet", "transfer_encoder"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
