"""The newest windows that closed, and what became of the items that were touched in them.

Metrics count clusterings; which window they belonged to has no bound and is no label. So the newest few are kept here,
for the status page and the log.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

KEPT = 12
"""Windows that are kept: an hour of the default five minutes."""
_QUIET_S = 2.0
"""Other partitions close the same window about as soon; a line says all of them."""


@dataclass(frozen=True)
class ClosedWindow:
    """A window that closed, over all partitions of this process.

    Attributes:
        end: its end, event time, ms.
        closed_at: when the first partition closed it, seconds since the epoch.
        changed_at: when it was last closed by a partition, or an item of it settled, seconds since the epoch.
        partitions: those that closed it.
        items: items that were due for clustering.
        outcomes: how many of them were clustered or not, by what became of them.
    """

    end: int
    closed_at: float
    changed_at: float
    partitions: frozenset[int] = frozenset()
    items: int = 0
    outcomes: Mapping[str, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        """Items that were not clustered yet."""
        return max(0, self.items - sum(self.outcomes.values()))


class RecentWindows:
    """The newest windows; every method may be called from any thread.

    >>> windows = RecentWindows(clock=lambda: 5.0)
    >>> windows.closed(0, {1000: 2})
    >>> windows.settled(1000, "emitted")
    >>> windows.newest()[0].waiting, windows.newest()[0].outcomes
    (1, {'emitted': 1})

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[int, ClosedWindow] = {}
        self._unsaid: set[int] = set()

    def closed(self, partition: int, items: Mapping[int, int]) -> None:
        """A partition closed windows: how many items are due for clustering, by the windows' ends (ms)."""
        now = self._clock()
        with self._lock:
            for end, count in items.items():
                known = self._windows.get(end) or ClosedWindow(end, now, now)
                self._windows[end] = replace(
                    known, changed_at=now, partitions=known.partitions | {partition}, items=known.items + count
                )
                self._unsaid.add(end)
            for end in sorted(self._windows)[:-KEPT]:
                del self._windows[end]
                self._unsaid.discard(end)

    def settled(self, end: int, outcome: str, items: int = 1) -> None:
        """So many items of a window have been clustered, or will not be."""
        with self._lock:
            known = self._windows.get(end)
            if known is not None and items:
                outcomes = {**known.outcomes, outcome: known.outcomes.get(outcome, 0) + items}
                self._windows[end] = replace(known, changed_at=self._clock(), outcomes=outcomes)

    def newest(self) -> list[ClosedWindow]:
        """The windows that are kept, newest first."""
        with self._lock:
            return [self._windows[end] for end in sorted(self._windows, reverse=True)]

    def finished(self, *, at_once: bool = False) -> list[ClosedWindow]:
        """The windows that are done and were not asked for yet, oldest first; each is returned once.

        Args:
            at_once: also those that are not done, and of which other partitions may still tell.
        """
        now = self._clock()
        with self._lock:
            unsaid = [self._windows[end] for end in sorted(self._unsaid)]
            done = [each for each in unsaid if at_once or (not each.waiting and now - each.changed_at >= _QUIET_S)]
            self._unsaid -= {window.end for window in done}
            return done


WINDOWS = RecentWindows()
"""Those of this process."""
