"""What a store costs: disk a seed, the longest pause that its upkeep makes, and disk over generations of items."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ralm.seed_set import SeedSet, by_item
from state.store.seed_store import Changes, ItemRecord, SeedStore

_BIG = "the big one"
_START = 1_750_000_000_000
_SMALL_ITEMS = 50
_SMALL_BYTES = 10_000
"""Of a small epoch in the log, about."""
_CENTROIDS_BYTES = 10_500
"""Of 20 centroids of 128 numbers."""
_SEEDS_EACH = 60
_EPOCHS = 20
_SETTLE_S = 60.0
_EPOCH_S = 0.02
"""Between two writes while a base is folded: far more often than a flow writes."""


@dataclass(frozen=True)
class StoreFigures:
    """What was measured.

    Attributes:
        seeds: distinct seeds of the big item.
        bytes_before: bytes a seed on disk, at most, while its seeds churned.
        bytes_after: bytes a seed on disk after compaction.
        fold_s: the longest merge of the big item, s.
        writes: synced writes of small epochs while the big item was merged.
        write_s: the longest of them, s.
        bare_s: the longest synced append of as many bytes by a bare process on the same disk at the same time, s.
        big_write_s: the longest write of an epoch of the big item, s.
        items: items of a generation.
        disk_mib: disk with each generation alive, MiB.
        empty_mib: disk after each generation was retired, MiB.
    """

    seeds: int
    bytes_before: float
    bytes_after: float
    fold_s: float
    writes: int
    write_s: float
    bare_s: float
    big_write_s: float
    items: int
    disk_mib: tuple[int, ...]
    empty_mib: tuple[int, ...]


def measure_store(
    folder: Path, *, seeds: int, churns: int, items: int, generations: int, progress: Callable[[str], None]
) -> StoreFigures:
    """Fill a store with one big item and churn its seeds, then another with generations of small items.

    Args:
        folder: an empty folder on the disk to measure.
        seeds: N, and the distinct seeds of the big item.
        churns: how often a third of them is replaced by newer ones.
        items: items of a generation.
        generations: how many are born and retired.
        progress: called with what begins.

    Raises:
        StoreError: when the disk refuses.
    """
    big = _Churn(folder / "big", seeds, progress)
    with _bare_sync(folder / "bare") as bare:
        for churn in range(churns):
            progress(f"churning a third of {seeds:,} seeds, {churn + 1} of {churns}")
            big.turn()
    before = _bytes(folder / "big")
    big.store.compact()
    big.store.close()
    disk, empty = _generations(folder / "small", items, generations, progress)
    return StoreFigures(
        seeds,
        max(before, big.most) / seeds,
        _bytes(folder / "big") / seeds,
        big.fold_s,
        big.writes,
        big.write_s,
        bare[0],
        big.big_write_s,
        items,
        disk,
        empty,
    )


@contextmanager
def _bare_sync(file: Path) -> Iterator[list[float]]:
    """Have a bare process sync beside; its longest time (s) is in the list afterwards."""
    command = [sys.executable, "-m", "flows.bench.bare_sync", str(file), str(_SMALL_BYTES), str(_EPOCH_S)]
    longest: list[float] = []
    with subprocess.Popen(  # noqa: S603 (our own command)
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield longest
        finally:
            said, _ = process.communicate()
    longest.append(float(said.split()[1]))


class _Churn:
    """An item at its capacity, whose oldest seeds newer ones replace, with small items written beside it."""

    def __init__(self, path: Path, seeds: int, progress: Callable[[str], None]) -> None:
        self.fold_s = self.write_s = self.big_write_s = 0.0
        self.writes = self.most = 0
        self._path, self._seeds = path, seeds
        self._rng = np.random.default_rng(0)
        self._clock = 0
        self.store = SeedStore.open(path, topic="clicks", partition=0, capacity=seeds)
        progress(f"writing {seeds:,} seeds")
        self._take(seeds)
        self.store.merged_seeds(_BIG)

    def turn(self) -> None:
        """Replace a third, and merge it beside the writes of small epochs."""
        self._take(self._seeds // 3)
        merging = threading.Thread(target=self._merge)
        merging.start()
        while merging.is_alive():
            began = time.perf_counter()
            self._write(_small(self._rng, self.store.position))
            self.write_s = max(self.write_s, time.perf_counter() - began)
            self.writes += 1
            time.sleep(_EPOCH_S)
        merging.join()
        self.most = max(self.most, _bytes(self._path))

    def _take(self, clicks: int) -> None:
        for _ in range(10):
            users = self._rng.integers(0, 2**63, clicks // 10, dtype=np.uint64)
            times = _START + self._clock + np.arange(len(users))
            self._clock += len(users)
            changes = Changes(seeds=[(_BIG, SeedSet.of_clicks(users, times, self._seeds))])
            changes.items[_BIG] = ItemRecord(int(times[-1]), self._seeds)
            began = time.perf_counter()
            self._write(changes)
            self.big_write_s = max(self.big_write_s, time.perf_counter() - began)

    def _merge(self) -> None:
        began = time.perf_counter()
        self.store.merged_seeds(_BIG)
        self.fold_s = max(self.fold_s, time.perf_counter() - began)

    def _write(self, changes: Changes) -> None:
        self.store.write(changes, position=self.store.position + 1, model_version="bench")


def _small(rng: np.random.Generator, number: int) -> Changes:
    items = rng.integers(0, _SMALL_ITEMS, 200)
    times = _START + number + np.zeros(200, np.int64)
    changes = Changes()
    for item, seeds in by_item(items, rng.integers(0, 1000, 200).astype(np.uint64), times, 1000):
        changes.seeds.append((f"small-{item}", seeds))
    return changes


def _generations(
    path: Path, items: int, generations: int, progress: Callable[[str], None]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Disk with each generation alive and after it was retired, MiB."""
    store = SeedStore.open(path, topic="clicks", partition=0, capacity=3_000_000)
    rng, disk, empty = np.random.default_rng(1), [], []
    for generation in range(generations):
        progress(f"{items:,} items live and die, {generation + 1} of {generations}")
        names = [f"item-{generation}-{number}" for number in range(items)]
        for some in np.array_split(np.arange(items), _EPOCHS):
            _live(store, rng, [names[number] for number in some])
        disk.append(_settled_mib(store, path))
        for some in np.array_split(np.arange(items), _EPOCHS):
            gone = [names[number] for number in some]
            store.write(Changes(evicted=gone), position=store.position + 1, model_version="bench")
            store.write(Changes(acked=gone), position=store.position + 1, model_version="bench")
        empty.append(_settled_mib(store, path))
    store.close()
    return tuple(disk), tuple(empty)


def _live(store: SeedStore, rng: np.random.Generator, names: list[str]) -> None:
    for _ in range(3):
        numbers = np.repeat(np.arange(len(names)), _SEEDS_EACH // 3)
        users = rng.integers(0, 10**9, len(numbers)).astype(np.uint64)
        changes = Changes()
        for number, seeds in by_item(numbers, users, np.full(len(numbers), _START), 3_000_000):
            changes.seeds.append((names[number], seeds))
            changes.items[names[number]] = ItemRecord(_START, len(seeds))
        store.write(changes, position=store.position + len(numbers), model_version="bench")
    changes = Changes()
    for name in names:
        store.merged_seeds(name)
        changes.centroids[name] = rng.bytes(_CENTROIDS_BYTES)
    store.write(changes, position=store.position, model_version="bench")


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def _settled_mib(store: SeedStore, path: Path) -> int:
    """Disk once RocksDB has no more to do, which it does on its own in the background."""
    until = time.monotonic() + _SETTLE_S
    while not store.at_rest() and time.monotonic() < until:
        time.sleep(_EPOCH_S)
    return round(_bytes(path) / 2**20)
