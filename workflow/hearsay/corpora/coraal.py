"""The Corpus of Regional African American Language: interviews, in turns with their times.

The paper used the components DCA, DCB, PRV and ROC of October 2018. Each interview has a WAV file
and a table (``DCA_se1_ag1_f_01_1.txt``: Line, Spkr, StTime, Content, EnTime, tab-separated). Names
tell a speaker's component, socio-economic group, age group, gender and number. Interviewers
(``…_int_…``) are left out. A speaker's successive rows are put together to utterances of up to
20 s, unless another speaks between; utterances of 2 to 30 s are kept.

CORAAL is licensed CC BY-NC-SA: what is made of it may not be used commercially or passed on under
other terms. The paper's 11 validation speakers are not published. Those in
``options["validation_speakers"]`` are taken; without them 11 are drawn by ``options["seed"]``, in
turn from each component and gender.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from random import Random
from typing import Any

from hearsay.corpora.speech_source import Listing, Recording, Rejected, Source
from hearsay.corpora.speech_tsv import check_count
from hearsay.errors import InputError

COMPONENTS = ("DCA", "DCB", "PRV", "ROC")
COLUMNS = ("Line", "Spkr", "StTime", "Content", "EnTime")
TOGETHER = 20.0  # seconds, of an utterance put together of several rows
SHORTEST, LONGEST = 2.0, 30.0  # seconds
VALIDATION_SPEAKERS = 11

_PAUSE = re.compile(r"\(pause[^)]*\)", re.IGNORECASE)
_SOUND = re.compile(r"<[^<>]*>|\([^()]*\)")  # <laugh>, (laughing)
_REDACTED = re.compile(r"\bRD-", re.IGNORECASE)
_UNHEARD = re.compile(r"/\s*(?:\?+|unintelligible|inaudible|xxx*)[^/]*/", re.IGNORECASE)
_INTERVIEWEE = re.compile(r"([A-Z]+)_se\d+_ag\d+_([fm])_\d+")
_MARKS = str.maketrans("", "", "[]/")  # overlaps, and words that are not certain


@dataclass(frozen=True)
class Row:
    """A row of an interview; times in seconds."""

    line: int
    speaker: str
    start: float
    end: float
    content: str

    @property
    def interviewer(self) -> bool:
        """Is it a question?"""
        return "_int" in self.speaker.lower()

    @property
    def pause(self) -> bool:
        """Is nothing said in it?"""
        return not _SOUND.sub("", _PAUSE.sub("", self.content)).strip()

    @property
    def unusable(self) -> str:
        """Why its words cannot be used, or nothing."""
        if _REDACTED.search(self.content):
            return "redacted"
        return "unintelligible" if _UNHEARD.search(self.content) else ""

    @property
    def text(self) -> str:
        """Its words without the transcribers' marks."""
        return " ".join(_SOUND.sub(" ", self.content).translate(_MARKS).split())


def list_recordings(source: Source, parts: Sequence[str], options: Mapping[str, Any]) -> Listing:
    """Utterances of the parts ``train`` and ``dev``, by interview and time.

    Parameters
    ----------
    options : validation_speakers (names such as ``DCA_se1_ag1_f_01``), seed, components.

    Raises
    ------
    InputError
        for a source without interviews of a component, a table with other columns, validation
        speakers that do not occur, and parts other than train and dev.
    """
    if wrong := set(parts) - {"train", "dev"}:
        raise InputError(f"coraal: no part {min(wrong)!r}; there are train and dev")
    listing = Listing()
    interviews = dict(_interviews(source, options.get("components") or COMPONENTS, listing))
    speakers = {row.speaker for rows in interviews.values() for row in rows if not row.interviewer}
    held_out = validation_speakers(source, speakers, options)
    audio = {name.rpartition("/")[2]: name for name in source.names() if name.endswith(".wav")}
    for part in parts:
        counted = 0
        for interview, rows in interviews.items():
            for spoken in _utterances(rows):
                if (spoken[0].speaker in held_out) != (part == "dev"):
                    continue
                name, counted = f"{interview}-{spoken[0].line:05d}", counted + 1
                found = _use(name, spoken, audio.get(f"{interview}.wav"))
                if isinstance(found, Recording):
                    listing.recordings.append(found)
                else:
                    listing.rejected.append(found)
        check_count(str(source.path), part, counted, options.get("counts") or {})
    return listing


def validation_speakers(
    source: Source, speakers: Iterable[str], options: Mapping[str, Any]
) -> set[str]:
    """Those that the options name, or else `VALIDATION_SPEAKERS` of all components and genders."""
    speakers = sorted(speakers)
    named = options.get("validation_speakers")
    if named:
        if unknown := sorted(set(named) - set(speakers)):
            raise InputError(
                f"{source.path}: validation speakers that do not speak in it: "
                f"{', '.join(unknown[:5])}; names are such as {', '.join(speakers[:2])}"
            )
        return set(named)
    strata: dict[str, list[str]] = {}
    for speaker in speakers:
        if told := _INTERVIEWEE.fullmatch(speaker):
            strata.setdefault("".join(told.groups()), []).append(speaker)
    random = Random(f"coraal {options.get('seed', 0)}")
    for stratum in strata.values():
        random.shuffle(stratum)
    turns = chain.from_iterable(zip_longest(*(strata[key] for key in sorted(strata))))
    drawn = [speaker for speaker in turns if speaker is not None]
    return set(drawn[: min(VALIDATION_SPEAKERS, len(drawn) // 2)])


def _use(name: str, rows: list[Row], audio: str | None) -> Recording | Rejected:
    """An utterance, if its length, words and audio let it be one."""
    start, end = rows[0].start, max(row.end for row in rows)
    if reason := rows[0].unusable:
        return Rejected(name, reason, rows[0].content[:80])
    if audio is None:
        interview = name.rpartition("-")[0]
        return Rejected(name, "missing", f"no file {interview}.wav")
    if not SHORTEST <= end - start <= LONGEST:
        reason = "too-short" if end - start < SHORTEST else "too-long"
        return Rejected(name, reason, f"{end - start:.2f} s")
    text = " ".join(row.text for row in rows)
    return Recording(name, text, rows[0].speaker, audio, start, end)


def _utterances(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Successive rows of one speaker up to `TOGETHER` seconds; an unusable row stands alone."""
    current: list[Row] = []
    for row in sorted(rows, key=lambda row: (row.start, row.line)):
        if row.pause:
            continue
        if current and (
            row.speaker != current[0].speaker
            or row.unusable
            or row.end - current[0].start > TOGETHER
        ):
            yield current
            current = []
        if row.unusable and not row.interviewer:
            yield [row]
        elif not row.interviewer and not row.unusable:
            current.append(row)
    if current:
        yield current


def _interviews(
    source: Source, components: Sequence[str], listing: Listing
) -> Iterator[tuple[str, list[Row]]]:
    """Interviews by name, with their rows; rows that cannot be read are rejected."""
    tables = {}
    for name in source.names():
        stem = name.rpartition("/")[2].removesuffix(".txt")
        if name.endswith(".txt") and stem.split("_")[0] in components and "_se" in stem:
            tables[stem] = name
    for component in components:
        if not any(stem.startswith(f"{component}_") for stem in tables):
            raise InputError(
                f"{source.path}: no interviews of CORAAL's component {component} "
                f"({component}_se*.txt); put {component}_textfiles_*.tar.gz and "
                f"{component}_audio_part*.tar.gz there"
            )
    for stem, name in sorted(tables.items()):
        text = source.read(name).decode("utf-8-sig", errors="replace")
        header, *lines = text.splitlines() or [""]
        columns = header.split("\t")
        if missing := [column for column in COLUMNS if column not in columns]:
            raise InputError(
                f"{source.path}: {name} has no column {missing[0]} (columns: {', '.join(columns)}"
                "); CORAAL's tables of text are needed, not others"
            )
        rows = []
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = dict(zip(columns, line.split("\t"), strict=False))
            try:
                rows.append(_row(row))
            except (KeyError, ValueError):
                listing.rejected.append(
                    Rejected(
                        f"{stem}:{number}", "bad-row", f"no five columns with times: {line[:50]}"
                    )
                )
        yield stem, rows


def _row(row: Mapping[str, str]) -> Row:
    start, end = float(row["StTime"]), float(row["EnTime"])
    if not 0 <= start < end:
        raise ValueError
    return Row(int(row["Line"]), row["Spkr"].strip(), start, end, row["Content"].strip())
