"""A limit for log lines that others can cause: a few of each kind, then one a minute with how many there were."""

import threading
import time
from collections.abc import Callable, Hashable

_FIRST = 10
_WINDOW_S = 60.0
_MOST_KINDS = 1000


class LogLimit:
    """Lets the first lines of each kind through, and after that one a minute; may be used by many threads.

    Args:
        first: lines of a kind in a minute that are let through.
        clock: seconds that only go forward.
    """

    def __init__(self, first: int = _FIRST, clock: Callable[[], float] = time.monotonic) -> None:
        self._first, self._clock = first, clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, tuple[float, int, int]] = {}
        """When the minute of a kind began, lines in it, and lines that were left out."""

    def passes(self, kind: Hashable) -> int | None:
        """Whether to write a line of a kind now.

        Returns:
            How many lines of the kind were left out since the last one that passed; None leaves this one out too.
        """
        with self._lock:
            now = self._clock()
            if len(self._kinds) >= _MOST_KINDS and kind not in self._kinds:
                self._kinds.clear()
            began, lines, left_out = self._kinds.get(kind, (now, 0, 0))
            if now - began >= _WINDOW_S:
                # While they keep coming, one line a minute; after a quiet minute, as at the beginning.
                began, lines = now, (self._first - 1 if left_out else 0)
            if lines >= self._first:
                self._kinds[kind] = began, lines, left_out + 1
                return None
            self._kinds[kind] = began, lines + 1, 0
            return left_out
