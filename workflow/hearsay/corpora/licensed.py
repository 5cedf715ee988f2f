"""What the adapters of licensed corpora share: a folder on disk, its files, and what is missing.

Nothing here or in the adapters is ever downloaded. The corpora have their own licences, and come
from those who give these: LDC for WSJ, Fisher and Switchboard, IMDA for the NSC.
"""

from collections.abc import Iterable
from pathlib import Path

from hearsay.corpora.speech_source import Rejected, Source
from hearsay.errors import InputError

_HEADER = 1024  # bytes of NIST SPHERE


def folder_of(source: Source, corpus: str) -> Path:
    """The folder that the corpus was copied to.

    Raises
    ------
    InputError
        for an archive: these corpora come on many media, and are read where they were copied to.
    """
    if not source.path.is_dir():
        raise InputError(
            f"{source.path}: is an archive; {corpus} is read from a folder: unpack it and name the "
            "folder as path"
        )
    return source.path


def check_parts(corpus: str, parts: Iterable[str], known: Iterable[str]) -> None:
    """Refuse parts that an adapter does not know, by `InputError`."""
    known = list(known)
    for part in parts:
        if part not in known:
            raise InputError(f"{corpus}: no part {part!r}; there are {', '.join(known)}")


def by_stem(names: Iterable[str], suffixes: Iterable[str]) -> dict[str, str]:
    """Names of files by what stands before their suffix, in lower case; first suffixes win.

    A decompressed copy beside the original (``.wav`` beside ``.sph``) is found by naming its suffix
    first. Suffixes are compared without regard to capitals.
    """
    names = list(names)
    found: dict[str, str] = {}
    for suffix in suffixes:
        for name in names:
            if name.lower().endswith(suffix):
                stem = name.rpartition("/")[2][: -len(suffix)].lower()
                found.setdefault(stem, name)
    return found


def packed_sphere(file: Path) -> str:
    """Why a SPHERE file cannot be read as it is, or nothing.

    Many of LDC's files are compressed by *shorten* inside SPHERE, which libsndfile does not read.
    """
    with file.open("rb") as stream:
        header = stream.read(_HEADER)
    if not header.startswith(b"NIST_1A"):
        return ""
    for line in header.split(b"\n"):
        if line.startswith(b"sample_coding") and b"shorten" in line:
            copy = file.with_suffix(".wav").name
            return f"shorten-compressed; run: sph2pipe -f wav {file.name} {copy}"
    return ""


def unreadable(name: str, folder: Path, audio: str) -> Rejected | None:
    """The rejection of the utterance `name` whose file `audio` cannot be read as it is."""
    why = packed_sphere(folder / audio)
    return Rejected(name, "shorten-compressed", f"{audio} is {why}") if why else None
