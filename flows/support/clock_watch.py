"""Notices that the wall clock was set back while a process works.

The engine ends an epoch by the wall clock: set back by an hour, it would write and commit nothing for an hour.
"""

import time
from collections.abc import Callable

_STEP_S = 5.0
"""Less is what keeping the time in step does; an epoch is then so much longer."""


class ClockWatch:
    """Compares the wall clock with the one that only goes forward.

    Args:
        wall: seconds, as they can be set.
        monotonic: seconds that only go forward.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._ahead = wall() - monotonic()
        self.set_back_by = 0.0

    def was_set_back(self) -> bool:
        """Whether the wall clock was set back since this was made; ``set_back_by`` is then by how many seconds."""
        if not self.set_back_by:
            ahead = self._wall() - self._monotonic()
            self._ahead = max(self._ahead, ahead)
            if self._ahead - ahead > _STEP_S:
                self.set_back_by = self._ahead - ahead
        return self.set_back_by > 0
