"""Notices that an item's clicks come to two partitions: its producers do not agree where a key belongs.

Then the item has two seed sets, each with a part of its clicks, and its centroids are in turn those of the one and of
the other. It is seen by a process that has both partitions.
"""

import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

_SAY_EVERY_S = 60.0


class KnownItems(Protocol):
    """The items of a partition."""

    def __contains__(self, item_id: str, /) -> bool: ...


class ItemHomes:
    """The items of all partitions of a process; may be used by several threads.

    Args:
        topic: the clicks topic.
        clock: seconds that only go forward.
    """

    def __init__(self, topic: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._topic = topic
        self._clock = clock
        self._items: dict[int, KnownItems] = {}
        self._numbers = count(1)
        self._said: float | None = None

    def add(self, partition: int, items: KnownItems) -> None:
        """Know the items of a partition; they may change."""
        self._items = {**self._items, partition: items}

    def note(self, partition: int, item_id: str) -> None:
        """Note that an item's first click has come to a partition."""
        for other, items in self._items.items():
            if other == partition or item_id not in items:
                continue
            number = next(self._numbers)
            metrics.SPLIT_ITEMS.inc()
            now = self._clock()
            if self._said is None or now - self._said >= _SAY_EVERY_S:
                self._said = now
                log.warning(
                    "clicks on one item come to two partitions, and each keeps a part of its seeds: all producers of "
                    "clicks must key them by item and use the same partitioner (docs/deploying.md)",
                    topic=self._topic,
                    item=item_id,
                    partitions=[other, partition],
                    items_so_far=number,
                )
            return
