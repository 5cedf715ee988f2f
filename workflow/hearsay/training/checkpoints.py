"""Checkpoints that survive a kill at any moment and are refused by anyone else's run."""

import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from hearsay.errors import InputError, reason_of
from hearsay.storage import told_if_unwritable

LAST, PREVIOUS = "checkpoint.pt", "checkpoint.previous.pt"


class BrokenCheckpointError(Exception):
    """A file is no whole checkpoint; the message says why."""


class CheckpointFolder:
    """The folder of one run's checkpoints, held by one process at a time.

    It keeps the last two. A file that is cut short or has a wrong bit is told by the checksums in
    it: training then goes on from the one before, and from the beginning where both are broken.
    Broken files are kept under another name, `.broken`, until the run is over.

    Parameters
    ----------
    folder : beside the run's outputs, and no declared output itself. The checkpoint lies in a
        folder below it that is named by a digest of `identity`, so that changed settings or code
        start afresh and never continue from another run's weights.
    identity : what makes two runs the same: step, model or subject, settings, code digest.
    writer : False in all but one process of a data-parallel training: these only read.

    Raises
    ------
    InputError
        if another process trains here, or if the checkpoint found is another run's.
    """

    def __init__(
        self, folder: Path | str, identity: Mapping[str, Any], *, writer: bool = True
    ) -> None:
        self.identity = json.loads(json.dumps(identity, sort_keys=True))
        digest = hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()
        self.root = Path(folder)
        self.path = self.root / digest[:12] / LAST
        self.previous = self.path.with_name(PREVIOUS)
        self.loaded = self.path
        self._writer = writer
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock: IO[str] = (self.path.parent / "lock").open("w")
        if not writer:
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(
                f"{self.path.parent}: another process is training here; wait for it or stop it"
            ) from None

    def others(self) -> list[dict[str, Any]]:
        """Identities of other runs whose checkpoints lie in the same place."""
        found = []
        for folder in sorted(path for path in self.root.iterdir() if path != self.path.parent):
            for path in (folder / LAST, folder / PREVIOUS):
                with contextlib.suppress(Exception):  # a broken file is nobody's
                    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                    found.append(state["identity"])
                    break
        return found

    def save(self, state: Mapping[str, Any]) -> None:
        """Write `state` (tensors, numbers, text, and lists or dictionaries of them) atomically.

        Raises
        ------
        InputError
            where the disk is full or cannot be written; what was saved before stays.
        """
        temporary = self.path.with_suffix(".partial")
        try:
            with told_if_unwritable(self.path), temporary.open("wb") as stream:
                torch.save({"identity": self.identity, **state}, stream)
                stream.flush()
                os.fsync(stream.fileno())
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        # Killed between the two, a run goes on from the one before.
        if self.path.is_file():
            self.path.replace(self.previous)
        temporary.replace(self.path)

    def load(self) -> dict[str, Any] | None:
        """Return the state of the last checkpoint that is whole, or None where there is none.

        A line on standard error tells of each one that is broken or lost, and what is done.

        Raises
        ------
        InputError
            for a checkpoint of another run.
        """
        faults, there = [], False
        for path in (self.path, self.previous):
            if not path.is_file():
                faults.append(f"{path}: not there")
                continue
            there = True
            try:
                state = _read(path)
            except BrokenCheckpointError as broken:
                faults.append(f"{path}: broken ({broken}){self._put_aside(path)}")
                continue
            self._check(path, state.pop("identity"))
            self.loaded = path
            self._tell(faults, f"going on from the checkpoint before it, {path}")
            return state
        if there:
            self._tell(faults, "no checkpoint is whole: training starts from the beginning")
        return None

    def _put_aside(self, path: Path) -> str:
        """Rename a broken file, so that it never takes the place of a whole one."""
        if not self._writer:
            return ""
        kept = path.with_name(f"{path.name}.broken")
        path.replace(kept)
        return f", kept as {kept.name}"

    def _tell(self, faults: Sequence[str], what: str) -> None:
        if faults and self._writer:
            print(f"{'; '.join(faults)}; {what}", file=sys.stderr, flush=True)

    def _check(self, path: Path, found: Mapping[str, Any]) -> None:
        """Refuse the checkpoint of another run."""
        if found != self.identity:
            differing = sorted(
                key for key in {*found, *self.identity} if found.get(key) != self.identity.get(key)
            )
            shown = ", ".join(
                f"{key}: there {found.get(key)!r}, here {self.identity.get(key)!r}"
                for key in differing
            )
            raise InputError(f"{path}: a checkpoint of another run ({shown})")

    def close(self) -> None:
        """Let another process in; the checkpoint stays."""
        self._lock.close()

    def remove(self) -> None:
        """Delete all checkpoints of this output: the run is over and its result is written."""
        self.close()
        # First what a run would go on from: the rest is of no use without, but not the reverse.
        for path in (self.path, self.previous):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        shutil.rmtree(self.root, ignore_errors=True)


def _read(path: Path) -> dict[str, Any]:
    """State in a file that torch wrote, once all its checksums are found right.

    torch writes a zip archive with a CRC-32 of each member, which it does not look at when it
    loads: a wrong bit in a weight would go unseen.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            wrong = archive.testzip()
        if wrong is not None:
            raise BrokenCheckpointError(f"{wrong} is damaged")
        state = torch.load(path, map_location="cpu", weights_only=True)
        if not isinstance(state["identity"], dict):
            raise BrokenCheckpointError("no identity of a run")
    except (BrokenCheckpointError, PermissionError, MemoryError):
        raise
    except Exception as error:
        raise BrokenCheckpointError(reason_of(error)) from None
    return state


def random_states() -> dict[str, Any]:
    """States of every random generator a training step may draw from."""
    state = np.random.get_state(legacy=True)  # noqa: NPY002
    assert isinstance(state, tuple)
    kind, keys, position, has_gauss, cached = state
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put back what `random_states` gave; states of GPUs that are not visible now are left."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    for device, state in enumerate(states["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(state, device)
