"""What the centroids topic holds already, for a store that is filled anew in place of a lost one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from flows.messages.batches import Headers, RawMessage, UnreadableHeaders, headers_of
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import EmissionOrder, is_ahead, order_of_centroids, order_of_tombstone, partition_of
from flows.messages.rejects import InvalidMessage


class Emitted(NamedTuple):
    """The newest message on an item.

    Attributes:
        order: as of when it is, and whether it is a tombstone.
        partition: the partition of clicks from which it came; None where it does not say.
    """

    order: EmissionOrder
    partition: int | None = None


@dataclass(frozen=True)
class EmittedBefore:
    """What was emitted of a partition's items before its store was made.

    Attributes:
        items: what the centroids topic says of each item (``note_emitted``).
        clicks_end: where the partition's clicks ended when the process started: a store that holds those before it has
            caught up, whatever the clocks say.
    """

    items: Mapping[str, Emitted] = field(default_factory=dict)
    clicks_end: int = 0

    def live(self, partition: int) -> list[str]:
        """The items that are served from a partition's clicks, as far as the topic knows."""
        return [item for item, (order, where) in self.items.items() if where == partition and not order.retired]


def note_emitted(messages: Iterable[RawMessage], model_version: str, found: dict[str, Emitted], now_ms: int) -> None:
    """Note the newest of the messages of the centroids topic on each item.

    Args:
        messages: the messages; what no scorer takes, since it cannot be read or is of the future, is passed over.
        model_version: the model whose centroids count.
        found: by item; added to.
        now_ms: wall clock, ms since the epoch.
    """
    for message in messages:
        try:
            version, item_id = split_centroids_key(message.key())
            value = message.value()
            if version != model_version:
                continue
            headers = headers_of(message)
            order = _order(value, headers)
            partition = partition_of(headers)
        except (InvalidMessage, UnreadableHeaders):
            continue
        known = found.get(item_id)
        if order is None:  # it retires what was there when it came
            order = (EmissionOrder(0, 0) if known is None else known.order)._replace(retired=True, tie=0)
        if is_ahead(order, now_ms):
            continue
        if known is None or order > known.order:
            found[item_id] = Emitted(order, partition)


def _order(value: bytes | None, headers: Headers) -> EmissionOrder | None:
    if value is None:
        return order_of_tombstone(headers)
    return order_of_centroids(decode_centroids(value), value)
