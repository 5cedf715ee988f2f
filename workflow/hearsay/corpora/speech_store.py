"""Clips on their way to disk, and a journal of them: what a killed preparation goes on from.

A folder holds ``audio/``, which becomes the output, and ``journal.jsonl``, one line an audio file
of the corpus, written when all its clips are. What the journal does not vouch for is made again.
"""

import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from hearsay.corpora.audio import wav_size
from hearsay.corpora.speech_clips import Outcome

PACKED_BYTES = 1 << 30  # of a tar file, about; nine hours of audio
FOLDER_CLIPS = 1000  # files in a folder


@dataclass(frozen=True, slots=True)
class Stored:
    """A finished utterance: where its audio lies under ``audio/``, or why there is none."""

    index: int
    samples: int
    sha256: str
    reason: str
    detail: str
    file: str
    offset: int | None
    size: int | None


_FIELDS = [field.name for field in fields(Stored)]


def file_name(index: int, name: str) -> str:
    """Path of an utterance's WAV file; ids that are no file names get a checksum instead."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:60].lstrip(".") or "_"
    if safe != name:
        safe = f"{safe}-{sha256(name.encode()).hexdigest()[:12]}"
    return f"{index // FOLDER_CLIPS:04d}/{safe}.wav"


class Store:
    """Clips as WAV files, or packed into tar files, with a journal.

    Parameters
    ----------
    folder : is made, or gone on from; what it holds beyond the journal is cut off.
    packed : tar files, in the order of `add`?
    """

    def __init__(self, folder: Path, packed: bool) -> None:
        self.audio = folder / "audio"
        self.packed = packed
        self._journal_file = folder / "journal.jsonl"
        self._tar: BinaryIO | None = None
        self._tar_number = 0
        self._made: set[Path] = set()
        self.audio.mkdir(parents=True, exist_ok=True)
        self.done: dict[str, list[Stored]] = dict(self._vouched())
        self._rewrite_journal()
        self._journal = self._journal_file.open("a", encoding="ascii")
        if packed:
            self._open_tar()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()
        if self._tar is not None:
            self._tar.close()

    def file_of(self, index: int, name: str) -> Path | None:
        """WAV file that a worker writes; None if clips are packed here."""
        if self.packed:
            return None
        path = self.audio / file_name(index, name)
        if path.parent not in self._made:
            path.parent.mkdir(exist_ok=True)
            self._made.add(path.parent)
        return path

    def add(self, audio: str, outcomes: Sequence[Outcome], names: Sequence[str]) -> None:
        """Keep the outcomes of one audio file of the corpus; `names` are the utterances' ids."""
        stored = []
        for outcome, name in zip(outcomes, names, strict=True):
            file, offset, size = "", None, None
            if not outcome.reason:
                file = file_name(outcome.index, name)
            if outcome.wav is not None:
                file, offset, size = self._pack(file.rpartition("/")[2], outcome.wav)
            facts = (outcome.samples, outcome.sha256, outcome.reason, outcome.detail)
            stored.append(Stored(outcome.index, *facts, file, offset, size))
        if self._tar is not None:
            self._tar.flush()
        self._journal.write(_line(audio, stored))
        self._journal.flush()
        self.done[audio] = stored

    def finish(self) -> None:
        """End the last tar file."""
        if self._tar is not None:
            self._end_tar()
            self._tar = None

    def _pack(self, name: str, wav: bytes) -> tuple[str, int, int]:
        """Add a WAV file to the tar files; which one, and where its bytes lie in it."""
        assert self._tar is not None
        if self._tar.tell() >= PACKED_BYTES:
            self._end_tar()
            self._tar_number += 1
            self._open_tar()
        header = tarfile.TarInfo(name)
        header.size = len(wav)
        self._tar.write(header.tobuf(tarfile.USTAR_FORMAT))
        offset = self._tar.tell()
        self._tar.write(wav + bytes(-len(wav) % tarfile.BLOCKSIZE))
        return _tar_name(self._tar_number), offset, len(wav)

    def _open_tar(self) -> None:
        self._tar = (self.audio / _tar_name(self._tar_number)).open("ab")

    def _end_tar(self) -> None:
        assert self._tar is not None
        end = self._tar.tell() + 2 * tarfile.BLOCKSIZE
        self._tar.write(bytes(2 * tarfile.BLOCKSIZE + -end % tarfile.RECORDSIZE))
        self._tar.close()

    # --- going on ---------------------------------------------------------------------------------

    def _entries(self) -> Iterator[tuple[str, list[Stored]]]:
        if not self._journal_file.exists():
            return
        with self._journal_file.open(encoding="ascii", errors="replace") as stream:
            for line in stream:
                try:
                    entry = json.loads(line)
                    yield entry["audio"], [Stored(*clip) for clip in entry["clips"]]
                except (ValueError, KeyError, TypeError):
                    return  # torn by the end of its writer, or by a full disk

    def _vouched(self) -> Iterator[tuple[str, list[Stored]]]:
        """Entries of the journal whose audio is there; what tar files hold beyond goes."""
        if not self.packed:
            for audio, stored in self._entries():
                if all(self._there(clip) for clip in stored):
                    yield audio, stored
            return
        ends = {path.name: 0 for path in self.audio.glob("*.tar")}
        sizes = {name: (self.audio / name).stat().st_size for name in ends}
        for audio, stored in self._entries():
            kept = [clip for clip in stored if not clip.reason]
            stops = {clip.file: _after(clip) for clip in kept}
            if any(stop > sizes.get(name, 0) for name, stop in stops.items()):
                break
            ends.update(stops)
            self._tar_number = max([self._tar_number, *(int(name[:5]) for name in stops)])
            yield audio, stored
        for name, end in ends.items():
            if int(name[:5]) > self._tar_number:
                (self.audio / name).unlink()
            elif int(name[:5]) == self._tar_number:
                with (self.audio / name).open("r+b") as stream:
                    stream.truncate(end)

    def _there(self, clip: Stored) -> bool:
        if clip.reason:
            return True
        path = self.audio / clip.file
        return path.is_file() and path.stat().st_size == wav_size(clip.samples)

    def _rewrite_journal(self) -> None:
        temporary = self._journal_file.with_suffix(".new")
        with temporary.open("w", encoding="ascii") as stream:
            stream.writelines(_line(audio, stored) for audio, stored in self.done.items())
        temporary.replace(self._journal_file)


def _line(audio: str, stored: Sequence[Stored]) -> str:
    clips: list[list[Any]] = [[getattr(clip, name) for name in _FIELDS] for clip in stored]
    return json.dumps({"audio": audio, "clips": clips}) + "\n"


def _after(clip: Stored) -> int:
    """First byte behind a clip's place in its tar file."""
    assert clip.offset is not None
    assert clip.size is not None
    return clip.offset + clip.size + -clip.size % tarfile.BLOCKSIZE


def _tar_name(number: int) -> str:
    return f"{number:05d}.tar"
