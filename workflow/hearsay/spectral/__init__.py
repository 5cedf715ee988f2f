"""Power-law audit of weight matrices: spectra, exponents and capacity metrics of any model.

    >>> from hearsay.spectral import audit, summarise
    >>> frame = audit("model.safetensors")
    >>> summarise(frame)["alpha_hat"]

On the command line: ``python -m hearsay.spectral MODEL``. Names are imported when first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hearsay.spectral.matrices import Convention
    from hearsay.spectral.power_law import PowerLawFit, fit_power_law
    from hearsay.spectral.report import audit
    from hearsay.spectral.spectrum import eigenvalues, numerical_rank
    from hearsay.spectral.summary import summarise

_MODULES = {
    "Convention": "matrices",
    "PowerLawFit": "power_law",
    "audit": "report",
    "eigenvalues": "spectrum",
    "fit_power_law": "power_law",
    "numerical_rank": "spectrum",
    "summarise": "summary",
}

__all__ = [
    "Convention",
    "PowerLawFit",
    "audit",
    "eigenvalues",
    "fit_power_law",
    "numerical_rank",
    "summarise",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
