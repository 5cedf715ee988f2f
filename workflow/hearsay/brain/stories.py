"""The prepared stories of one subject: responses of the chosen voxels with the words and times.

One HDF5 file a subject (``windows.h5``), written by `hearsay.brain.prepare_stories`. Its root
carries ``format``, ``subject``, ``dataset``, ``version``, ``tr``, ``voxel_method``,
``voxel_digest`` and ``columns``; ``/voxels`` holds the columns that were taken, and each group
``/stories/{story}`` its split, responses, words and, where there are any, single repeats.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from hearsay.corpora.textgrid import Word
from hearsay.errors import InputError
from hearsay.files import whole_file

FORMAT = "hearsay stories 1"
TR = 2.0  # seconds a row
FIRST_ROW = 10.0  # story time at which row 0 begins, seconds
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Story:
    """One story as one subject heard it.

    Attributes
    ----------
    name : the story's name, as in the dataset.
    split : ``train``, ``validation`` or ``test``.
    responses : float32 [rows, voxels], mean 0 and variance 1 in each voxel; row j covers the story
        time from 10 + 2j to 12 + 2j seconds.
    words : in order of onset; times in seconds from the story's beginning.
    repeats : float32 [repeats, rows, voxels], single presentations of a story heard several times,
        each normalised as `responses`; None where the dataset has none.
    """

    name: str
    split: str
    responses: np.ndarray
    words: list[Word]
    repeats: np.ndarray | None = None


@dataclass(frozen=True)
class Stories:
    """All stories of one subject, with the voxels that they share.

    Attributes
    ----------
    subject, dataset, version : where the responses come from.
    voxels : int64 [voxels], columns of the dataset's response files.
    voxel_digest : SHA-256 of `voxels` (see `digest_of`); names the choice in checkpoints.
    voxel_method : how they were chosen, for people to read.
    stories : by name.
    columns : how many columns the response files have in all; 0 if unknown.
    """

    subject: str
    dataset: str
    version: str
    voxels: np.ndarray
    voxel_digest: str
    voxel_method: str
    stories: dict[str, Story]
    columns: int = 0

    def of(self, split: str) -> list[Story]:
        """The stories of one split, in order of their names."""
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
        return [s for _, s in sorted(self.stories.items()) if s.split == split]


def digest_of(voxels: np.ndarray) -> str:
    """SHA-256 of voxel columns as little-endian 64-bit integers, in hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(voxels, dtype="<i8").tobytes()).hexdigest()


def split_stories(
    names: Iterable[str], test_story: str, validation: int | Sequence[str]
) -> dict[str, str]:
    """Split of every story: whole stories only, the same for every order of `names`.

    Parameters
    ----------
    names : all stories, the test story among them.
    test_story : never in another split.
    validation : names of stories held out from training, or how many to choose; chosen by the
        SHA-256 of their names, so that a story more or less moves few others.

    Returns
    -------
    dict name -> ``train``, ``validation`` or ``test``, in order of names.

    Raises
    ------
    InputError
        for a test story or validation story that is not there, a validation story that is the test
        story, and a choice that leaves nothing to train on.
    """
    known = sorted(set(names))
    listed = ", ".join(known) or "none"
    if test_story not in known:
        raise InputError(f"test_story: no story {test_story!r}; there are {listed}")
    others = [name for name in known if name != test_story]
    if not isinstance(validation, int):
        chosen = list(validation)
        if test_story in chosen:
            raise InputError(
                f"validation: {test_story!r} is the test story, which nothing may be chosen by; "
                f"name others of {', '.join(others) or 'none'}"
            )
        if unknown := [name for name in chosen if name not in others]:
            raise InputError(
                f"validation: no story {', '.join(map(repr, unknown))}; there are "
                f"{', '.join(others) or 'none'}"
            )
    else:
        if validation < 0:
            raise InputError(f"validation: {validation} stories asked for; give 0 or more")
        by_hash = sorted(others, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        chosen = by_hash[:validation]
        if len(chosen) < validation:
            chosen = others  # refused below, with the numbers
    if len(set(chosen)) >= len(others):
        raise InputError(
            f"validation: {validation if isinstance(validation, int) else len(chosen)} of the "
            f"{len(others)} stories besides the test story leave none to train on; give fewer"
        )
    split = dict.fromkeys(known, "train")
    split.update(dict.fromkeys(chosen, "validation"))
    split[test_story] = "test"
    return split


def write_stories(path: Path | str, stories: Stories) -> None:
    """Write all of `stories` to `path` in one piece."""
    with whole_file(path) as temporary, h5py.File(temporary, "w") as file:
        write_header(file, stories)
        for name in sorted(stories.stories):
            add_story(file, stories.stories[name])


def write_header(file: h5py.File, stories: Stories) -> None:
    """Write everything but the stories; with `add_story` for files that memory cannot hold."""
    if stories.voxel_digest != digest_of(stories.voxels):
        raise ValueError("voxel_digest is not that of voxels")
    file.attrs["format"] = FORMAT
    file.attrs["subject"] = stories.subject
    file.attrs["dataset"] = stories.dataset
    file.attrs["version"] = stories.version
    file.attrs["tr"] = TR
    file.attrs["voxel_method"] = stories.voxel_method
    file.attrs["voxel_digest"] = stories.voxel_digest
    file.attrs["columns"] = stories.columns
    file.create_dataset("voxels", data=np.asarray(stories.voxels, dtype=np.int64))
    file.create_group("stories")


def add_story(file: h5py.File, story: Story) -> None:
    """Write one story into a file begun with `write_header`."""
    if story.split not in SPLITS:
        raise ValueError(f"{story.name}: no split {story.split!r}")
    voxels = len(file["voxels"])
    if story.responses.ndim != 2 or story.responses.shape[1] != voxels:
        raise ValueError(f"{story.name}: {story.responses.shape} responses for {voxels} voxels")
    group = file["stories"].create_group(story.name)
    group.attrs["split"] = story.split
    group.create_dataset("responses", data=story.responses, dtype=np.float32)
    if story.repeats is not None:
        if story.repeats.shape[1:] != story.responses.shape:
            raise ValueError(f"{story.name}: repeats {story.repeats.shape} of other shape")
        group.create_dataset("repeats", data=story.repeats, dtype=np.float32)
    texts = np.array([word.text for word in story.words], dtype=object)
    group.create_dataset("word", data=texts, dtype=h5py.string_dtype("utf-8"))
    for name in ("onset", "offset"):
        times = np.array([getattr(word, name) for word in story.words], dtype=np.float64)
        group.create_dataset(name, data=times)


def read_stories(path: Path | str, splits: Collection[str] = SPLITS) -> Stories:
    """Read a file of prepared stories.

    Parameters
    ----------
    path : what `hearsay.brain.prepare_stories` wrote.
    splits : read only stories of these; what trains asks for ``("train", "validation")`` and so
        never sees the test story.

    Raises
    ------
    InputError
        for a file that is missing, damaged or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: not there; make it with hearsay.brain.prepare_stories")
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file, splits)
    except (OSError, KeyError) as error:
        reason = str(error).strip("'\"").splitlines()[0]
        raise InputError(f"{path}: damaged ({reason}); remove it and prepare it again") from None


def test_story_of(stories: Stories, path: Path) -> Story:
    """The one test story of what was read from `path`; InputError if there is none or several."""
    tests = stories.of("test")
    if len(tests) != 1:
        raise InputError(f"{path}: {len(tests)} test stories, not one; prepare the stories again")
    return tests[0]


def _read(path: Path, file: h5py.File, splits: Collection[str]) -> Stories:
    attributes: dict[str, Any] = dict(file.attrs)
    if attributes.get("format") != FORMAT:
        raise InputError(
            f"{path}: the format is {attributes.get('format')!r}, not {FORMAT!r}; "
            "remove it and prepare it again"
        )
    voxels = file["voxels"][()]
    if digest_of(voxels) != attributes["voxel_digest"]:
        raise InputError(f"{path}: voxels disagree with voxel_digest; prepare it again")
    stories = {}
    for name, group in sorted(file["stories"].items()):
        if group.attrs["split"] not in splits:
            continue
        texts = group["word"].asstr()[()]
        words = [
            Word(str(text), float(onset), float(offset))
            for text, onset, offset in zip(
                texts, group["onset"][()], group["offset"][()], strict=True
            )
        ]
        repeats = group["repeats"][()] if "repeats" in group else None
        split = str(group.attrs["split"])
        stories[name] = Story(name, split, group["responses"][()], words, repeats)
    return Stories(
        subject=str(attributes["subject"]),
        dataset=str(attributes["dataset"]),
        version=str(attributes["version"]),
        voxels=voxels,
        voxel_digest=str(attributes["voxel_digest"]),
        voxel_method=str(attributes["voxel_method"]),
        stories=stories,
        columns=int(attributes["columns"]),
    )
