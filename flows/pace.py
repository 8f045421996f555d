"""When to rest: once every partition that a worker reads has had nothing, and by the monotonic clock.

A source may tell the engine when to ask it again, but the engine compares that with the wall clock: set back by an
hour, it asks nothing for an hour, and does not even drain. So our sources are always due, and rest here.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

ALWAYS_DUE = datetime.fromtimestamp(0, UTC)
"""An hour that no clock is set back to."""
_REST_S = 0.005
_LONG_REST_S = 0.02
_AWAKE_TURNS = 200
"""After so many short rests without a message rests are long: each time, every partition is looked at in vain."""


class Pace:
    """Counts, for each worker's thread, its partitions and those that had nothing in a row.

    Args:
        rest: called with seconds.
    """

    def __init__(self, rest: Callable[[float], None] = time.sleep) -> None:
        self._rest = rest
        self._mine = threading.local()

    def opened(self) -> None:
        """A partition is read by this thread from now on."""
        self._mine.partitions = self._partitions + 1

    def closed(self) -> None:
        """A partition is not read by this thread any more."""
        self._mine.partitions = max(0, self._partitions - 1)

    def took(self) -> None:
        """A partition had something."""
        self._mine.empty = self._mine.turns = 0

    def empty(self) -> None:
        """A partition had nothing; rests if they all had nothing since the last rest."""
        self._mine.empty = getattr(self._mine, "empty", 0) + 1
        if self._mine.empty >= self._partitions:
            self._mine.empty = 0
            self._mine.turns = getattr(self._mine, "turns", 0) + 1
            self._rest(_REST_S if self._mine.turns <= _AWAKE_TURNS else _LONG_REST_S)

    @property
    def _partitions(self) -> int:
        return getattr(self._mine, "partitions", 0)
