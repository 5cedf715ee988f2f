r"""The Wall Street Journal corpora WSJ0 and WSJ1 (CSR-I and -II) of the LDC, from a local folder.

The folder holds the media's ``wsj0`` and ``wsj1`` somewhere below it. A part is a folder of them:
``si_tr_s`` (SI-284: of both), ``si_dt_20`` (*dev-93* in wsj1), ``si_et_20`` (*eval-92* in wsj0);
``wsj0/si_tr_s`` is that of WSJ0 alone (SI-84). Sennheiser channels (``.wv1``) are used. Texts are
the detailed orthographic ones (``….dot``: a text a line, with the utterance's name in brackets at
its end). lhotse has no recipe for it.

Of the transcribers' marks ``[noise]``, ``~`` and ``.`` (a pause) are left out; of ``*word*``,
``<word>`` and ``\.`` the word stays, since it was spoken, as does ``,COMMA`` where punctuation was
read out. Of ``REVO(LUTIONARY)-`` what was said is kept, and ``%PERCENT`` loses its sign. Most
``.wv1`` are shorten-compressed: such recordings are rejected by name, unless a ``.wav`` or
``.flac`` of the same name lies beside.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hearsay.corpora.licensed import by_stem, folder_of, unreadable
from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

_LINE = re.compile(r"(?P<text>.*?)\s*\(\s*(?P<name>[0-9a-zA-Z]{8})\s*\)\s*")
_NOISE = re.compile(r"\[[^\[\]]*\]")
_MARKS = re.compile(r"[\\*<>]")
_UNSAID = re.compile(r"\([^()\s]+\)(?=-(?:\s|$))|(?<=-)(?<!\S-)\([^()\s]+\)")
_READ = re.compile(r"(?<!\S)[%&](?=[A-Z]{2})")
_ALONE = frozenset(("~", ".", "--", ""))


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances of parts such as ``si_tr_s`` or ``wsj1/si_dt_20``, in the order of their names.

    Raises
    ------
    InputError
        for an archive, and for a part without audio or a folder without texts.
    """
    folder = folder_of(source, "WSJ")
    names = source.names()
    texts = _texts(source, names)
    listing = Listing()
    for part in parts:
        audio = by_stem(
            (name for name in names if f"/{part}/".lower() in f"/{name.lower()}"),
            (".wav", ".flac", ".wv1"),
        )
        if not audio:
            raise InputError(
                f"{source.path}: no audio of WSJ's part {part!r} (a folder {part}/ with *.wv1); "
                "copy that part of the LDC's media there"
            )
        check_count(str(source.path), part, len(audio), options.get("counts") or {})
        for name, file in sorted(audio.items()):
            if name not in texts:
                listing.rejected.append(
                    Rejected(name, "missing-text", f"({name}) is in no .dot file")
                )
            elif packed := unreadable(name, folder, file):
                listing.rejected.append(packed)
            else:
                listing.recordings.append(Recording(name, clean(texts[name]), name[:3], file))
    return listing


def clean(text: str) -> str:
    """A detailed orthographic transcript as its spoken words."""
    text = _READ.sub("", _UNSAID.sub("", _NOISE.sub(" ", text)))
    words = (_MARKS.sub("", word) for word in text.split() if word not in _ALONE)
    return " ".join(word for word in words if word not in _ALONE)


def _texts(source: Source, names: Sequence[str]) -> dict[str, str]:
    """Transcripts by the utterance's name in lower case."""
    found: dict[str, str] = {}
    for name in names:
        if name.lower().endswith(".dot"):
            for line in source.read(name).decode("latin-1").splitlines():
                if told := _LINE.fullmatch(line):
                    found[told["name"].lower()] = told["text"]
    if not found:
        raise InputError(
            f"{source.path}: no transcripts of WSJ (transcrp/dots/…/*.dot of wsj0, "
            "trans/…/*.dot of wsj1); copy them there too"
        )
    return found
