"""Singapore's National Speech Corpus, parts 1 and 2 (read speech), from a local folder.

``PART1/DATA/CHANNEL0/SCRIPT/000010.TXT`` holds the texts of speaker 0001, session 0, two lines an
utterance: name and text as shown, then a tab and the words as said. The recordings come as
``WAVE/SPEAKER0001.zip`` and must be unpacked there (``WAVE/SPEAKER0001/SESSION0/000010001.WAV``).
lhotse's recipe unpacks them beside the originals, has no speakers, and passes over what is missing.

The paper's split of V2.02 is not published beyond its rule, which is followed here: of part 1, 50
random speakers validate; of part 2, 31 of these and 19 speakers that part 1 does not have; and no
phrase that a validation speaker says is trained on, so that speakers and phrases are disjoint.
Speakers in ``options["validation_speakers"]`` are taken instead.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any

from hearsay.corpora.licensed import by_stem, check_parts, folder_of
from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

PARTS = ("part1-train", "part1-dev", "part2-train", "part2-dev")
VALIDATION = 50  # speakers of a part
OF_PART_1 = 31  # of those of part 2

_FILE = re.compile(
    r"(?:.*/)?PART([12])/DATA/CHANNEL([012])/(SCRIPT|WAVE)/(?:.*/)?([^/]+)\.(TXT|WAV|ZIP)",
    re.IGNORECASE,
)


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances of ``part1-train``, ``part1-dev``, ``part2-train`` or ``part2-dev``, by name.

    Parameters
    ----------
    options : channels (0 headset, 1 boundary microphone, 2 telephone; all that are there if
        empty), validation_speakers (four digits), seed of the random ones.

    Raises
    ------
    InputError
        for an archive, unknown parts, packed or missing recordings, missing texts, and validation
        speakers that do not occur.
    """
    folder_of(source, "the NSC")
    check_parts("nsc", parts, PARTS)
    files = _files(source, options.get("channels") or (0, 1, 2))
    listing = Listing()
    for part in parts:
        number, held_out = part[4], part.endswith("dev")
        before = len(listing.recordings) + len(listing.rejected)
        utterances = _utterances(source, number, files)
        validation = _validation_speakers(source, number, files, options)
        spoken = {_phrase(u.text) for u in utterances if u.speaker in validation}
        for utterance in utterances:
            if (utterance.speaker in validation) != held_out:
                continue
            if not utterance.audio:
                detail = f"no file {utterance.id}.WAV"
                listing.rejected.append(Rejected(utterance.id, "missing", detail))
            elif not held_out and _phrase(utterance.text) in spoken:
                detail = "a validation speaker says the same"
                listing.rejected.append(Rejected(utterance.id, "phrase-in-dev", detail))
            else:
                listing.recordings.append(utterance)
        found = len(listing.recordings) + len(listing.rejected) - before
        check_count(str(source.path), part, found, options.get("counts") or {})
    return listing


_Files = dict[tuple[str, str], list[str]]  # names by part and SCRIPT, WAVE or ZIP


def _files(source: Source, channels: Iterable[int]) -> _Files:
    wanted = {str(channel) for channel in channels}
    files: _Files = {}
    for name in source.names():
        told = _FILE.fullmatch(name)
        if told and told[2] in wanted:
            kind = "ZIP" if told[5].upper() == "ZIP" else told[3].upper()
            files.setdefault((told[1], kind), []).append(name)
    return files


def _utterances(source: Source, number: str, files: _Files) -> list[Recording]:
    """All utterances of a part; those without a recording have no audio's name."""
    scripts = files.get((number, "SCRIPT"))
    audio = by_stem(files.get((number, "WAVE"), []), [".wav"])
    if not scripts:
        raise InputError(
            f"{source.path}: no texts of the NSC's part {number} "
            f"(PART{number}/DATA/CHANNEL*/SCRIPT/*.TXT); copy them there"
        )
    if not audio:
        packed = files.get((number, "ZIP"), [])
        raise InputError(
            f"{source.path}: no recordings of the NSC's part {number}: "
            + (
                f"{len(packed)} are still packed (such as {packed[0]}); unzip them where they are"
                if packed
                else f"copy PART{number}/DATA/CHANNEL*/WAVE there"
            )
        )
    utterances = []
    for script in scripts:
        speaker = _speaker(script)
        for name, text in _texts(source.read(script).decode("utf-8-sig", errors="replace")):
            utterances.append(Recording(name, text, speaker, audio.get(name.lower(), "")))
    return utterances


def _speaker(script: str) -> str:
    """Digits 2 to 5 of a script's name: channel, speaker, session."""
    return script.rpartition("/")[2][1:5]


def _texts(script: str) -> list[tuple[str, str]]:
    """Names and words; those that were said, where the script tells them."""
    texts: list[tuple[str, str]] = []
    for line in script.splitlines():
        name, _, text = line.partition("\t")
        if name.strip():
            texts.append((name.strip(), text.strip()))
        elif text.strip() and texts:
            texts[-1] = texts[-1][0], text.strip()
    return texts


def _validation_speakers(
    source: Source, number: str, files: _Files, options: Mapping[str, Any]
) -> set[str]:
    speakers = {n: {_speaker(s) for s in files.get((n, "SCRIPT"), [])} for n in ("1", "2")}
    if named := options.get("validation_speakers"):
        if unknown := sorted(set(named) - speakers["1"] - speakers["2"]):
            raise InputError(
                f"{source.path}: validation speakers that are not in the NSC: "
                f"{', '.join(unknown[:5])}; names have four digits, such as "
                f"{min(speakers[number])}"
            )
        return set(named)
    random = Random(f"nsc {options.get('seed', 0)}")
    first = _draw(random, speakers["1"], VALIDATION)
    if number == "1":
        return set(first)
    shared = sorted(set(first) & speakers["2"])  # not trained on in part 1 either
    chosen = random.sample(shared, min(OF_PART_1, len(shared)))
    chosen += _draw(random, speakers["2"] - speakers["1"], VALIDATION - len(chosen))
    return set(chosen)


def _draw(random: Random, speakers: set[str], count: int) -> list[str]:
    """So many of them; at most half, so that a small copy can be trained on as well."""
    return random.sample(sorted(speakers), min(count, (len(speakers) + 1) // 2))


def _phrase(text: str) -> str:
    return " ".join(re.findall(r"[\w']+", text.lower()))
