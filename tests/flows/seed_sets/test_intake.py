"""The writer alone: which clicks count, what it writes, and which items it drops."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from operator_maker import USERS, WINDOWS, batch, listing, tombstone

from flows.config.groups import SeedSettings
from flows.messages.batches import ClickBatch
from flows.seed_sets.intake import ApplyResult, SeedSetWriter
from flows.seed_sets.item_table import NOT_NAMED
from flows.seed_sets.windows import WindowClock
from state.store.layout import FOR_EVER, RETIRED
from state.store.seed_store import SeedStore

CAPACITY = 3
Open = Callable[..., SeedSetWriter]
OPTIONS = SeedSettings(max_seeds=CAPACITY, item_ttl=0, **WINDOWS)


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


def apply(writer: SeedSetWriter, clicks: ClickBatch, closed: int = 0) -> ApplyResult:
    return writer.apply_clicks(clicks, WindowClock(OPTIONS, closed, closed))


def seeds(store: SeedStore, item: str) -> dict[int, int]:
    found = store.seeds(item)
    return dict(zip(found.users.tolist(), found.times.tolist(), strict=True))


def test_clicks_are_written_with_their_position_and_replays_only_counted(writer: Open, store: SeedStore) -> None:
    one = writer()
    first = apply(one, batch(0, ("a", 1, 100), ("a", 2, 200)))
    assert (first.replayed, first.applied) == (0, 2)
    assert store.position == 0
    one.write()
    assert (store.position, seeds(store, "a")) == (2, {int(USERS[1]): 100, int(USERS[2]): 200})
    again = writer()
    replayed = apply(again, batch(0, ("a", 1, 100), ("a", 2, 200), ("b", 3, 300)))
    assert (replayed.replayed, replayed.applied) == (2, 1)
    again.write()
    assert (store.position, seeds(store, "a").keys(), seeds(store, "b")) == (
        3,
        {int(USERS[1]), int(USERS[2])},
        {int(USERS[3]): 300},
    )


def test_clicks_lie_apart_by_window_and_late_ones_in_the_next_to_close(writer: Open, store: SeedStore) -> None:
    one = writer()
    result = apply(one, batch(0, ("a", 1, 900), ("a", 2, 2999), ("a", 3, 3000), ("a", 1, 950)), closed=2000)
    one.write()
    found = {(part.closes, part.window): part for part in store.open_windows("a")}
    assert sorted(found) == [(3000, 1000), (3000, 3000), (4000, 4000)]
    assert (found[3000, 1000].first, found[3000, 1000].seeds.times.tolist()) == (900, [950])
    assert result.late == 2


def test_a_replayed_click_brings_no_dropped_item_back(writer: Open, store: SeedStore) -> None:
    one = writer()
    apply(one, batch(0, ("a", 1, 100)))
    one.drop(["a"], "forgotten")
    one.write()
    replayed = apply(writer(), batch(0, ("a", 1, 100)))
    assert (replayed.replayed, replayed.applied) == (1, 0)
    assert store.unacked_tombstones() == ["a"]
    one.ack_tombstones(["a"])
    one.write()
    assert store.unacked_tombstones() == []


def test_what_comes_after_an_item_was_dropped_stays_though_it_is_written_at_once(
    writer: Open, store: SeedStore
) -> None:
    one = writer()
    apply(one, batch(0, ("a", 1, 100), ("b", 2, 100)))
    one.drop(["a"], "forgotten")
    apply(one, batch(2, ("c", 3, 150), ("a", 4, 200)))
    one.write()
    assert [seeds(store, item) for item in "abc"] == [
        {int(USERS[4]): 200},
        {int(USERS[2]): 100},
        {int(USERS[3]): 150},
    ]


def test_nothing_new_writes_nothing(writer: Open, store: SeedStore) -> None:
    one = writer()
    apply(one, batch(0, ("a", 1, 100)))
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


def test_clicks_are_kept_whatever_the_candidates_say_and_each_knows_what_that_is(
    writer: Open, store: SeedStore
) -> None:
    one = writer()
    apply(one, batch(0, ("a", 1, 100)))
    (gone,) = tombstone(0, "a").changes
    assert one.apply_candidate(gone)
    assert not one.apply_candidate(gone), "it was applied before"
    one.apply_candidate(listing(1, "b").changes[0])
    apply(one, batch(1, ("a", 2, 600), ("b", 1, 600), ("c", 1, 600)))
    one.write()
    assert seeds(store, "a") == {int(USERS[1]): 100, int(USERS[2]): 600}
    for each in (one, writer()):
        found = [int(each.items.expires_at[each.items.number(item)]) for item in "abc"]
        assert found == [RETIRED, FOR_EVER, NOT_NAMED]
        assert each.candidates == 2


def test_the_oldest_candidate_messages_are_forgotten_also_by_the_items_that_they_name(
    writer: Open, store: SeedStore
) -> None:
    one = writer(max_listings=1)
    apply(one, batch(0, ("a", 1, 100)))
    for offset, item in enumerate("ab"):
        one.apply_candidate(tombstone(offset, item).changes[0])
    one.write()
    assert [item for item, _ in store.candidates()] == ["b"]
    assert one.items.expires_at[one.items.number("a")] == NOT_NAMED


def test_over_capacity_the_longest_idle_go_in_the_middle_of_a_batch(writer: Open, store: SeedStore) -> None:
    """Listed or not: what is kept follows from the clicks."""
    one = writer(max_items=2)
    one.apply_candidate(listing(0, "a").changes[0])
    clicks = (("a", 1, 100), ("b", 1, 50), ("b", 2, 300), ("c", 1, 200), ("a", 3, 400), ("d", 1, 10))
    assert apply(one, batch(0, *clicks)).dropped == ["a", "c", "b"]
    one.write()
    assert {item: seeds(store, item) for item, _ in store.items()} == {
        "a": {int(USERS[3]): 400},
        "d": {int(USERS[1]): 10},
    }


@pytest.mark.parametrize(
    ("options", "forgotten"),
    [
        ({"ttl": 300, "seeds_retention": "500ms"}, ["a"]),
        ({"ttl": 600, "seeds_retention": "1ms"}, ["a"]),
        ({"ttl": 601, "seeds_retention": "1ms"}, []),
        ({"ttl": 300, "seeds_retention": 0}, []),
        ({"ttl": 0, "seeds_retention": "500ms"}, []),
    ],
)
def test_seeds_of_idle_items_are_forgotten_by_the_time_of_the_clicks(
    writer: Open, options: dict[str, object], forgotten: list[str]
) -> None:
    one = writer(**options)
    apply(one, batch(0, ("a", 1, 399), ("b", 1, 800)))
    assert one.forgettable(1000) == forgotten
