"""What a store that is filled anew learns from the centroids topic, which whoever may write to it can say."""

import numpy as np
from confluent_kafka import Message

from flows.messages.codec import encode_centroids
from flows.messages.emission_order import order_headers
from flows.messages.types import Centroids
from flows.seed_sets.emitted_before import Emitted, note_emitted

NOW = 1_764_000_000_000
DAY = 86_400_000


def centroids(window_end: int, value: bytes | None = None) -> Message:
    made = Centroids.of(
        item_id="i",
        model_version="v",
        window_end=window_end,
        seeds=1,
        counts=np.array([1]),
        centroids=np.ones((1, 4), np.float32),
        global_=np.ones(4, np.float32),
    )
    return Message("centroids", 0, 0, key=b"v/i", value=encode_centroids(made) if value is None else value)


def noted(*messages: Message) -> dict[str, int]:
    found: dict[str, Emitted] = {}
    note_emitted(messages, "v", found, NOW)
    return {item: emitted.order.window_end for item, emitted in found.items()}


def test_the_newest_window_of_an_item_is_noted() -> None:
    assert noted(centroids(NOW - 5), centroids(NOW - 9), centroids(0, b"poison")) == {"i": NOW - 5}


def test_what_is_of_the_future_cannot_make_an_items_own_centroids_of_the_future_too() -> None:
    """No scorer would take those: the item would be dead for as long as the forged message said."""
    forged = Message("centroids", 0, 0, key=b"v/i", headers=order_headers(NOW + 2 * DAY, 0))
    assert noted(centroids(NOW - 5), centroids(2**50), forged) == {"i": NOW - 5}
    assert noted(centroids(2**50)) == {}
