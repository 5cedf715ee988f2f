"""Fisher English (LDC2004S13 and LDC2005S13, texts LDC2004T19 and LDC2005T19), from a local folder.

Telephone conversations of two channels: ``fe_03_00001.sph``, and ``fe_03_00001.txt`` with lines
such as ``3.76 5.54 A: and generally prefer``. The files may lie anywhere below the folder. Parts
are ``part1`` (calls up to 05850), ``part2`` and ``all``.

lhotse's recipe needs the program sph2pipe for every call and passes over unreadable ones in
silence; its utterances of a call are the same, which the tests check.

``((words))`` that the transcriber was not sure of are kept; an utterance with a gap ``(( ))`` is
rejected.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from hearsay.corpora.licensed import by_stem, check_parts, folder_of, unreadable
from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

LAST_OF_PART_1 = 5850

_CALL = re.compile(r"fe_03_(\d{5})")
_LINE = re.compile(r"(\d+(?:\.\d+)?)\s+(\d+(?:\.\d+)?)\s+([AB]):\s*(.*)")
_NOISE = re.compile(r"\[[^\[\]]*\]")
_GAP = re.compile(r"\(\(\s*\)\)")
_FIRST, _SECOND = 5, 10  # columns of the callers' numbers in *_calldata.tbl


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances by call and time.

    Raises
    ------
    InputError
        for an archive, unknown parts, and a folder without the calls' audio or texts.
    """
    folder = folder_of(source, "Fisher")
    check_parts("fisher", parts, ("all", "part1", "part2"))
    names = source.names()
    calls = {s: n for s, n in by_stem(names, (".txt",)).items() if _CALL.fullmatch(s)}
    audio = by_stem(names, (".wav", ".flac", ".sph"))
    for what, found, media in (
        ("texts (fe_03_*.txt)", calls, "LDC2004T19 and LDC2005T19"),
        ("audio (fe_03_*.sph)", [s for s in audio if _CALL.fullmatch(s)], "LDC2004S13, LDC2005S13"),
    ):
        if not found:
            raise InputError(f"{source.path}: no {what} of Fisher; copy {media} there")
    speakers = _speakers(source, names)
    listing = Listing()
    for part in parts:
        before = len(listing.recordings) + len(listing.rejected)
        for call, name in sorted(calls.items()):
            if part not in ("all", "part1" if int(call[-5:]) <= LAST_OF_PART_1 else "part2"):
                continue
            if call not in audio:
                listing.rejected.append(Rejected(call, "missing", f"no file {call}.sph"))
            elif packed := unreadable(call, folder, audio[call]):
                listing.rejected.append(packed)
            else:
                lines = source.read(name).decode("utf-8", errors="replace").splitlines()
                _add_call(listing, call, lines, audio[call], speakers)
        listed = len(listing.recordings) + len(listing.rejected) - before
        check_count(str(source.path), part, listed, options.get("counts") or {})
    return listing


def _add_call(
    listing: Listing,
    call: str,
    lines: Sequence[str],
    audio: str,
    speakers: Mapping[tuple[str, str], str],
) -> None:
    for place, line in enumerate(lines, start=1):
        if line.strip() and not line.startswith("#"):
            found = _utterance(f"{call}-{place:05d}", line, audio, call, speakers)
            if isinstance(found, Recording):
                listing.recordings.append(found)
            else:
                listing.rejected.append(found)


def _utterance(
    name: str, line: str, audio: str, call: str, speakers: Mapping[tuple[str, str], str]
) -> Recording | Rejected:
    told = _LINE.fullmatch(line.strip())
    if told is None:
        return Rejected(name, "bad-row", f"not START END A: or B: and words: {line[:60]}")
    start, end, side, text = float(told[1]), float(told[2]), told[3], told[4]
    if call == "fe_03_11487" and start == 31.09 and end == 234.06:
        start = 231.09  # a digit is missing in the LDC's file
    if end <= start:
        return Rejected(name, "bad-row", f"ends at {end} s, before it starts at {start} s")
    if _GAP.search(text):
        return Rejected(name, "unintelligible", text[:80])
    words = " ".join(_NOISE.sub(" ", text).replace("((", " ").replace("))", " ").split())
    speaker = speakers.get((call[-5:], side), f"{call}{side}")
    return Recording(name, words, speaker, audio, start, end, "AB".index(side))


def _speakers(source: Source, names: Sequence[str]) -> dict[tuple[str, str], str]:
    """Callers' numbers by call and side, where the tables of calls are there."""
    found: dict[tuple[str, str], str] = {}
    for name in names:
        if name.lower().endswith("_calldata.tbl"):
            for line in source.read(name).decode("utf-8", errors="replace").splitlines()[1:]:
                values = line.split(",")
                if len(values) > _SECOND:
                    found[values[0], "A"] = values[_FIRST]
                    found[values[0], "B"] = values[_SECOND]
    return found
