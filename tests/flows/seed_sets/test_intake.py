"""The writer alone: which clicks count, what it writes, and which items it evicts."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_maker import USERS, WINDOWS, batch, listing, tombstone

from flows.config.groups import SeedSettings
from flows.seed_sets.intake import SeedSetWriter
from state.store.seed_store import SeedStore

CAPACITY = 3
Open = Callable[..., SeedSetWriter]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SeedStore]:
    made = SeedStore.open(tmp_path / "s", topic="clicks", partition=0, capacity=CAPACITY)
    yield made
    made.close()


@pytest.fixture
def writer(store: SeedStore) -> Open:
    """Opens writers on one store, as a restart does: ``writer(ttl=...)``."""
    return lambda *, ttl=0, **options: SeedSetWriter(
        store, SeedSettings(max_seeds=CAPACITY, item_ttl=f"{ttl}ms", **WINDOWS, **options)
    )


def seeds(store: SeedStore, item: str) -> dict[int, int]:
    found = store.seeds(item)
    return dict(zip(found.users.tolist(), found.times.tolist(), strict=True))


def test_clicks_are_written_with_their_position_and_replays_only_counted(writer: Open, store: SeedStore) -> None:
    one = writer()
    first = one.apply_clicks(batch(0, ("a", 1, 100), ("a", 2, 200)), now=0)
    assert (first.replayed, first.times.tolist(), first.refused) == (0, [100, 200], 0)
    assert store.position == 0
    one.write()
    assert (store.position, seeds(store, "a")) == (2, {int(USERS[1]): 100, int(USERS[2]): 200})
    again = writer()
    replayed = again.apply_clicks(batch(0, ("a", 1, 100), ("a", 2, 200), ("b", 3, 300)), now=0)
    assert (replayed.replayed, replayed.times.tolist()) == (2, [300])
    again.write()
    assert (store.position, seeds(store, "a").keys(), seeds(store, "b")) == (
        3,
        {int(USERS[1]), int(USERS[2])},
        {int(USERS[3]): 300},
    )


def test_a_replayed_click_brings_no_evicted_item_back(writer: Open, store: SeedStore) -> None:
    one = writer()
    one.apply_clicks(batch(0, ("a", 1, 100)), now=0)
    one.evict({"a": "idle"})
    one.write()
    replayed = writer().apply_clicks(batch(0, ("a", 1, 100)), now=0)
    assert (replayed.replayed, len(replayed.numbers), replayed.refused) == (1, 0, 0)
    assert store.unacked_tombstones() == ["a"]
    one.ack_tombstones(["a"])
    one.write()
    assert store.unacked_tombstones() == []


def test_nothing_new_writes_nothing(writer: Open, store: SeedStore) -> None:
    one = writer()
    one.apply_clicks(batch(0, ("a", 1, 100)), now=0)
    one.beside = lambda: {"model_version": "m"}
    one.write()
    epoch = store.meta.epoch
    one.write()
    assert store.meta.epoch == epoch
    for beside in ({"model_version": "n"}, {"model_version": "n", "work": b"w"}):
        one.beside = lambda beside=beside: beside
        one.write()
        one.write()
    assert (store.meta.epoch, store.work) == (epoch + 2, b"w")


def test_clicks_on_retired_items_are_refused_until_they_are_listed_again(writer: Open, store: SeedStore) -> None:
    one = writer()
    (gone,) = tombstone(0, "a", sent=500).changes
    assert one.apply_candidate(gone)
    assert not one.apply_candidate(gone), "it was applied before"
    refused = one.apply_clicks(batch(0, ("a", 1, 600), ("b", 1, 600)), now=0)
    assert (len(refused.numbers), refused.refused) == (1, 1)
    (back,) = listing(1, "a", sent=700).changes
    assert one.apply_candidate(back)
    counted = one.apply_clicks(batch(2, ("a", 1, 700), ("a", 2, 701)), now=0)
    assert (len(counted.numbers), counted.refused) == (1, 1)
    one.write()
    assert seeds(store, "a") == {int(USERS[2]): 701}
    assert (store.meta.candidates, dict(store.candidates())["a"].since) == (2, 700)
    again = writer()
    assert again.candidates == 2
    assert again.registry.is_listed("a")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"a": "expired", "b": "retired"}),
        ({"ttl": 300}, {"a": "expired", "b": "retired", "c": "idle"}),
        ({"max_items": 2}, {"a": "expired", "b": "retired", "c": "over_capacity"}),
        ({"ttl": 300, "max_items": 1}, {"a": "expired", "b": "retired", "c": "idle", "d": "over_capacity"}),
    ],
)
def test_items_are_evictable_for_a_reason(writer: Open, options: dict[str, Any], expected: dict[str, str]) -> None:
    """Item e is listed: it is evicted neither for want of clicks nor for the others' room."""
    one = writer(**options)
    one.apply_clicks(batch(0, ("e", 1, 400), ("c", 1, 600), ("d", 1, 950), ("b", 1, 1000), ("a", 1, 1100)), now=0)
    for changed in (listing(0, "a", sent=0, expires_at=900), listing(1, "e", sent=0), tombstone(2, "b", sent=1)):
        one.apply_candidate(changed.changes[0])
    found = one.evictable(1200)
    assert found == expected
    one.evict(found)
    one.write()
    assert [item for item in "abcde" if item in writer().items] == [item for item in "abcde" if item not in expected]
