"""A week of a partition in fast event time: items are born and die, and what is kept must not grow."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.bench.random_bundle import write_random_bundle
from flows.config.groups import ClusteringSettings, SeedSettings
from flows.messages.batches import ClickBatch
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import SeedSetOperator
from monitoring import metrics
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore

_START = 1_750_032_000_000
_DAY = 86_400_000
_WINDOW = 300_000
_HOUR = 3_600_000
_LIFE = 6 * _HOUR
"""How long an item is clicked, ms."""
_TTL = 6 * _HOUR
"""An item is evicted so long after its last click: in the second half of the first day as many die as are born."""
_USERS = 2_000_000
_VECTORS = 100_000
_DIM = 32
_SNAPSHOT_WINDOWS = 12
"""Windows between two snapshots; in real time there would be one every few seconds."""
_CLUSTERING_S = 0.05
"""What the pool gets of each window; in real time it would be five minutes. What it cannot do is shed."""


@dataclass(frozen=True)
class DayFigures:
    """Where things stand in the second half of a day.

    Attributes:
        day: from 1 on.
        clicks: taken in so far.
        items: items with seeds.
        seeds: of all items, as of their last merge.
        disk_mib: of the store, mean of an hourly look (RocksDB tidies up in steps).
        rss_mib: of the process, the same.
        reclusters: clusterings so far.
        shed: those that were not made since a later window closed before their turn.
    """

    day: int
    clicks: int
    items: int
    seeds: int
    disk_mib: float
    rss_mib: float
    reclusters: int
    shed: int


@dataclass(frozen=True)
class WeekPlan:
    """How much happens.

    Attributes:
        items: born in all, evenly over the days.
        clicks: in all.
        days: how long it goes on; the first day fills the store.
        max_seeds: N.
        rng_seed: fixes items, users and times.
    """

    items: int
    clicks: int
    days: int
    max_seeds: int
    rng_seed: int


def simulate(folder: Path, plan: WeekPlan, progress: Callable[[str], None]) -> tuple[list[DayFigures], float]:
    """Run the week through a operator with its store and its pool.

    Args:
        folder: an empty folder on the disk to measure.
        plan: how much happens.
        progress: called each day.

    Returns:
        The figures of each day, and the longest time that a window held the operator up, s.
    """
    rng = np.random.default_rng(plan.rng_seed)
    days: list[DayFigures] = []
    looks: list[tuple[float, float]] = []
    longest, clicks = 0.0, 0
    with ExitStack() as stack:
        pool = stack.enter_context(closing(_pool(folder / "bundle", rng)))
        store = stack.enter_context(
            closing(
                SeedStore.open(folder / "store", topic="clicks", partition=0, capacity=plan.max_seeds, max_gap=_TTL)
            )
        )
        options = SeedSettings(
            max_seeds=plan.max_seeds, item_ttl=_TTL // 1000, seeds_retention=_TTL // 1000, window=_WINDOW // 1000
        )
        operator = SeedSetOperator(store, pool, options)
        for number, batch in enumerate(_windows(plan, rng)):
            began = time.perf_counter()
            operator.apply([batch])
            if number % _SNAPSHOT_WINDOWS == 0:
                operator.snapshot()
            longest = max(longest, time.perf_counter() - began)
            _let_cluster(operator)
            clicks += len(batch.offsets)
            if (number + 1) % (_HOUR // _WINDOW) == 0:
                looks.append(_look(folder / "store"))
            if (number + 1) % (_DAY // _WINDOW) == 0:
                operator.snapshot()
                days.append(_figures(len(days) + 1, clicks, store, looks[-12:]))
                progress(f"day {len(days)} of {plan.days}: {clicks:,} clicks, {days[-1].items:,} items")
    return days, longest


def _let_cluster(operator: SeedSetOperator) -> None:
    until = time.perf_counter() + _CLUSTERING_S
    while operator.notify_at() is not None and time.perf_counter() < until:
        operator.collect()
        time.sleep(0.001)


def _windows(plan: WeekPlan, rng: np.random.Generator) -> Iterator[ClickBatch]:
    """A batch for each window of five minutes; young items are clicked most, and some much more than others."""
    windows = plan.days * _DAY // _WINDOW
    # Items are born from before the first day on, so that it is like the others.
    births = np.sort(rng.integers(-_LIFE, plan.days * _DAY, plan.items))
    names = [f"item-{number:07d}" for number in range(plan.items)]
    appeal = rng.pareto(1.2, plan.items) + 0.05
    offset = 0
    for window in range(windows):
        now = window * _WINDOW
        first, end = np.searchsorted(births, [now - _LIFE, now])
        end = max(end, 1)
        alive = slice(min(first, end - 1), end)  # of few items the youngest goes on
        weight = appeal[alive] * np.maximum(1 - (now - births[alive]) / _LIFE, 0.01)
        count = plan.clicks * (window + 1) // windows - plan.clicks * window // windows
        items = rng.choice(np.arange(alive.start, alive.stop), count, p=weight / weight.sum())
        ids, places = np.unique(items, return_inverse=True)
        times = np.sort(rng.integers(now, now + _WINDOW, count)) + _START
        yield ClickBatch(
            0,
            offset + count,
            0,
            [names[number] for number in ids.tolist()],
            places,
            rng.integers(0, _USERS, count).astype(np.uint64),
            times,
            np.arange(offset, offset + count),
        )
        offset += count


def _pool(path: Path, rng: np.random.Generator) -> ClusteringPool:
    keys: NDArray[np.uint64] = np.arange(_VECTORS, dtype=np.uint64) * np.uint64(_USERS // _VECTORS)
    write_random_bundle(path, keys, _DIM, rng)
    return ClusteringPool(Bundle.open(path), ClusteringSettings())


def _look(path: Path) -> tuple[float, float]:
    disk = sum(file.stat().st_size for file in path.iterdir() if file.exists())
    return disk / 2**20, _value("process_resident_memory_bytes") / 2**20


def _figures(day: int, clicks: int, store: SeedStore, looks: list[tuple[float, float]]) -> DayFigures:
    records = [record for _, record in store.items()]
    done = {outcome: _value("ralm_reclusters_total", outcome=outcome) for outcome in metrics.RECLUSTER_OUTCOMES}
    disk, rss = np.mean(looks, axis=0).tolist()
    return DayFigures(
        day,
        clicks,
        len(records),
        sum(record.seeds for record in records),
        disk,
        rss,
        round(sum(done.values()) - done["shed"]),
        round(done["shed"]),
    )


def _value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0
