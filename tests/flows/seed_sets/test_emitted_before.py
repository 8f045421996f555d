"""What a store that is filled anew learns from the centroids topic, which whoever may write to it can say."""

from typing import Any

import numpy as np
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message

from flows.messages.codec import encode_centroids
from flows.messages.emission_order import order_headers, partition_headers
from flows.messages.types import Centroids
from flows.seed_sets.emitted_before import EmissionNotes, Emitted

NOW = 1_764_000_000_000
DAY = 86_400_000


def centroids(window_end: int, value: bytes | None = None, key: str = "v/i", time: int = NOW, **of: Any) -> Message:
    model, item = key.split("/")
    made = Centroids.of(
        item_id=item,
        model_version=model,
        window_end=window_end,
        seeds=1,
        counts=np.array([1]),
        centroids=np.ones((1, 4), np.float32),
        global_=np.ones(4, np.float32),
        clicks_offset=of.get("offset", 0),
    )
    value = encode_centroids(made) if value is None else value
    headers = partition_headers(of.get("partition", 0))
    return Message(
        "centroids", 0, 0, key=key.encode(), value=value, headers=headers, timestamp=(of.get("stamp", 1), time)
    )


def gone(key: str, window_end: int | None, partition: int = 0) -> Message:
    said = [] if window_end is None else [*order_headers(window_end, 0), *partition_headers(partition)]
    return Message("centroids", 0, 0, key=key.encode(), headers=said, timestamp=(1, NOW))


def notes(*messages: Message) -> EmissionNotes:
    made = EmissionNotes()
    made.note(messages, NOW)
    return made


def noted(*messages: Message) -> dict[str, int]:
    found = notes(*messages).before(0, 9)
    return {} if found is None else {item: emitted.window_end for item, emitted in found.items.items()}


def test_that_clicks_have_grown_is_known_by_the_fewest_partitions_that_any_message_names() -> None:
    def grown(first_count: int, window_end: int = NOW) -> Message:
        headers = [*order_headers(window_end, 0), *partition_headers(1, first_count)]
        return Message("centroids", 0, 0, key=b"v/i", headers=headers, timestamp=(1, NOW))

    assert notes(centroids(NOW), gone("v/i", NOW)).first_count == 0
    assert notes(grown(3), grown(2), centroids(NOW), grown(1, NOW + 2 * DAY)).first_count == 2


def test_the_newest_window_of_an_item_is_noted() -> None:
    assert noted(centroids(NOW - 5), centroids(NOW - 9), centroids(0, b"poison")) == {"i": NOW - 5}


def test_what_is_of_the_future_cannot_make_an_items_own_centroids_of_the_future_too() -> None:
    """No scorer would take those: the item would be dead for as long as the forged message said."""
    forged = gone("v/i", NOW + 2 * DAY)
    assert noted(centroids(NOW - 5), centroids(2**50), forged) == {"i": NOW - 5}
    assert noted(centroids(2**50)) == {}


def test_the_brokers_time_says_what_is_of_the_future_where_the_topic_has_it() -> None:
    ahead = NOW + 2 * DAY
    assert noted(centroids(ahead, stamp=TIMESTAMP_LOG_APPEND_TIME, time=ahead)) == {"i": ahead}
    assert noted(centroids(ahead, stamp=TIMESTAMP_LOG_APPEND_TIME, time=NOW)) == {}


def test_of_each_item_what_all_models_said_and_where_it_comes_from_is_noted() -> None:
    found = notes(
        centroids(5, key="n/a"),
        centroids(7, key="m/a"),
        gone("n/a", 9),  # that of the other model was never delivered
        centroids(5, key="n/b"),
        gone("n/b", 5),
        centroids(5, key="n/c"),
        gone("n/c", 4),  # it comes late
        centroids(5, key="n/d", partition=0),
        centroids(6, key="n/d", partition=1),  # it has moved
        centroids(5, key="n/e"),
        gone("n/e", None),  # by hand: it retires what was there
    )
    before = found.before(0, 9)
    assert before is not None
    assert before.clicks_end == 9
    assert before.items == {
        "a": Emitted(9, live=True),
        "b": Emitted(5, live=False),
        "c": Emitted(5, live=True),
        "d": Emitted(6, live=True),
        "e": Emitted(5, live=False),
    }
    assert before.mine == {"a", "b", "c"}
    assert set(before.live()) == {"a", "c"}
    assert len(found) == 5


def test_the_models_of_which_a_partition_has_centroids_are_known_the_newest_first() -> None:
    found = notes(
        centroids(5, key="l/a", time=1),
        centroids(9, key="m/a", time=3),
        centroids(7, key="n/a", time=4),
        centroids(7, key="k/a", time=5),
        gone("k/a", 7),
        centroids(7, key="j/b", partition=1, time=6),
    )
    models = [before.models for before in map(found.before, range(3), range(3)) if before is not None]
    assert models == [("n", "m", "l"), ("j",), ()]


def test_where_the_topic_says_nothing_nothing_was_emitted_before() -> None:
    assert notes(centroids(0, b"poison")).before(0, 9) is None


def test_where_clicks_have_grown_an_item_is_of_the_partition_where_its_clicks_come_now() -> None:
    """Its last message may be older than its move, and its new partition's store lost before it said anything of it."""
    found = EmissionNotes({"i": 1, "j": 0}.__getitem__)
    found.note([centroids(NOW - 5), centroids(NOW - 5, key="v/j", partition=1)], NOW)
    before = found.before(1, 9)
    assert before is not None
    assert (before.mine, before.live(), before.models) == ({"i"}, ["i"], ("v",))
    assert (before.is_away("i"), before.is_away("j")) == (False, True)


def test_up_to_which_offset_a_partitions_clicks_were_emitted_of_is_noted() -> None:
    found = notes(
        centroids(5, key="l/a", offset=40),
        centroids(6, key="m/a", offset=30),
        centroids(7, key="m/b", offset=20, partition=1),
        centroids(7, b"poison", key="m/c", partition=2),
    )
    assert [found.clicks_offset(partition) for partition in range(3)] == [40, 20, 0]
