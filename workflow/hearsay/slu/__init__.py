"""WaBERT: speech aligned to the word pieces of BERT, and grafted onto it.

    >>> from hearsay.slu import Aligner, Graft, boundary_errors, cif, info_nce

`cif` cuts frames [B, T, D] into tokens [B, N, D] by weights α; `info_nce` compares these with
BERT's states (L. Yao et al., "WaBERT: A Low-resource End-to-end Model for Spoken Language
Understanding and Speech-to-BERT Alignment", 2022, Eq. 3 and 4); `Aligner` does the former to
waveforms at 16 kHz, and `Graft` puts it in place of BERT's lower layers (section 3.2);
`boundary_errors` judges the times of words in ms (Tables 1 and 2). Names are imported when first
used.
"""

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsay.slu.aligner import Aligner
    from hearsay.slu.aligner_files import load_aligner
    from hearsay.slu.bert_layers import BertLayers, load_bert
    from hearsay.slu.boundary_errors import boundary_errors
    from hearsay.slu.cif import cif
    from hearsay.slu.graft import Graft
    from hearsay.slu.losses import cosine_loss, info_nce, quantity_loss, subword_loss
    from hearsay.slu.speech_encoder import SpeechEncoder, load_speech_encoder

_MODULES = {
    "Aligner": "aligner",
    "BertLayers": "bert_layers",
    "Graft": "graft",
    "SpeechEncoder": "speech_encoder",
    "boundary_errors": "boundary_errors",
    "cif": "cif",
    "cosine_loss": "losses",
    "info_nce": "losses",
    "load_aligner": "aligner_files",
    "load_bert": "bert_layers",
    "load_speech_encoder": "speech_encoder",
    "quantity_loss": "losses",
    "subword_loss": "losses",
}

__all__ = [
    "Aligner",
    "BertLayers",
    "Graft",
    "SpeechEncoder",
    "boundary_errors",
    "cif",
    "cosine_loss",
    "info_nce",
    "load_aligner",
    "load_bert",
    "load_speech_encoder",
    "quantity_loss",
    "subword_loss",
]


class _Front(ModuleType):
    """This package. Importing the module `cif` does not put it in the place of the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _MODULES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Front


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
