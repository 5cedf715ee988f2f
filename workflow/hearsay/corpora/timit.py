"""TIMIT: ten sentences of each speaker, with hand-made times of words.

``{TRAIN,TEST}/DR1/FCJF0/SX1.WAV`` with ``.WRD`` beside it, in capitals or not, at any depth. Read
are the LDC's SPHERE files, copies turned to RIFF, and NLTK's sample (``dr1-fvmh0/sa1.wav``).
Texts are rebuilt from the words with times, which are what was said; ``.TXT`` is the prompt.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.corpora.word_times import WordListing, WordTime, timit_words
from hearsay.errors import InputError

# Copies hold one sentence in several of these; the first is taken.
_AUDIO = (".wav.wav", ".wav", ".flac", ".sph", ".nist")
_WORDS = ".wrd"
_DIALECT = re.compile(r"dr\d+")


def is_dialect_sentence(utterance: str) -> bool:
    """Is this the id of one of the two sentences that everybody reads, SA1 and SA2?

    TIMIT's documentation asks to keep them out of training and test: their words are in both.
    """
    return utterance.rpartition("-")[2].lower().startswith("sa")


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances of `parts`, in the order of their names.

    Ids are dialect, speaker and sentence in lower case: ``dr1-fcjf0-sx1``.

    Parameters
    ----------
    source : archive or folder of TIMIT.
    parts : folders, in capitals or not: ``train``, ``test``, a dialect, a speaker; ``all``.
    options : ``sa_sentences``, false to leave out (and list) what everybody reads; ``counts``.

    Raises
    ------
    InputError
        for a part without utterances, and another number of them than ``counts`` says.
    """
    listing = Listing()
    for name, speaker, audio, words in _utterances(source, parts, options):
        if isinstance(words, Rejected):
            listing.rejected.append(words)
        else:
            text = " ".join(word.word for word in words)
            listing.recordings.append(Recording(name, text, speaker, audio))
    return listing


def word_times_of(
    source: Source, parts: Sequence[str], options: Mapping[str, Any] | None = None
) -> WordListing:
    """Words with times of the utterances of `parts`; parameters and errors as `list_recordings`."""
    listing = WordListing()
    for name, _, _, words in _utterances(source, parts, options or {}):
        if isinstance(words, Rejected):
            listing.rejected.append(words)
        else:
            listing.words.setdefault(name, words)
    return listing


def _utterances(
    source: Source, parts: Sequence[str], options: Mapping[str, Any]
) -> Iterator[tuple[str, str, str, list[WordTime] | Rejected]]:
    """Id, speaker, audio, and words or why there are none."""
    files = source.names()
    texts = {name[: -len(_WORDS)].lower(): name for name in files if name.lower().endswith(_WORDS)}
    audio = _audio_by_stem(files)
    chosen: dict[str, None] = {}
    for part in parts:
        found = [stem for stem in sorted(audio) if _is_in(part, stem, source)]
        if not found:
            folders = sorted({folder for stem in audio for folder in stem.split("/")[:-1]})
            raise InputError(
                f"{source.path}: holds no recordings in a folder {part!r} (folders there: "
                f"{', '.join(folders[:8]) or 'none'}); name folders of TIMIT, such as train"
            )
        check_count(str(source.path), part, len(found), options.get("counts") or {})
        chosen.update(dict.fromkeys(found))
    # One pass: in an archive each reading of one file would be another.
    contents = dict(source.stream({texts[stem] for stem in chosen if stem in texts}))
    for stem in chosen:
        name, speaker = _names(stem, source)
        words: list[WordTime] | Rejected
        if stem not in texts:
            words = Rejected(name, "missing", f"no {_WORDS} file beside {audio[stem]}")
        elif not options.get("sa_sentences", True) and is_dialect_sentence(name):
            words = Rejected(name, "sa-sentence", "is read by everybody; options.sa_sentences")
        else:
            words = _words(name, texts[stem], contents[texts[stem]])
        yield name, speaker, audio[stem], words


def _audio_by_stem(files: Sequence[str]) -> dict[str, str]:
    """Audio files by their name in lower case without suffix."""
    found: dict[str, tuple[int, str]] = {}
    for name in files:
        for rank, suffix in enumerate(_AUDIO):
            if name.lower().endswith(suffix):
                stem = name[: -len(suffix)].lower()
                found[stem] = min(found.get(stem, (rank, name)), (rank, name))
                break
    return {stem: name for stem, (_, name) in found.items()}


def _is_in(part: str, stem: str, source: Source) -> bool:
    folders = [source.path.name.lower(), *stem.split("/")[:-1]]
    return part.lower() in ("all", *folders)


def _names(stem: str, source: Source) -> tuple[str, str]:
    """Id and speaker: of dr1/fcjf0/sx1 and of dr1-fcjf0/sx1 dr1-fcjf0-sx1 and fcjf0."""
    *folders, sentence = [source.path.name.lower(), *stem.split("/")][-3:]
    dialect = filter(_DIALECT.fullmatch, folders[:-1])
    return "-".join([*dialect, folders[-1], sentence]), re.sub(r"^dr\d+-", "", folders[-1])


def _words(name: str, file: str, data: bytes) -> list[WordTime] | Rejected:
    try:
        words = timit_words(data, file)
    except InputError as error:
        return Rejected(name, "bad-row", str(error))
    return words or Rejected(name, "empty-text", f"{file} has no words")
