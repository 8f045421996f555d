"""Clicks at random, what the rule makes of them, and a disk whose process crashes."""

from pathlib import Path
from typing import TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from operator_maker import USERS, WINDOWS, batch

from flows.config.groups import SeedSettings
from flows.messages.batches import ClickBatch
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
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


def oracle(clicks: Clicks, ttl: int) -> Seeds:
    """The rule, click by click: before a click is applied, items that are idle too long when it comes are evicted."""
    kept: Seeds = {}
    newest = 0
    for item, user, ts in clicks:
        newest = max(newest, ts)
        closed = newest // 1000 * 1000
        for idle in [name for name, seeds in kept.items() if ttl and max(seeds.values()) < closed - ttl]:
            del kept[idle]
        seeds = kept.setdefault(item, {})
        key = int(USERS[user])
        seeds[key] = max(ts, seeds.get(key, 0))
    return {item: dict(sorted(seeds.items(), key=lambda s: (s[1], s[0]))[-CAPACITY:]) for item, seeds in kept.items()}


class Disk:
    """An operator that is opened and crashes, and what is stored."""

    def __init__(self, pool: ClusteringPool, folder: Path, ttl: int) -> None:
        self.options = SeedSettings(max_seeds=CAPACITY, item_ttl=f"{ttl}ms", **WINDOWS)
        self.pool, self.folder = pool, folder
        self.store: SeedStore | None = None

    def open(self) -> SeedSetOperator:
        self.close()
        self.store = SeedStore.open(self.folder, topic="clicks", partition=0, capacity=CAPACITY)
        return SeedSetOperator(self.store, self.pool, self.options)

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
