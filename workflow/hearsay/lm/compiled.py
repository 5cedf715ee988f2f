"""numba's compiler, whose results are kept for other processes where there is a place for them."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable], Any]:
    """As `numba.njit` of these options, compiled when first called.

    The machine code is kept in the package's folder or else in the user's cache; where neither can
    be written to, each process compiles anew.
    """

    def decorate(function: Callable) -> Any:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba's word for that there is no such folder
            return numba.njit(**options)(function)

    return decorate
