"""The seed keeper without an engine and without a broker: windows, crashes, expiry, a new model."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from flows.batches import ClickBatch, OutMessage
from flows.clustering_pool import ClusteringOptions, ClusteringPool
from flows.errors import RalmError
from flows.messages import Centroids, decode_centroids, split_centroids_key
from flows.seed_keeper import KeeperOptions, KeeperState, SeedKeeper
from flows.windows import WindowOptions
from ralm.scoring import AttentionWeights
from state.bundle import Bundle, write_bundle
from state.seed_store import SeedStore
from state.user_keys import user_keys

USERS = user_keys([str(number) for number in range(60)])
WINDOWS = WindowOptions(length=1000, allowed_lateness=0, idle_after=500)


def make_pool(path: Path, rng_seed: int) -> ClusteringPool:
    rng, h = np.random.default_rng(rng_seed), 8
    weights = AttentionWeights(*(rng.normal(size=s).astype("f4") for s in ((h, h), (4, h), (4,))))
    vectors = rng.normal(size=(50, h)).astype("f4")  # the last ten users have none
    write_bundle(
        path, towers=weights, user_tower={}, lookalike={}, keys=USERS[:50], vectors=vectors, details={"clusters": 4}
    )
    return ClusteringPool(Bundle.open(path), ClusteringOptions(4, 3, 1000, 0), threads=1)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusteringPool]:
    made = make_pool(tmp_path_factory.mktemp("bundle") / "b", 0)
    yield made
    made.close()


Build = Callable[..., SeedKeeper]


@pytest.fixture
def build(tmp_path: Path, pool: ClusteringPool) -> Iterator[Build]:
    """Builds keepers on one store, as a restart does."""
    opened: list[SeedStore] = []

    def make(state: KeeperState | None = None, *, ttl: int = 0, use: ClusteringPool = pool) -> SeedKeeper:
        while opened:
            opened.pop().close()
        opened.append(SeedStore.open(tmp_path / "s", topic="clicks", partition=0, capacity=20))
        return SeedKeeper(opened[-1], use, KeeperOptions(20, ttl, WINDOWS), state)

    yield make
    for store in opened:
        store.close()


def batch(offset: int, *clicks: tuple[str, int, int], idle: int = 0) -> ClickBatch:
    ids = sorted({item for item, _, _ in clicks})
    return ClickBatch(
        0,
        offset + len(clicks),
        idle,
        ids,
        np.array([ids.index(item) for item, _, _ in clicks], np.int64),
        USERS[[user for _, user, _ in clicks]] if clicks else USERS[:0],
        np.array([ts for _, _, ts in clicks], np.int64),
        np.arange(offset, offset + len(clicks)),
    )


def settle(keeper: SeedKeeper) -> list[OutMessage]:
    """Let the pool finish."""
    out: list[OutMessage] = []
    until = time.monotonic() + 20
    while keeper.notify_at() is not None:
        assert time.monotonic() < until
        out += keeper.collect()
    return out


def emitted(out: list[OutMessage]) -> dict[str, Centroids | None]:
    return {
        split_centroids_key(message.key)[1]: None if message.value is None else decode_centroids(message.value)
        for message in out
    }


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


def test_a_store_behind_its_snapshot_is_refused(build: Build) -> None:
    keeper = build()
    keeper.take([batch(0, *FIRST)])
    state = keeper.snapshot()
    ahead = KeeperState(0, 500, state.newest, state.closed, state.dirty, {}, [])
    with pytest.raises(RalmError, match="up to offset 9, the recovery data up to 500"):
        build(ahead)


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
    keeper = build(ttl=5000)
    keeper.take([batch(0, *FIRST), batch(9, ("z", 1, 1500))])
    settle(keeper)
    keeper.snapshot()
    out = keeper.take([batch(10, ("z", 2, 7500))])
    assert {item: message for item, message in emitted(out).items() if message is None} == dict.fromkeys("abc")
    first = keeper.snapshot()
    assert set(first.retiring) == {"a", "b", "c"}
    assert len(keeper._store.seeds("a")) == 5  # until the tombstones' epoch is committed
    keeper.take([batch(11, ("z", 3, 7600))])
    assert keeper.snapshot().retiring == []
    assert len(keeper._store.seeds("a")) == 0
    assert [item for item, _ in keeper._store.items()] == ["z"]
    again = build(first, ttl=5000)  # a crash in between: the same again, and harmless
    again.take([batch(11, ("z", 3, 7600)), batch(12, ("a", 9, 7700))])
    again.snapshot()
    assert len(again._store.seeds("a")) == 1


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
