"""What the seed sets are follows from the messages alone: not from batches, crashes, or the disk they lie on."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeper_maker import USERS, WINDOWS, batch, listing, make_pool, no_history, tombstone

from flows.messages.batches import CandidateBatch, ClickBatch
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedKeeper
from flows.seed_sets.keeper_state import KeeperOptions, KeeperState
from state.store.seed_store import SeedStore

Clicks: TypeAlias = list[tuple[str, int, int]]
Seeds: TypeAlias = dict[str, dict[int, int]]

CAPACITY, TTL = 4, 3000
CLICKS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.integers(0, 12_000)), min_size=1, max_size=30
)
# In the order of time, more or less, as clicks come; else nearly all are late.
IN_TIME = CLICKS.map(lambda clicks: sorted(clicks, key=lambda c: c[2] // 2000))
LAWS = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusteringPool]:
    made = make_pool(tmp_path_factory.mktemp("bundle") / "b", 0)
    yield made
    made.close()


def oracle(clicks: Clicks, ttl: int) -> Seeds:
    """The rule, click by click: before a click is taken, what has been idle too long when it comes is given up."""
    kept: Seeds = {}
    newest = 0
    for item, user, ts in clicks:
        newest = max(newest, ts)
        closed = newest // WINDOWS.length * WINDOWS.length
        for idle in [name for name, seeds in kept.items() if ttl and max(seeds.values()) < closed - ttl]:
            del kept[idle]
        seeds = kept.setdefault(item, {})
        key = int(USERS[user])
        seeds[key] = max(ts, seeds.get(key, 0))
    return {item: dict(sorted(seeds.items(), key=lambda s: (s[1], s[0]))[-CAPACITY:]) for item, seeds in kept.items()}


class Disk:
    """A keeper that is opened and crashes, and what is stored."""

    def __init__(self, pool: ClusteringPool, folder: Path, ttl: int) -> None:
        self.options = KeeperOptions(CAPACITY, ttl, WINDOWS)
        self.pool, self.folder = pool, folder
        self.store: SeedStore | None = None

    def open(
        self, state: KeeperState | None, clicks: Clicks | None = None, listed: list[CandidateBatch] = ()
    ) -> SeedKeeper:
        self.close()
        self.store = SeedStore.open(self.folder, topic="clicks", partition=0, capacity=CAPACITY)
        history = no_history if clicks is None else lambda _: ([batch(0, *clicks)], listed)
        return SeedKeeper(self.store, self.pool, self.options, state, history)

    def seeds(self) -> Seeds:
        assert self.store is not None
        found = {}
        for item, _ in self.store.items():
            seeds = self.store.seeds(item)
            found[item] = dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))
        return found

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None


def cut(clicks: Clicks, lengths: list[int]) -> list[ClickBatch]:
    batches, at = [], 0
    for length in [*lengths, len(clicks)]:
        if at < len(clicks):
            batches.append(batch(at, *clicks[at : at + length]))
            at += length
    return batches


@LAWS
@given(IN_TIME, st.lists(st.integers(1, 9), max_size=8), st.lists(st.booleans(), min_size=9, max_size=9))
def test_crashes_and_batches_change_no_seed_set(
    pool: ClusteringPool, clicks: Clicks, lengths: list[int], crashes: list[bool]
) -> None:
    with TemporaryDirectory() as folder:
        disk = Disk(pool, Path(folder) / "s", TTL)
        keeper, state, since = disk.open(None), None, []
        for part, crash in zip(cut(clicks, lengths), crashes, strict=False):
            since.append(part)
            keeper.take([part])
            if crash:  # after the store was written, before the engine has committed
                keeper.snapshot()
                keeper = disk.open(state)
                for again in since:
                    keeper.take([again])
            else:
                state, since = keeper.snapshot(), []
        keeper.snapshot()
        assert disk.seeds() == oracle(clicks, TTL)
        disk.close()


@LAWS
@given(IN_TIME, st.lists(st.integers(1, 9), max_size=8))
def test_a_lost_store_is_made_again_as_it_was(pool: ClusteringPool, clicks: Clicks, lengths: list[int]) -> None:
    with TemporaryDirectory() as folder:
        disk, other = (Disk(pool, Path(folder) / name, TTL) for name in ("s", "t"))
        keeper = disk.open(None)
        for part in cut(clicks, lengths):
            keeper.take([part])
        state = keeper.snapshot()
        other.open(state, clicks)
        assert other.seeds() == disk.seeds() == oracle(clicks, TTL)
        disk.close()
        other.close()


CHANGES = st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(1, 12_000)), max_size=5)


@LAWS
@given(CLICKS, CHANGES)
def test_an_item_that_was_retired_is_made_again_as_it_was(
    pool: ClusteringPool, clicks: Clicks, changes: list[tuple[str, bool, int]]
) -> None:
    """Clicks and candidates are two topics: read in the order of time, they mean what one after the other means."""
    clicks, changes = sorted(clicks, key=lambda click: click[2]), sorted(changes, key=lambda change: change[2])
    listed = [
        tombstone(n, item, sent=sent) if gone else listing(n, item, sent=sent)
        for n, (item, gone, sent) in enumerate(changes)
    ]
    expected = oracle([click for click in clicks if _counts(click, changes)], 0)
    with TemporaryDirectory() as folder:
        disk, other = (Disk(pool, Path(folder) / name, 0) for name in ("s", "t"))
        keeper, at = disk.open(None), 0
        for change, told in zip(changes, listed, strict=True):
            before = sum(ts <= change[2] for _, _, ts in clicks)
            keeper.take([batch(at, *clicks[at:before]), told])
            at = before
        keeper.take([batch(at, *clicks[at:])])
        state = keeper.snapshot()
        assert disk.seeds() == expected
        other.open(state, clicks, listed)
        assert other.seeds() == expected
        disk.close()
        other.close()


def _counts(click: tuple[str, int, int], changes: list[tuple[str, bool, int]]) -> bool:
    """Whether a click counts in the end: the item was retired neither then nor later."""
    item, _, ts = click
    before = [gone for name, gone, sent in changes if name == item and sent < ts]
    later = [gone for name, gone, sent in changes if name == item and sent >= ts]
    return not any(before[-1:]) and not any(later)
