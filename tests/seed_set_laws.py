"""Clicks at random, what the rule makes of them, and a disk whose process crashes."""

from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from operator_maker import USERS, WINDOWS, batch

from flows.config.groups import SeedSettings
from flows.messages.batches import ClickBatch
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.emitted_before import EmittedBefore
from flows.seed_sets.keeper import SeedSetOperator
from state.store.seed_store import SeedStore

Clicks: TypeAlias = list[tuple[str, int, int]]
Seeds: TypeAlias = dict[str, dict[int, int]]

CAPACITY, TTL, RETENTION, MOST = 4, 3000, 5000, 3
CLICKS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 9), st.integers(0, 12_000)), min_size=1, max_size=30
)
# In the order of time, more or less, as clicks come; else nearly all are late.
IN_TIME = CLICKS.map(lambda clicks: sorted(clicks, key=lambda c: c[2] // 2000))
LAWS = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def oracle(clicks: Clicks, ttl: int, retention: int = 0, most: int = 10**6) -> Seeds:
    """The rule, click by click.

    A click that has come lies in the window that it is folded in with, and in its own. Before a click is applied, the
    windows that it closes are closed, and items that are idle for ``retention`` then are forgotten; if it is the first
    of an item beyond ``most``, the one that is idle for longest is dropped for it.
    """
    kept: dict[str, list[tuple[int, int, int, int]]] = {}
    newest = closed = 0

    def last(item: str) -> int:
        return max(ts for *_, ts, _ in kept[item])

    for item, user, ts in clicks:
        newest = max(newest, ts)
        if newest // 1000 * 1000 > closed:
            closed = newest // 1000 * 1000
            for idle in [name for name in kept if ttl and retention and last(name) < closed - max(ttl, retention)]:
                del kept[idle]
        if item not in kept and len(kept) >= most:
            del kept[min(kept, key=lambda name: (last(name), name))]
        window = (ts // 1000 + 1) * 1000
        closes = window if window > closed else closed + 1000
        kept.setdefault(item, []).append((closes, window, ts, int(USERS[user])))
    return {item: _folded(found, ttl) for item, found in kept.items()}


def _folded(clicks: list[tuple[int, int, int, int]], ttl: int) -> dict[int, int]:
    seeds: dict[int, int] = {}
    since = 0
    for _, group in groupby(sorted(clicks), key=lambda click: click[:2]):
        times = [(ts, user) for *_, ts, user in group]
        if ttl and seeds and times[0][0] - max(seeds.values()) > ttl:
            seeds, since = {}, times[0][0] - ttl
        for ts, user in times:
            if ts >= since:  # what is late by more is of the set that has ended
                seeds[user] = max(ts, seeds.get(user, 0))
    return dict(sorted(seeds.items(), key=lambda seed: (seed[1], seed[0]))[-CAPACITY:])


class Disk:
    """An operator that is opened and crashes, and what is stored."""

    def __init__(self, pool: ClusteringPool, folder: Path, ttl: int, **options: Any) -> None:
        self.options = SeedSettings(max_seeds=CAPACITY, item_ttl=f"{ttl}ms", **WINDOWS, **options)
        self.pool, self.folder = pool, folder
        self.store: SeedStore | None = None

    def open(self, emitted_before: EmittedBefore | None = None) -> SeedSetOperator:
        self.close()
        gap = self.options.item_ttl
        self.store = SeedStore.open(self.folder, topic="clicks", partition=0, capacity=CAPACITY, max_gap=gap)
        return SeedSetOperator(self.store, self.pool, self.options, emitted_before=emitted_before)

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
