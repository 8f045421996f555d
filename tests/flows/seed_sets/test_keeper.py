"""The seed keeper without an engine and without a broker: windows, crashes, expiry, a new model."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from keeper_maker import (
    WINDOWS,
    Build,
    batch,
    emitted,
    listing,
    make_pool,
    no_history,
    settle,
    tombstone,
)

from flows.config.settings import SeedSettings
from flows.messages.batches import CandidateBatch, ClickBatch
from flows.messages.codec import split_centroids_key
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import Missed, SeedKeeper
from flows.seed_sets.keeper_state import KeeperState
from flows.support.errors import RalmError
from monitoring import metrics
from state.store.seed_store import SeedStore


@pytest.fixture
def build(tmp_path: Path, pool: ClusteringPool) -> Iterator[Build]:
    """Builds keepers on one store, as a restart does."""
    opened: list[SeedStore] = []

    def make(
        state: KeeperState | None = None,
        *,
        use: ClusteringPool = pool,
        disk: str = "s",
        missed: Missed = no_history,
        **options: Any,
    ) -> SeedKeeper:
        while opened:
            opened.pop().close()
        opened.append(SeedStore.open(tmp_path / disk, topic="clicks", partition=0, capacity=20))
        state = None if state is None else KeeperState.decode(state.encode())
        settings = SeedSettings(max_seeds=20, **{"item_ttl": 0, **WINDOWS, **options})
        return SeedKeeper(opened[-1], use, settings, state, missed)

    yield make
    for store in opened:
        store.close()


FIRST = [("a", user, 100 + user) for user in range(5)] + [("b", 1, 200), ("c", 55, 210), ("c", 56, 211), ("c", 57, 212)]


def test_a_closed_window_clusters_what_it_touched(build: Build) -> None:
    keeper = build()
    assert keeper.take([batch(0, *FIRST)]) == []
    out = keeper.take([batch(9, ("a", 40, 1500))]) + settle(keeper)
    found = emitted(out)
    assert set(found) == {"a"}  # b has too few seeds, c's users have no vectors
    message = found["a"]
    assert message is not None
    assert (message.window_end, message.seeds, sum(message.counts)) == (1000, 5, 5)  # the click at 1500 is not in it
    found = emitted(keeper.take([batch(10, idle=600)]) + settle(keeper))
    assert found["a"] is not None
    assert (found["a"].window_end, found["a"].seeds) == (2000, 6)


def test_what_was_not_committed_is_made_again_and_nothing_twice(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    state = keeper.snapshot()
    keeper.take([batch(9, ("a", 40, 900), ("a", 41, 1500))])
    keeper.snapshot()  # the store is written, but the engine crashes before it commits: the snapshot before it counts
    keeper = build(state)
    out = keeper.take([batch(9, ("a", 40, 900), ("a", 41, 1500))]) + settle(keeper)
    message = emitted(out)["a"]
    assert message is not None
    assert (message.window_end, message.seeds) == (1000, 6)
    keeper.snapshot()
    store = keeper._store
    assert store.position == 11
    assert len(store.seeds("a")) == 7


def test_pending_items_survive_a_crash(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    keeper._close(1000)  # closed, and not yet given to the pool
    state = keeper.snapshot()
    assert set(state.pending) == {"a", "b", "c"}
    assert set(emitted(settle(build(state)))) == {"a"}


def test_a_store_behind_its_snapshot_is_refused_when_the_topic_has_no_more(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    state = replace(keeper.snapshot(), position=500)
    with pytest.raises(RalmError, match="the topic has nothing"):
        build(state)


def test_without_a_snapshot_everything_is_clustered_anew(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    keeper.take([batch(9, ("z", 1, 1500))])
    settle(keeper)
    keeper.snapshot()
    keeper = build(None)
    found = emitted(keeper.take([batch(10, idle=600)]) + settle(keeper))
    assert set(found) == {"a"}


def test_a_new_model_makes_every_items_centroids_anew(build: Build, tmp_path: Path) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(keeper)
    keeper.snapshot()
    state = keeper.snapshot()
    other = make_pool(tmp_path / "other", 1)
    keeper = build(state, use=other)
    out = keeper.take([batch(10, ("z", 2, 2500))]) + settle(keeper)
    other.close()
    assert {split_centroids_key(message.key) for message in out} == {(other.model_version, "a")}


def test_an_item_that_nobody_clicks_is_given_up_and_may_come_back(build: Build) -> None:
    keeper = build(item_ttl="5s")
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(keeper)
    keeper.snapshot()
    out = keeper.take([batch(10, ("z", 2, 6500))])
    assert {item: message for item, message in emitted(out).items() if message is None} == dict.fromkeys("abc")
    first = keeper.snapshot()
    assert len(keeper._store.seeds("a")) == 0
    assert [item for item, _ in keeper._store.items()] == ["z"]
    again = build(
        first, item_ttl="5s"
    )  # a crash before it was known that the tombstones were delivered: they come again
    out = again.take([batch(11, ("z", 3, 6600)), batch(12, ("a", 9, 6700))])
    assert {item for item, message in emitted(out).items() if message is None} == set("abc")
    again.snapshot()
    assert len(again._store.seeds("a")) == 1
    again.take([batch(13, ("z", 4, 6800))])
    assert emitted(build(again.snapshot(), item_ttl="5s").collect()) == {}


def test_only_the_newest_seeds_are_kept(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *[("a", user, user) for user in range(45)])])
    message = emitted(keeper.take([batch(45, ("z", 0, 1100))]) + settle(keeper))["a"]
    assert message is not None
    assert message.seeds == 20
    keeper.snapshot()
    assert set(keeper._store.seeds("a").times.tolist()) == set(range(25, 45))


def test_a_drain_closes_nothing(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    state = keeper.snapshot()
    assert sorted(state.dirty[0]) == ["a", "b", "c"]
    assert state.pending == {}


def test_a_crash_between_the_store_and_the_snapshot_leaves_no_ghost_of_a_given_up_item(build: Build) -> None:
    keeper = build(item_ttl="5s")
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(keeper)
    before = keeper.snapshot()
    keeper.take([batch(10, ("z", 2, 6500))])
    keeper.snapshot()  # written, but not committed: the engine goes on from before the expiry
    again = build(replace(before, position=5), item_ttl="5s")
    out = again.take([batch(5, *FIRST[5:], ("z", 1, 1500)), batch(10, ("z", 2, 6500))]) + settle(again)
    assert {item for item, message in emitted(out).items() if message is None} == set("abc")
    again.snapshot()
    assert [item for item, _ in again._store.items()] == ["z"]


def test_a_tombstone_retires_an_item_and_its_clicks_are_refused(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    assert "a" in emitted(settle(keeper))
    out = keeper.take([tombstone(0, "a", sent=1600), batch(10, ("a", 7, 1550), ("a", 8, 9000))])
    assert emitted(out)["a"] is None
    state = keeper.snapshot()
    assert (state.candidates, len(keeper._store.seeds("a"))) == (1, 0)
    keeper = build(state)
    keeper.take([batch(12, ("a", 9, 9100))])
    # Listed anew, only what comes after counts.
    keeper.take([listing(1, "a", sent=10_000), batch(13, ("a", 10, 9900), ("a", 11, 10_001))])
    keeper.snapshot()
    assert keeper._store.seeds("a").times.tolist() == [10_001]


def test_a_tombstone_while_the_item_is_being_clustered(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])  # the window has closed, the pool works
    out = keeper.take([tombstone(0, "a", sent=1600)])
    assert "a" not in keeper._pending
    assert emitted(out + settle(keeper))["a"] is None
    keeper.snapshot()
    assert (len(keeper._store.seeds("a")), keeper._store.centroids("a")) == (0, None)


def test_an_item_expires_when_its_time_is_over(build: Build) -> None:
    keeper = build()
    keeper.take([listing(0, "a", sent=0, expires_at=2000), batch(0, *FIRST)])
    assert "a" in emitted(keeper.take([batch(9, ("z", 1, 1500))]) + settle(keeper))
    out = keeper.take([batch(10, ("a", 3, 2100), ("z", 1, 3500))]) + settle(keeper)
    assert emitted(out)["a"] is None
    keeper.snapshot()
    assert sorted(item for item, _ in keeper._store.items()) == ["b", "c", "z"]


def test_only_listed_items_are_clustered_if_so_set(build: Build) -> None:
    keeper = build(candidates="listed")
    keeper.take([batch(0, *FIRST, *[("d", user, 300) for user in range(4)])])
    out = keeper.take([listing(0, "d", sent=0), batch(13, ("z", 1, 1500))]) + settle(keeper)
    assert set(emitted(out)) == {"d"}
    out = keeper.take([listing(1, "a", sent=0), batch(14, ("z", 1, 2500))]) + settle(keeper)
    assert set(emitted(out)) == {"a"}  # its seeds were kept meanwhile


def test_a_listed_item_is_not_given_up_for_want_of_clicks(build: Build) -> None:
    keeper = build(item_ttl="5s")
    keeper.take([listing(0, "a", sent=0), batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(keeper)
    out = keeper.take([batch(10, ("z", 2, 6500))])
    assert {item for item, message in emitted(out).items() if message is None} == {"b", "c"}


def test_too_many_items_crowd_the_longest_idle_out(build: Build) -> None:
    keeper = build(max_items=3)
    keeper.take([batch(0, *[(name, 1, 100 + n) for n, name in enumerate("abcdef")])])
    assert set(emitted(keeper.take([batch(6, ("z", 1, 1500))]))) == {"a", "b", "c"}
    assert set(emitted(keeper.take([batch(7, ("z", 1, 2500))]))) == {"d"}
    assert len(keeper._intake.items) == 3


def test_an_item_whose_turn_has_not_come_when_the_next_window_closes_is_shed_once_and_not_forgotten(
    build: Build,
) -> None:
    def shed() -> float:
        return metrics.RECLUSTERS.labels("shed")._value.get()

    keeper, before = build(), shed()
    names = [f"item-{n:03d}" for n in range(100)]
    keeper.take([batch(0, *[(name, user, 100) for name in names for user in range(3)])])
    keeper.take([batch(300, *[(name, 9, 1200) for name in names])])
    waiting = list(keeper._pending)
    keeper.take([batch(400, ("z", 1, 2200))])
    # Those that waited first are first still.
    assert [name for name in keeper._pending if name in waiting] == [
        name for name in waiting if name in keeper._pending
    ]
    assert shed() > before
    found = emitted(settle(keeper))
    assert all(found[name] is not None for name in keeper._pending)
    assert all(found.get(name) is None or found[name].window_end == 2000 for name in names[50:])
    assert keeper._pending == {}


def test_a_lost_store_is_made_again_from_the_topics(build: Build) -> None:
    clicks = [batch(0, *FIRST), batch(9, ("a", 40, 1500)), batch(10, ("z", 2, 6500)), batch(11, ("z", 3, 6600))]
    keeper = build(item_ttl="5s")
    keeper.take([tombstone(0, "q", sent=50), *clicks])
    settle(keeper)
    state = keeper.snapshot()
    stored = {item: keeper._store.seeds(item).users.tolist() for item, _ in keeper._store.items()}
    later = batch(12, ("y", 1, 6700), ("q", 1, 6700))

    def missed(at: KeeperState) -> tuple[list[ClickBatch], list[CandidateBatch]]:
        assert at.position == 12
        return [*clicks, later], [tombstone(0, "q", sent=50)]

    again = build(state, item_ttl="5s", disk="other", missed=missed)
    assert again._store.position == 12  # what came later is the source's
    assert {item: again._store.seeds(item).users.tolist() for item, _ in again._store.items()} == stored
    again.take([later])
    again.snapshot()
    assert {item for item, _ in again._store.items()} == {*stored, "y"}


def test_the_centroids_of_the_bundle_before_last_are_taken_back(build: Build, tmp_path: Path) -> None:
    pools = [make_pool(tmp_path / str(rng_seed), rng_seed) for rng_seed in (1, 2, 3)]
    state, offset, out = None, 0, []
    for number, pool in enumerate(pools):
        keeper = build(state, use=pool)
        clicks = batch(offset, *[("a", user, 100 + number * 1000) for user in range(5)])
        out = keeper.take([clicks]) + keeper.take([batch(offset + 5, ("z", 1, 1100 + number * 1000))]) + settle(keeper)
        offset += 6
        for _ in range(3):
            state = keeper.snapshot()
    for pool in pools:
        pool.close()
    gone = {message.key.decode() for message in out if message.value is None and message.key}
    assert gone == {f"{pools[0].model_version}/a", f"{pools[0].model_version}/z"}
    assert keeper._store.meta.older_versions == (pools[1].model_version,)
