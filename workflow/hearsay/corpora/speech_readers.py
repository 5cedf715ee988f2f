"""The corpora of speech that can be read: by kind, the module that lists its utterances.

A module is imported by name, only when it is asked for. So no step depends on the code of all
readers: a change of one would else prepare every corpus anew. Who uses a reader adds the digest of
its module, `code_of(module_of(kind))`, to what a rerun is decided by.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hearsay.corpora.speech_source import Listing, Source
from hearsay.errors import InputError

Reader = Callable[[Source, Sequence[str], Mapping[str, Any]], Listing]

KINDS: dict[str, str] = {
    "common_voice": "hearsay.corpora.common_voice",
    "librispeech": "hearsay.corpora.librispeech",
    "coraal": "hearsay.corpora.coraal",
    "wsj": "hearsay.corpora.wsj",
    "fisher": "hearsay.corpora.fisher",
    "switchboard": "hearsay.corpora.switchboard",
    "nsc": "hearsay.corpora.nsc",
    "timit": "hearsay.corpora.timit",
    "slue": "hearsay.corpora.slue",
    "table": "hearsay.corpora.speech_table",
}
"""Modules by kind; each has ``list_recordings(source, parts, options)``."""


def module_of(kind: str) -> str:
    """Dotted name of the module that reads corpora of this kind.

    Raises
    ------
    InputError
        for an unknown kind.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: there is no such corpus; there are {', '.join(KINDS)}")
    return KINDS[kind]


def reader_of(kind: str) -> Reader:
    """The function that lists recordings of corpora of this kind; errors as `module_of`."""
    return importlib.import_module(module_of(kind)).list_recordings
