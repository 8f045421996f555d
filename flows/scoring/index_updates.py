"""From messages of the centroids topic to changes of the live index: of each item the newest, in whatever order.

A message is of the item's past as soon as a newer one was read, from whichever partition: a topic that has grown, or an
owner that was slow, cannot bring old centroids back. What cannot be used is counted, logged and passed over.
"""

import time
from collections.abc import Callable

from flows.messages.batches import RawMessage, UnreadableBatch, headers_of, judging_clock
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import EmissionOrder, is_ahead, order_of_centroids, order_of_tombstone
from flows.messages.rejects import InvalidMessage
from flows.scoring.live_index import IndexEntry
from flows.support.log_limit import LogLimit
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)
_lines = LogLimit()

REMEMBERED = 100_000
"""Tombstones that are remembered, so that older centroids which come after them bring no item back: about 20 MB."""


class NewestEmissions:
    """Remembers as of when each item's newest message is.

    Args:
        remembered: most tombstones; of more, those that came first are forgotten.
    """

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._live: dict[str, EmissionOrder] = {}
        self._retired: dict[str, EmissionOrder] = {}

    def order(self, item_id: str) -> EmissionOrder | None:
        """The order of the newest message; None when nothing is known of the item."""
        return self._live.get(item_id) or self._retired.get(item_id)

    def take(self, item_id: str, order: EmissionOrder) -> bool:
        """Note a message; returns whether it is newer than all before."""
        known = self.order(item_id)
        if known is not None and order <= known:
            return False
        self._live.pop(item_id, None)
        self._retired.pop(item_id, None)
        if not order.retired:
            self._live[item_id] = order
            return True
        self._retired[item_id] = order
        if len(self._retired) > self._remembered:
            del self._retired[next(iter(self._retired))]
        return True


class IndexUpdates:
    """Collects the changes of the live index.

    Args:
        topic: the centroids topic.
        model_version: the bundle's version; messages of others are passed over.
        dim: length of the bundle's vectors.
        clock: seconds since the epoch; it judges what the broker gave no time.
        remembered: most tombstones that are remembered.

    Attributes:
        changes: of each item that has changed the newest entry, None where it is retired.
        other_model: the version of the last centroids that were passed over; empty before the first.
    """

    def __init__(
        self,
        topic: str,
        model_version: str,
        dim: int,
        clock: Callable[[], float] = time.time,
        remembered: int = REMEMBERED,
    ) -> None:
        self._topic = topic
        self._model_version = model_version
        self._dim = dim
        self._clock = clock
        self._newest = NewestEmissions(remembered)
        self.changes: dict[str, IndexEntry | None] = {}
        self.other_model = ""

    def take(self, message: RawMessage) -> None:
        """Take a message, whatever is in it."""
        try:
            if isinstance(message, UnreadableBatch):
                raise InvalidMessage("unreadable_batch", message.why)
            model_version, item_id = split_centroids_key(message.key())
            if model_version != self._model_version:
                self.other_model = self.other_model if message.value() is None else model_version
                return
            order, entry = self._read(item_id, message)
            if is_ahead(order, judging_clock(message, int(self._clock() * 1000))):
                raise InvalidMessage("future_time", f"window_end {order.window_end} is more than a day ahead")
        except InvalidMessage as invalid:
            metrics.DEAD_LETTERS.labels("centroids", invalid.reason).inc()
            left_out = _lines.passes(invalid.reason)
            if left_out is None:
                return
            log.warning(
                "unusable centroids",
                **({"more_like_it": left_out} if left_out else {}),
                topic=self._topic,
                partition=message.partition(),
                offset=message.offset(),
                reason=invalid.reason,
                detail=invalid.detail,
            )
            return
        if self._newest.take(item_id, order):
            self.changes[item_id] = entry

    def drain(self) -> dict[str, IndexEntry | None]:
        """The changes since the last time."""
        changes, self.changes = self.changes, {}
        return changes

    def _read(self, item_id: str, message: RawMessage) -> tuple[EmissionOrder, IndexEntry | None]:
        value = message.value()
        if value is None:
            order = order_of_tombstone(headers_of(message))
            if order is None:  # of another version, or by hand: it retires what was there when it came
                order = (self._newest.order(item_id) or EmissionOrder(0, 0))._replace(retired=True, tie=0)
            return order, None
        found = decode_centroids(value)
        if (found.item_id, found.model_version) != (item_id, self._model_version):
            about = f"{found.model_version[:64]}/{found.item_id[:64]}"
            raise InvalidMessage("key_mismatch", f"the message is about {about!r}, which is not its key")
        if found.h != self._dim:
            raise InvalidMessage("wrong_type", f"centroids of {found.h} dimensions; the bundle has {self._dim}")
        entry = IndexEntry.of(found)
        return order_of_centroids(found, value), entry
