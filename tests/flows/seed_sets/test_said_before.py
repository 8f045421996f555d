"""What is said of an item in the topic of centroids is as of later than all that was said of it before."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from operator_maker import FIRST, Build, batch, emitted, listing, make_pool, orders, settle, tombstone

from flows.messages.emission_order import EmissionOrder
from flows.seed_sets.emitted_before import Emitted, EmittedBefore
from state.store.changes import Changes


@pytest.mark.parametrize("busy", [False, True])
def test_a_store_that_replaces_a_lost_one_says_of_each_item_what_holds_as_of_later(build: Build, busy: bool) -> None:
    operator = build(ttl=5000)
    out = operator.apply([batch(0, *FIRST, now=900), batch(9, ("z", 1, 1500), now=1500)]) + settle(operator)
    out += operator.apply([batch(10, idle=9000, now=10_500)])  # withdrawn for want of clicks
    operator.settled()
    said = {item: Emitted(max(orders(out, item)).window_end) for item in "abc"}
    again = build(disk="new", emitted_before=EmittedBefore(said, frozenset("abc"), clicks_end=10), ttl=5000)
    found = again.apply([listing(0, "a"), tombstone(1, "c"), batch(0, *FIRST, ("z", 1, 1500), now=11_000)])
    more = [batch(10, ("z", 2, 11_000 + n * 1000), now=11_000 + n * 1000) for n in range(4)] if busy else []
    for part in [*more, batch(14, idle=600, now=16_000), batch(14, idle=2000, now=17_500)]:
        found += again.apply([part]) + settle(again)
    newest = {item: max(orders(out + found, item)) for item in "abc"}
    assert {item: order.retired for item, order in newest.items()} == {"a": False, "b": True, "c": True}
    assert newest["a"] > max(orders(out, "a"))


def test_an_older_copy_of_a_store_says_what_holds_as_of_later_and_takes_back_the_rest(build: Build) -> None:
    operator = build(ttl=0)
    out = operator.apply([tombstone(0, "b"), batch(0, *FIRST, ("z", 1, 1500), now=1500)])
    out += settle(operator)
    operator.settled()
    # Since the copy was made: "a" was said as of later, "b" was listed, clustered and taken down, "gone" was clicked.
    said = {"a": Emitted(9000), "b": Emitted(9000), "gone": Emitted(9500)}
    operator._store.write(Changes(), position=operator._store.position, replaces=True)
    again = build(emitted_before=EmittedBefore(said, frozenset(said), ("other",), clicks_end=12), ttl=0)
    found = again.apply([batch(12, idle=1000, now=3000)]) + settle(again)
    newest = {item: max(orders(found, item)) for item in said}
    assert {item: order.retired for item, order in newest.items()} == {"a": False, "b": True, "gone": True}
    assert min(newest["a"].window_end, newest["b"].window_end) > 9000
    again.snapshot()
    assert not again._store.meta.replaces
    assert "other" in again._store.meta.older_versions


@pytest.mark.parametrize("wall_clock", [11_000, 1])
def test_a_store_catches_up_where_the_clicks_ended_whatever_the_clock_says(build: Build, wall_clock: int) -> None:
    again = build(disk="new", emitted_before=EmittedBefore({"a": Emitted(3000)}, clicks_end=12))
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
    # The first is clicked still, the third of another partition or does not say of which, the last taken back.
    items = {item: Emitted(9000, live=item != "d") for item in "abcd"}
    before = EmittedBefore(items, frozenset("abd"), clicks_end=9)
    again = build(disk="new", emitted_before=before)
    assert not orders(again.apply([batch(0, *FIRST[:5])]), "b")  # more is to come
    again.snapshot()
    again = build(disk="new", emitted_before=before)
    out = again.apply([batch(5, *[("a", user, 1200 + user) for user in range(4)])]) + settle(again)
    assert {item: len(orders(out, item)) for item in "bcd"} == {"b": 1, "c": 0, "d": 0}
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
    before = EmittedBefore({"x": Emitted(9000)}, frozenset("x"), ("m",), 9)
    again = build(emitted_before=before)
    assert not orders(again.apply([batch(9, idle=600)]), "x")
    again.snapshot()
    assert not again._store.meta.replaces


def test_what_a_rebuilt_store_does_not_find_is_taken_back_whatever_model_said_it(build: Build) -> None:
    items = {item: Emitted(9000) for item in "ab"}
    before = EmittedBefore(items, frozenset("ab"), ("n", "l"), 9)
    again = build(disk="new", emitted_before=before)
    mine = again._pool.model_version
    out = again.apply([batch(0, *FIRST[:5])])
    for _ in range(3):
        again.snapshot()
    assert again._store.meta.older_versions == ("n", "l")  # it has not caught up, and whatever it drops is of both
    again = build(disk="new", emitted_before=before)
    out += again.apply([batch(5, *[("a", user, 1200 + user) for user in range(4)])])
    gone = {message.key.decode() for message in out if message.value is None and message.key}
    assert gone == {f"{mine}/b", "n/b", "l/b", "l/a"}
    assert min(orders(out, "b")).window_end > 9000
    again.snapshot()
    assert again._store.meta.older_versions == ("n", "l")
    again.snapshot()
    assert again._store.meta.older_versions == ("n",)


def test_a_store_knows_of_a_model_before_there_are_centroids_of_it(build: Build, tmp_path: Path) -> None:
    operator = build()
    operator.apply([batch(0, *FIRST[:5]), batch(5, ("z", 1, 1500))])
    settle(operator)
    operator.settled()
    other = make_pool(tmp_path / "other", 5)
    operator = build(use=other)
    assert orders(operator.apply([batch(6, ("z", 1, 2500))]) + settle(operator), "a")  # and the process is killed
    other.close()
    assert build()._store.meta.model_version == other.model_version


def test_a_model_that_is_used_again_says_all_as_of_later_and_takes_back_what_is_too_small(
    build: Build, tmp_path: Path
) -> None:
    operator = build(ttl=5000)
    operator.apply([batch(0, *FIRST[:5]), batch(5, ("z", 1, 1500))])
    (said,) = orders(settle(operator), "a")
    operator.settled()
    other = make_pool(tmp_path / "other", 5)
    operator = build(use=other, ttl=5000)
    operator.apply([batch(6, ("a", 9, 9500), ("z", 1, 9600))])  # and no window has closed yet
    operator.settled()
    other.close()
    operator = build(ttl=5000)
    out = operator.apply([batch(8, ("z", 1, 10_500))]) + settle(operator)
    assert max(orders(out, "a")).retired
    assert min(orders(out, "a")) > said


def test_of_what_is_at_home_elsewhere_a_store_that_is_filled_anew_says_nothing(build: Build) -> None:
    """Its home serves it, of more clicks: centroids or tombstones from here would take the place of that."""
    before = EmittedBefore({"a": Emitted(9000)}, frozenset(), clicks_end=9, is_away=lambda item: item == "a")
    again = build(disk="new", emitted_before=before, ttl=5000, seeds_retention="5000ms")
    out = again.apply([batch(0, *FIRST)]) + settle(again)
    again.snapshot()
    assert "a" in dict(again._store.items())  # it waits for its move
    out += again.apply([batch(len(FIRST), ("z", 1, 90_000))]) + settle(again)  # and it may be forgotten here
    again.snapshot()
    assert "a" not in dict(again._store.items())
    assert "a" not in again._store.unacked_tombstones()
    assert not [message for message in out if (message.key or b"").endswith(b"/a")]
