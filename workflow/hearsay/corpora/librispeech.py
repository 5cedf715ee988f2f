"""LibriSpeech as OpenSLR hands it out (resources 12 and 31): FLAC and texts by speaker and chapter.

``LibriSpeech/{part}/{speaker}/{chapter}/{speaker}-{chapter}.trans.txt`` has a line for each
utterance: its name, a space, and its words in capitals. lhotse's recipe reads the same from an
unpacked folder; this one reads the archives as they come, and notes what is missing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

TEXTS = ".trans.txt"


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances of parts such as ``dev-clean``, in the order of their names.

    Raises
    ------
    InputError
        for a part that the source does not hold, and for texts that are not UTF-8.
    """
    names = source.names()
    listing = Listing()
    for part in parts:
        at_top = source.path.name == part and source.path.is_dir()  # the part's own folder
        texts = [
            name for name in names if name.endswith(TEXTS) and (at_top or f"/{part}/" in f"/{name}")
        ]
        if not texts:
            there = sorted({_part_of(name) for name in names if name.endswith(TEXTS)} - {""})
            raise InputError(
                f"{source.path}: holds no texts of LibriSpeech's part {part!r} "
                f"({part}/SPEAKER/CHAPTER/*{TEXTS}; parts there: {', '.join(there) or 'none'}); "
                "name the folder or archive of this part"
            )
        before = len(listing.recordings) + len(listing.rejected)
        for name in texts:
            _add_chapter(source, name, listing)
        found = len(listing.recordings) + len(listing.rejected) - before
        check_count(str(source.path), part, found, options.get("counts") or {})
    return listing


def _part_of(name: str) -> str:
    return "/".join(name.split("/")[:-3]).rpartition("/")[2]


def _add_chapter(source: Source, name: str, listing: Listing) -> None:
    folder = name.rpartition("/")[0]
    try:
        lines = source.read(name).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(
            f"{source.path}: {name}, byte {error.start + 1}, is not UTF-8; get the part anew"
        ) from None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        utterance, _, text = line.strip().partition(" ")
        audio = f"{folder}/{utterance}.flac"
        if utterance.count("-") != 2:
            listing.rejected.append(
                Rejected(f"{name}:{number}", "bad-row", f"has no utterance's name: {line[:50]}")
            )
        elif audio not in source:
            listing.rejected.append(Rejected(utterance, "missing", f"no file {audio}"))
        else:
            listing.recordings.append(
                Recording(utterance, text.strip(), utterance.partition("-")[0], audio)
            )
