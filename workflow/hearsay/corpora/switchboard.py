"""Switchboard-1 release 2 (LDC97S62) with Mississippi State's transcripts, from a local folder.

Telephone conversations of two channels: ``sw02001.sph``, and for each side a text
``sw2001A-ms98-a-trans.text`` with lines of utterance, start, end and words. The folder holds both
anywhere below it. There is one part, ``all``.

lhotse's recipe needs the program sph2pipe for every call, downloads transcripts that are not there,
and gives both sides of a call one speaker; its utterances are the same, which the tests check.

Marks: ``[silence]`` and sounds are left out; of ``[laughter-yes]`` and ``[actual/intended]`` the
word (the intended one) is kept, of ``th[ey]-`` what was said; ``{coined}`` and ``about_1`` lose
theirs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hearsay.corpora.licensed import by_stem, check_parts, folder_of, unreadable
from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

_TEXT = re.compile(r"sw(\d{4})([AB])-ms98-a-trans\.text", re.IGNORECASE)
_SOUND = re.compile(r"^(?:\[[^\]/-]+(?:-noise)?\]|<[^<>]*>)$")
_LAUGHING = re.compile(r"^\[laughter-(.+)\]$")
_MEANT = re.compile(r"^\[[^/\]]+/([^\]]+)\]$")
_UNSAID = re.compile(r"\[[^\]]*\]")
_VARIANT = re.compile(r"_\d+$")


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances by conversation, side and time; stretches of silence are not among them.

    Raises
    ------
    InputError
        for an archive, a part other than ``all``, and a folder without audio or texts.
    """
    folder = folder_of(source, "Switchboard")
    check_parts("switchboard", parts, ("all",))
    names = source.names()
    texts: dict[tuple[str, str], str] = {}
    for name in names:
        if told := _TEXT.fullmatch(name.rpartition("/")[2]):
            texts[told[1], told[2].upper()] = name
    audio: dict[str, str] = {}
    for stem, name in by_stem(names, (".wav", ".flac", ".sph")).items():
        if told := re.fullmatch(r"sw0?(\d{4})", stem):
            audio[told[1]] = name
    for what, found, media in (
        ("audio (sw0*.sph)", audio, "LDC97S62"),
        ("transcripts (sw*-ms98-a-trans.text)", texts, "swb_ms98_transcriptions"),
    ):
        if not found:
            raise InputError(f"{source.path}: no {what} of Switchboard; copy {media} there")
    listing = Listing()
    for call in sorted({*audio, *(call for call, _ in texts)}):
        if call not in audio:
            listing.rejected.append(Rejected(f"sw{call}", "missing", f"no file sw0{call}.sph"))
        elif packed := unreadable(f"sw{call}", folder, audio[call]):
            listing.rejected.append(packed)
        else:
            for channel, side in enumerate("AB"):
                _add_side(source, listing, (call, side), channel, texts, audio[call])
    listed = len(listing.recordings) + len(listing.rejected)
    check_count(str(source.path), "all", listed, options.get("counts") or {})
    return listing


def _add_side(
    source: Source,
    listing: Listing,
    key: tuple[str, str],
    channel: int,
    texts: Mapping[tuple[str, str], str],
    audio: str,
) -> None:
    speaker = f"sw{key[0]}{key[1]}"
    if key not in texts:
        listing.rejected.append(
            Rejected(speaker, "missing-text", f"no file {speaker}-ms98-a-trans.text")
        )
        return
    lines = source.read(texts[key]).decode("utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            name, start, end, *words = line.split()
            span = float(start), float(end)
        except ValueError:
            if line.strip():
                detail = f"not utterance, times, words: {line[:60]}"
                listing.rejected.append(Rejected(f"{speaker}:{number}", "bad-row", detail))
            continue
        if words and words[0] != "[silence]":
            text = " ".join(filter(None, map(clean, words)))
            listing.recordings.append(Recording(name, text, speaker, audio, *span, channel))


def clean(word: str) -> str:
    """A transcribed token as the word that was said, or nothing."""
    if told := _LAUGHING.match(word) or _MEANT.match(word):
        word = told[1]
    elif _SOUND.match(word):
        return ""
    word = _UNSAID.sub("", word).strip("{}")
    return _VARIANT.sub("", word).strip("-")
