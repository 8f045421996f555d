"""What a partition's operator tells the metrics page."""

import time
from collections.abc import Callable, Mapping
from typing import Final

from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.item_table import ItemTable
from flows.seed_sets.windows import WindowClock
from monitoring import metrics

_EVERY_S: Final = 0.5
"""Counting items and seeds scans all of them, which is too much for every poll."""


class PartitionMetrics:
    """The metrics of one partition.

    Args:
        partition: the Kafka partition.
        clock: seconds that only go forward.
    """

    def __init__(self, partition: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._label = str(partition)
        self._clock = clock
        self._last = -_EVERY_S

    def update(
        self, items: ItemTable, registry: CandidateRegistry, pending: Mapping[str, int], clock: WindowClock
    ) -> None:
        """Set the gauges, at most every ``_EVERY_S`` seconds."""
        now = self._clock()
        if now - self._last < _EVERY_S:
            return
        self._last = now
        metrics.ITEMS.labels(self._label).set(len(items))
        metrics.SEEDS.labels(self._label).set(int(items.seeds[items.live].sum()))
        metrics.DIRTY_ITEMS.labels(self._label).set(len(items.dirty()))
        metrics.PENDING_ITEMS.labels(self._label).set(len(pending))
        metrics.LISTINGS.labels(self._label).set(len(registry))
        if clock.watermark is not None:
            metrics.WATERMARK.labels(self._label).set(clock.watermark / 1000)

    def window_end(self, closed: int) -> None:
        """Set the end of the last closed window, ms."""
        metrics.WINDOW_END.labels(self._label).set(closed / 1000)

    def snapshot(self) -> None:
        """Set the time of the last snapshot; the next ``update`` sets all gauges."""
        self._last = -_EVERY_S
        metrics.SNAPSHOT_TIME.labels(self._label).set_to_current_time()
