"""What a partition's keeper shows of itself on the metrics page."""

import time
from collections.abc import Callable, Mapping

from flows.item_table import ItemTable
from flows.listings import Listings
from flows.windows import WindowClock
from monitoring import metrics

_EVERY_S = 0.5
"""To count items and seeds takes a look at all of them, which is too much for every poll."""


class KeeperReport:
    """The gauges of one partition.

    Args:
        partition: the Kafka partition.
        clock: seconds that only go forward.
    """

    def __init__(self, partition: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = str(partition)
        self._clock = clock
        self._last = -_EVERY_S

    def show(self, items: ItemTable, listings: Listings, pending: Mapping[str, int], clock: WindowClock) -> None:
        """Show how much there is, now and then."""
        now = self._clock()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        metrics.ITEMS.labels(self._label).set(len(items))
        metrics.SEEDS.labels(self._label).set(int(items.seeds[items.live].sum()))
        metrics.DIRTY_ITEMS.labels(self._label).set(len(items.dirty()))
        metrics.PENDING_ITEMS.labels(self._label).set(len(pending))
        metrics.LISTINGS.labels(self._label).set(len(listings))
        if clock.watermark is not None:
            metrics.WATERMARK.labels(self._label).set(clock.watermark / 1000)

    def window_end(self, closed: int) -> None:
        """Show the end of the last closed window, ms."""
        metrics.WINDOW_END.labels(self._label).set(closed / 1000)

    def snapshot(self) -> None:
        """Show that a snapshot was taken, and what it held."""
        self._last = -_EVERY_S
        metrics.SNAPSHOT_TIME.labels(self._label).set_to_current_time()
