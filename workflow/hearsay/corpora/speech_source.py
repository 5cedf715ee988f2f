"""Where a corpus of speech lies: a folder, an archive, or a folder of archives; and its utterances.

A reader (`hearsay.corpora.speech_readers`) lists the utterances of a corpus from a `Source`; the
step `prepare_speech` then streams their audio from it. Of a packed archive that is one pass for
names and texts and one for audio; nothing is unpacked to disk.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hearsay.corpora.speech_archives import Folder, is_archive, open_archive
from hearsay.corpora.speech_containers import Container
from hearsay.errors import InputError


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance as a corpus lists it.

    Attributes
    ----------
    id : unique in its part.
    text : what is said, as the corpus writes it.
    speaker : who says it; empty if the corpus does not tell.
    audio : name of its audio file in the source.
    start, end : seconds, where the utterance is a piece of a longer file.
    channel : from 0, of a conversation; None for mono, or the average of all channels.
    duration : seconds that the corpus states, where it does.
    """

    id: str
    text: str
    speaker: str
    audio: str
    start: float | None = None
    end: float | None = None
    channel: int | None = None
    duration: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """An utterance that is not used: a code, and a sentence on it."""

    id: str
    reason: str
    detail: str


@dataclass
class Listing:
    """The utterances of a part, and rows that could not even be listed."""

    recordings: list[Recording] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


class Source:
    """Regular files by name, in a folder, an archive, or a folder of archives.

    Parameters
    ----------
    path : a folder, or a tar (packed or not) or zip archive. A folder without folders in it that
        holds archives is read as if they were unpacked into it.
    parts : the corpus's own parts that are wanted. Where each of them has an archive of its name
        (``dev-clean.tar.gz``), the other archives are not opened.

    Raises
    ------
    InputError
        for a path that is missing or no archive, for an archive that is truncated, damaged, or has
        members whose names lead out of it.
    """

    def __init__(self, path: Path, parts: Sequence[str] = ()) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            self._containers: list[Container] = [open_archive(self.path, parts)]
        else:
            self._containers = [Folder(self.path)]
            for archive in _archives_in(self.path, self._containers[0], parts):
                self._containers.append(open_archive(archive, parts))
        self._holder: dict[str, Container] = {}
        self._disputed: set[str] = set()
        for container in self._containers:
            for name, size in container.sizes.items():
                first = self._holder.setdefault(name, container)
                if first.sizes[name] != size:
                    self._disputed.add(name)

    def names(self) -> list[str]:
        """Names of all files, relative, parted by ``/``, sorted; hidden ones are left out."""
        return sorted(self._holder)

    def __contains__(self, name: str) -> bool:
        return name in self._holder

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return self._find(name).sizes[name]

    def read(self, name: str) -> bytes:
        """The bytes of one file; cheap for texts, a pass over the archive for packed audio.

        Raises
        ------
        InputError
            for a file that is not there, is too large, or differs between two archives.
        """
        return self._find(name).read(name)

    def stream(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and bytes of each file named, once, in one pass and in the order of the archive.

        Raises
        ------
        InputError
            as `read`, before the first file, and for an archive that turns out to be damaged.
        """
        wanted: dict[int, set[str]] = {}
        for name in names:
            wanted.setdefault(id(self._find(name)), set()).add(name)
        for container in self._containers:
            if id(container) in wanted:
                yield from container.stream(wanted[id(container)])

    def forget_texts(self) -> None:
        """Free the texts that were kept from the first pass, when all are read."""
        for container in self._containers:
            container.forget()

    def _find(self, name: str) -> Container:
        if name not in self._holder:
            raise InputError(f"{self.path}: holds no file {name}")
        if name in self._disputed:
            raise InputError(
                f"{self.path}: two of its archives hold {name}, and they differ; name one archive "
                "as path, or put them in folders of their own"
            )
        return self._holder[name]


def open_source(path: Path, parts: Sequence[str] = ()) -> Source:
    """Open a corpus; as `Source`, which see."""
    return Source(path, parts)


def _archives_in(folder: Path, files: Container, parts: Sequence[str]) -> list[Path]:
    """Archives to read in place: those of a flat folder, or only the ones named like the parts."""
    if any("/" in name for name in files.sizes):
        return []
    found = [folder / name for name in files.sizes if is_archive(folder / name)]
    for path in found:
        del files.sizes[path.name]
    named = [path for path in found if path.name.partition(".")[0] in parts]
    all_named = {path.name.partition(".")[0] for path in named} == set(parts)
    return named if parts and all_named else found
