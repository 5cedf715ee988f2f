"""How long a training took, over all its interruptions."""

import time
from typing import Any


class Clock:
    """Seconds of training, those before an interruption included."""

    def __init__(self) -> None:
        self._before, self._started = 0.0, time.monotonic()

    @property
    def seconds(self) -> float:
        """So far."""
        return self._before + time.monotonic() - self._started

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"seconds": self.seconds}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what `state_dict` gave."""
        self._before, self._started = state["seconds"], time.monotonic()
