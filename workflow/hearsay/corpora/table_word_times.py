"""Word times of your own recordings (`hearsay.corpora.speech_table`): one table, or files beside.

Either the source holds a table ``{part}.words.csv`` or ``words.csv`` with the columns ``id, word,
start_s, end_s``; its times are those of the utterance. Or beside each audio file lies one of its
name with ``.wrd`` (TIMIT), ``.TextGrid`` (Praat) or ``.json`` (pocketsphinx); its times are those
of the file, and of an utterance in a longer file the words are taken whose middle lies in it.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hearsay.corpora.speech_source import Recording, Rejected, Source
from hearsay.corpora.speech_table import list_recordings
from hearsay.corpora.word_times import (
    TOLERANCE,
    WordListing,
    WordTime,
    csv_words,
    read_alignment,
)
from hearsay.errors import InputError

_SUFFIXES = (".wrd", ".textgrid", ".json")


def word_times_of(
    source: Source, parts: Sequence[str], options: Mapping[str, Any] | None = None
) -> WordListing:
    """Words with times of the utterances of `parts`.

    Parameters
    ----------
    source, parts : as of `hearsay.corpora.speech_table.list_recordings`.
    options : of that reader; and ``words`` names the table of words where there are several,
        ``tier`` the tier of TextGrids (``word`` by itself).

    Raises
    ------
    InputError
        as that reader; for a table of words that is not there or not of its form; and if there is
        neither a table nor a file beside any recording.
    """
    options = options or {}
    recordings = list_recordings(source, parts, options).recordings
    tables = _tables(source, parts, options.get("words"))
    if tables:
        return _of_tables(source, tables, recordings)
    files = _files_beside(source, recordings)
    if not files:
        raise InputError(
            f"{source.path}: holds no words.csv, and no .wrd, .TextGrid or .json beside the "
            "recordings; add word times, or name their table in options.words"
        )
    return _of_files(source, files, recordings, str(options.get("tier", "word")))


def _tables(source: Source, parts: Sequence[str], named: str | None) -> list[str]:
    names = source.names()
    if named is not None:
        found = [name for name in names if f"/{name}".endswith(f"/{named}")]
        if len(found) != 1:
            raise InputError(
                f"{source.path}: {len(found) or 'no'} files are named {named!r}; correct "
                "options.words"
            )
        return found
    wanted = {"words.csv", *(f"{part}.words.csv" for part in parts)}
    return [name for name in names if name.rpartition("/")[2] in wanted]


def _of_tables(
    source: Source, tables: Sequence[str], recordings: Sequence[Recording]
) -> WordListing:
    words: dict[str, list[WordTime]] = {}
    for table in tables:
        words |= csv_words(source.read(table), f"{source.path} ({table})")
    listing = WordListing()
    for recording in recordings:
        if recording.id in words:
            listing.words.setdefault(recording.id, words[recording.id])
        else:
            where = " or ".join(tables)
            listing.rejected.append(Rejected(recording.id, "missing", f"no words of it in {where}"))
    return listing


def _files_beside(source: Source, recordings: Sequence[Recording]) -> dict[str, str]:
    """Files of word times by the name of the audio file; the first of `_SUFFIXES` counts."""
    found: dict[str, tuple[int, str]] = {}
    for name in source.names():
        stem, dot, suffix = name.rpartition(".")
        if (last := (dot + suffix).lower()) in _SUFFIXES:
            rank = _SUFFIXES.index(last)
            found[stem] = min(found.get(stem, (rank, name)), (rank, name))
    stems = {r.audio: r.audio.rpartition(".")[0] for r in recordings}
    return {audio: found[stem][1] for audio, stem in stems.items() if stem in found}


def _of_files(
    source: Source, files: Mapping[str, str], recordings: Sequence[Recording], tier: str
) -> WordListing:
    read: dict[str, list[WordTime] | InputError] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in source.stream(set(files.values())):
            path = Path(folder) / f"words.{name.rpartition('.')[2]}"
            path.write_bytes(data)
            try:
                read[name] = read_alignment(path, tier)
            except InputError as error:
                read[name] = InputError(str(error).replace(str(path), name))
    listing = WordListing()
    for recording in recordings:
        file = files.get(recording.audio)
        found = read[file] if file else None
        if found is None:
            why = ("missing", f"no .wrd, .TextGrid or .json beside {recording.audio}")
        elif isinstance(found, InputError):
            why = ("bad-row", str(found))
        elif not (words := _within(found, recording)):
            why = ("empty-text", f"{file} has no words for it")
        else:
            listing.words.setdefault(recording.id, words)
            continue
        listing.rejected.append(Rejected(recording.id, *why))
    return listing


def _within(words: Sequence[WordTime], recording: Recording) -> list[WordTime]:
    """Words of an utterance, with times from its start."""
    if recording.start is None and recording.end is None:
        return list(words)
    start = recording.start or 0.0
    end = float("inf") if recording.end is None else recording.end
    return [
        WordTime(word.word, _not_before(word.start_s - start), word.end_s - start)
        for word in words
        if start <= (word.start_s + word.end_s) / 2 < end
    ]


def _not_before(seconds: float) -> float:
    """Tables round the starts of utterances: a word that begins a little before begins with it."""
    return 0.0 if -TOLERANCE <= seconds < 0 else seconds
