"""What the centroids topic holds already, for a store that is filled anew in place of a lost one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from flows.messages.batches import RawMessage, UnreadableHeaders, headers_of
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.emission_order import is_ahead, order_of_centroids, order_of_tombstone
from flows.messages.rejects import InvalidMessage


@dataclass(frozen=True)
class EmittedBefore:
    """What was emitted of a partition's items before its store was made.

    Attributes:
        items: by item the greatest window end that the centroids topic says, ms (``note_emitted``).
        clicks_end: where the partition's clicks ended when the process started: a store that holds those before it has
            caught up, whatever the clocks say.
    """

    items: Mapping[str, int] = field(default_factory=dict)
    clicks_end: int = 0


def note_emitted(messages: Iterable[RawMessage], model_version: str, found: dict[str, int], now_ms: int) -> None:
    """Note the greatest window end (ms) that messages of the centroids topic say of each item.

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
            if value is None:
                order = order_of_tombstone(headers_of(message))
            else:
                order = order_of_centroids(decode_centroids(value), value)
        except (InvalidMessage, UnreadableHeaders):
            continue
        if order is not None and is_ahead(order, now_ms):
            continue
        found[item_id] = max(found.get(item_id, 0), 0 if order is None else order.window_end)
