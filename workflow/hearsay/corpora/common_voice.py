"""Common Voice: any release, as its archive or unpacked.

A release holds ``{language}/{part}.tsv`` (or these at its top, as the first ones did) with a header
that grew over the releases, and ``clips/*.mp3`` beside it. Releases from 14 on also state how long
clips last, in ``times.txt`` or ``clip_durations.tsv``.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from hearsay.corpora.alphabets import ALPHABETS
from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import Table, check_count, read_table
from hearsay.errors import InputError

# "`cv-corpus-14.0/ug/clips/a.mp3` = 6192" or "a.mp3<tab>6192"; milliseconds
_LASTS = re.compile(rb"([^/\s`'\"=]+\.mp3)[`'\"]?\s*[=\t ]\s*(\d+)\s*$", re.MULTILINE)


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """List the clips of the release's own `parts`, in the order of their tables.

    Parameters
    ----------
    source : archive or folder of a release, of one or several languages.
    parts : names of tables, such as ``["train"]`` or ``["dev"]``.
    options : ``language`` chooses among several; ``counts`` has the rows that parts must have.

    Raises
    ------
    InputError
        for a release without these tables or with several, one of another language that the
        library knows, tables without the columns ``path`` and ``sentence``, and another number of
        rows than ``counts`` says.
    """
    folder = _find_release(source, parts, options["language"])
    lasts = _durations(source, folder)
    listing = Listing()
    for part in parts:
        table = read_table(source, f"{folder}{part}.tsv", ["path", "sentence"])
        check_count(
            f"{source.path} ({table.name})", part, len(table.lines), options.get("counts") or {}
        )
        _add(listing, table, source, folder, lasts)
    return listing


def _find_release(source: Source, parts: Sequence[str], language: str) -> str:
    """The folder with the tables of all parts, ending in ``/`` if it is not the top."""
    folders: dict[str, set[str]] = {}
    tables = set()
    for name in source.names():
        if name.endswith(".tsv"):
            folder, _, last = name.rpartition("/")
            tables.add(last)
            folders.setdefault(folder, set()).add(last.removesuffix(".tsv"))
    found = [folder for folder, there in folders.items() if there.issuperset(parts)]
    named = [folder for folder in found if PurePosixPath(folder).name == language]
    found = named or found
    if not found:
        listed = ", ".join(sorted(tables)[:8]) or "none"
        wanted = " and ".join(f"{part}.tsv" for part in parts)
        raise InputError(
            f"{source.path}: no folder in it holds {wanted} (tables there: {listed}); name a "
            "release of Common Voice, and its own parts"
        )
    if len(found) > 1:
        raise InputError(
            f"{source.path}: several folders hold {parts[0]}.tsv ({', '.join(sorted(found)[:4])}) "
            f"and no single one is named {language!r}; name one of them as path"
        )
    held = PurePosixPath(found[0]).name or source.path.name
    if held != language and {held, language} <= ALPHABETS.keys():
        raise InputError(
            f"{source.path}: holds {held!r} ({PurePosixPath(found[0], parts[0])}.tsv), but the "
            f"corpus's language is {language!r}; name a release of that language"
        )
    return f"{found[0]}/" if found[0] else ""


def _durations(source: Source, folder: str) -> dict[str, float]:
    """Seconds by file name of the clip, where the release states them."""
    for name in (f"{folder}clip_durations.tsv", f"{folder}times.txt"):
        if name in source:
            found = _LASTS.findall(source.read(name))
            return {clip.decode("utf-8", "replace"): int(lasts) / 1000 for clip, lasts in found}
    return {}


def _add(
    listing: Listing, table: Table, source: Source, folder: str, lasts: Mapping[str, float]
) -> None:
    for row in table.rows():
        if isinstance(row, Rejected):
            listing.rejected.append(row)
            continue
        clip = row["path"].rpartition("/")[2]
        if not clip.lower().endswith(".mp3") and f"{folder}clips/{clip}" not in source:
            clip = f"{clip}.mp3"  # some releases leave it out
        listing.recordings.append(
            Recording(
                id=clip.rpartition(".")[0] or clip,
                text=row["sentence"],
                speaker=row.get("client_id", ""),
                audio=f"{folder}clips/{clip}",
                duration=lasts.get(clip),
            )
        )
