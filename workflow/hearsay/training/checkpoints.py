"""Checkpoints that survive a kill at any moment and are refused by anyone else's run."""

import contextlib
import fcntl
import hashlib
import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from hearsay.errors import InputError


class CheckpointFolder:
    """The folder of one run's checkpoint, held by one process at a time.

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
        self.path = self.root / digest[:12] / "checkpoint.pt"
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
        for path in sorted(self.root.glob("*/checkpoint.pt")):
            if path != self.path:
                with contextlib.suppress(Exception):  # a broken file is nobody's
                    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
                    found.append(state["identity"])
        return found

    def save(self, state: Mapping[str, Any]) -> None:
        """Write `state` (tensors, numbers, text, and lists or dictionaries of them) atomically."""
        temporary = self.path.with_suffix(".partial")
        with temporary.open("wb") as stream:
            torch.save({"identity": self.identity, **state}, stream)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.path)

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, or None where there is none."""
        if not self.path.is_file():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            found = state.pop("identity")
        except Exception as error:
            raise InputError(
                f"{self.path}: not a checkpoint of ours ({str(error).splitlines()[0]}); "
                "remove it to start from the beginning"
            ) from None
        if found != self.identity:
            differing = sorted(
                key for key in {*found, *self.identity} if found.get(key) != self.identity.get(key)
            )
            shown = ", ".join(
                f"{key}: there {found.get(key)!r}, here {self.identity.get(key)!r}"
                for key in differing
            )
            raise InputError(f"{self.path}: a checkpoint of another run ({shown})")
        return state

    def close(self) -> None:
        """Let another process in; the checkpoint stays."""
        self._lock.close()

    def remove(self) -> None:
        """Delete all checkpoints of this output: the run is over and its result is written."""
        self.close()
        shutil.rmtree(self.root, ignore_errors=True)


def random_states() -> dict[str, Any]:
    """States of every random generator a training step may draw from."""
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put back what `random_states` gave."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
