"""What is said of an item in the topic of centroids is as of later than all that was said of it before."""

from dataclasses import replace

import numpy as np
import pytest
from confluent_kafka import Message
from operator_maker import FIRST, Build, batch, emitted, listing, orders, settle, tombstone

from flows.messages.batches import OutMessage
from flows.messages.emission_order import EmissionOrder, order_headers, partition_headers
from flows.seed_sets.emitted_before import Emitted, EmittedBefore, note_emitted
from state.store.changes import Changes


def sent(message: OutMessage) -> Message:
    """As it is read."""
    return Message("centroids", 0, 0, key=message.key, value=message.value, headers=message.headers)


@pytest.mark.parametrize("busy", [False, True])
def test_a_store_that_replaces_a_lost_one_says_of_each_item_what_holds_as_of_later(build: Build, busy: bool) -> None:
    operator = build(ttl=5000)
    out = operator.apply([batch(0, *FIRST, now=900), batch(9, ("z", 1, 1500), now=1500)]) + settle(operator)
    out += operator.apply([batch(10, idle=9000, now=10_500)])  # withdrawn for want of clicks
    operator.settled()
    emitted_before = {item: Emitted(max(orders(out, item)), 0) for item in "abc"}
    again = build(disk="new", emitted_before=EmittedBefore(emitted_before, 10), ttl=5000)
    found = again.apply([listing(0, "a"), tombstone(1, "c"), batch(0, *FIRST, ("z", 1, 1500), now=11_000)])
    more = [batch(10, ("z", 2, 11_000 + n * 1000), now=11_000 + n * 1000) for n in range(4)] if busy else []
    for part in [*more, batch(14, idle=600, now=16_000), batch(14, idle=2000, now=17_500)]:
        found += again.apply([part]) + settle(again)
    newest = {item: max(orders(out + found, item)) for item in "abc"}
    assert {item: order.retired for item, order in newest.items()} == {"a": False, "b": True, "c": True}
    assert newest["a"] > max(orders(out, "a"))


@pytest.mark.parametrize("wall_clock", [11_000, 1])
def test_a_store_catches_up_where_the_clicks_ended_whatever_the_clock_says(build: Build, wall_clock: int) -> None:
    again = build(disk="new", emitted_before=EmittedBefore({"a": Emitted(EmissionOrder(3000, 9))}, 12))
    again.apply([batch(0, ("z", 1, 500), ("z", 2, 1500), ("z", 1, 2500), now=wall_clock)])
    again.snapshot()
    assert again._store.meta.replaces
    out = again.apply([batch(3, *FIRST, now=wall_clock)])
    out += again.apply([batch(12, ("z", 1, 3500), now=wall_clock)]) + settle(again)
    again.snapshot()
    assert not again._store.meta.replaces
    (order,) = orders(out, "a")
    assert order.window_end == 3001


def test_an_item_that_is_dropped_twice_at_once_is_taken_back_as_of_its_centroids(build: Build) -> None:
    operator = build(max_items=2)
    operator.apply([batch(0, *FIRST[:5], heard=1000)])
    operator.apply([batch(5, idle=3000, now=4000)])
    (said,) = orders(settle(operator), "a")
    assert said.window_end > operator._clock.closed  # idleness was ahead of the clicks
    clicks = [("y", 1, 200), ("z", 1, 210), ("a", 1, 90), ("z", 2, 220), ("y", 2, 215)]
    out = operator.apply([batch(5, *clicks)])
    assert max(orders(out, "a")).retired
    assert min(orders(out, "a")) > said
    assert len(orders(out, "a")) == 2


def test_what_is_born_again_is_later_than_what_was_dropped(build: Build) -> None:
    operator = build(max_items=2)
    operator.apply([batch(0, *FIRST[:5], heard=1000)])
    operator.apply([batch(5, idle=3000, now=4000)])
    settle(operator)
    out = operator.apply([batch(5, ("y", 1, 200), ("z", 1, 210))])
    (gone,) = orders(out, "a")
    operator.settled()
    operator = build(max_items=2)
    operator.apply([batch(7, *[("a", user, 300 + user) for user in range(4)], ("z", 9, 1500))])
    (order,) = orders(settle(operator), "a")
    assert order > gone


def test_a_tombstone_that_is_sent_again_after_a_crash_is_later_than_the_centroids(build: Build) -> None:
    operator = build(max_items=2)
    operator.apply([batch(0, *FIRST[:5], heard=1000)])
    operator.apply([batch(5, idle=3000, now=4000)])
    (said,) = orders(settle(operator), "a")
    operator.apply([batch(5, ("y", 1, 200), ("z", 1, 210))])
    operator.snapshot()  # and the process is killed before the tombstone is delivered
    operator = build(max_items=2)
    (order,) = orders(operator.apply([]), "a")
    assert order.retired
    assert order > said


def test_a_tombstone_that_no_process_has_sent_is_kept_over_snapshots_until_one_does(build: Build) -> None:
    operator = build(max_items=2)
    operator.apply([batch(0, *FIRST[:5], heard=1000), batch(5, ("z", 1, 1500), ("y", 1, 1510))])
    operator.snapshot()  # and the process is killed before the tombstone is delivered
    operator = build(max_items=2)
    for _ in range(3):  # nothing comes, and the engine has not called yet
        operator.snapshot()
    assert operator._store.unacked_tombstones() == ["a"]
    assert [order.retired for order in orders(operator.collect(), "a")] == [True]
    for _ in range(2):
        operator.snapshot()
    assert operator._store.unacked_tombstones() == []


def test_centroids_that_were_sent_before_a_crash_are_taken_back_if_the_next_set_is_too_small(build: Build) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST[:5]), batch(5, ("z", 1, 1500))])
    (said,) = orders(settle(operator), "a")  # they arrive, and the process is killed before the epoch ends
    operator = build(ttl=5000)
    out = operator.apply([batch(6, ("a", 9, 8500), ("z", 1, 9500))]) + settle(operator)
    assert max(orders(out, "a")).retired
    assert max(orders(out, "a")) > said


def test_a_set_that_idleness_found_too_small_is_asked_for_again_as_of_no_earlier(build: Build) -> None:
    operator = build()
    clicks = batch(0, ("a", 1, 200), ("a", 2, 5900), ("z", 1, 900), heard=1000)
    operator.apply([replace(clicks, clocks=np.full(3, 950))])  # the second is a fast clock's
    assert not emitted(operator.apply([batch(3, idle=6000, now=7000)]) + settle(operator))
    out = operator.apply([batch(3, ("a", 3, 800), ("z", 2, 1100))]) + settle(operator)
    message = emitted(out)["a"]
    assert message is not None
    assert message.seeds == 3


def test_what_a_partial_rebuild_does_not_find_is_taken_back(build: Build) -> None:
    said = EmissionOrder(9000, 70)
    items = {
        "a": Emitted(said, 0),  # is clicked still
        "b": Emitted(said, 0),
        "c": Emitted(said, 1),  # of another partition
        "d": Emitted(said._replace(retired=True), 0),
        "e": Emitted(said),  # of a version that does not say from where
    }
    again = build(disk="new", emitted_before=EmittedBefore(items, 9))
    assert not orders(again.apply([batch(0, *FIRST[:5])]), "b")  # more is to come
    again.snapshot()
    again = build(disk="new", emitted_before=EmittedBefore(items, 9))
    out = again.apply([batch(5, *[("a", user, 1200 + user) for user in range(4)])]) + settle(again)
    assert {item: len(orders(out, item)) for item in "bcde"} == {"b": 1, "c": 0, "d": 0, "e": 0}
    (gone,) = orders(out, "b")
    assert gone.retired
    assert gone > said
    again.snapshot()  # and the process is killed before the tombstone is delivered
    again = build(disk="new")
    (gone,) = orders(again.apply([]), "b")
    assert gone > said


def test_a_store_that_only_takes_items_over_takes_nothing_back(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST)])
    operator.snapshot()
    operator._store.write(Changes(), position=9, model_version="")  # as items are moved to it
    items = {"x": Emitted(EmissionOrder(9000, 70), 0)}
    again = build(emitted_before=EmittedBefore(items, 9))
    assert not orders(again.apply([batch(9, idle=600)]), "x")
    again.snapshot()
    assert not again._store.meta.replaces


def test_of_each_item_the_newest_message_and_where_it_comes_from_is_noted(build: Build) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    (message,) = [each for each in settle(operator) if each.key.endswith(b"/a")]
    version = operator._pool.model_version
    gone = OutMessage(f"{version}/b".encode(), None, [*order_headers(5000, 7), *partition_headers(3)])
    found: dict[str, Emitted] = {}
    messages = [message, gone, replace(gone, headers=order_headers(4000, 9)), replace(gone, key=b"other/c")]
    note_emitted(map(sent, messages), version, found, 2**53)
    assert found == {
        "a": Emitted(orders([message], "a")[0], 0),
        "b": Emitted(EmissionOrder(5000, 7, retired=True), 3),
    }
    nothing = OutMessage(message.key, None)  # by hand: it retires what was there
    note_emitted([sent(nothing)], version, found, 2**53)
    assert found["a"].order.retired
