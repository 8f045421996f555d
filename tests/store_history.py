"""Stores with a history: what they held at each position."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from flows.messages.codec import encode_centroids
from flows.messages.types import Centroids
from ralm.seed_set import SeedSet, by_item
from state.store.seed_store import Changes, ItemRecord, SeedStore

N = 50
State: TypeAlias = dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


def state_of(store: SeedStore) -> State:
    """All seed sets."""
    sets = {item: store.seeds(item) for item, _ in store.items()}
    return {item: (tuple(seeds.users.tolist()), tuple(seeds.times.tolist())) for item, seeds in sets.items()}


def centroids(item: str, rng: np.random.Generator) -> bytes:
    """Encoded centroids of an item."""
    values, counts = rng.normal(size=(3, 8)).astype(np.float32), np.array([4, 2, 1])
    message = Centroids.of(
        item_id=item, model_version="m", window_end=5, seeds=7, counts=counts, centroids=values, global_=values[0]
    )
    return encode_centroids(message)


def contents(path: Path) -> dict[str, bytes]:
    """A store's files, but for what any opening writes."""
    return {file.name: file.read_bytes() for file in sorted(path.iterdir()) if file.name != "rocksdict-config.json"}


def read_all(path: Path) -> tuple[int, State]:
    """Open a store and write to it: its position, and all that it held."""
    store = SeedStore.open(path, topic="clicks", partition=3, capacity=N)
    try:
        found = state_of(store)
        store.write(Changes(), position=store.position, model_version="m")  # it can be gone on with
        return store.position, found
    finally:
        store.close()


def open_store(path: Path, partition: int = 3) -> SeedStore:
    """Open a store to write."""
    return SeedStore.open(path, topic="clicks", partition=partition, capacity=N)


def epoch(store: SeedStore, items: np.ndarray, users: np.ndarray, times: np.ndarray) -> None:
    """Write clicks as one epoch."""
    changes = Changes()
    for item, seeds in by_item(items, users, times, N):
        changes.seeds.append((f"item-{item}", seeds))
        changes.items[f"item-{item}"] = ItemRecord(int(seeds.times.max()), 0)
    store.write(changes, position=store.position + len(items), model_version="m")


def same(found: SeedSet, expected: SeedSet) -> bool:
    """Whether two seed sets are the same."""
    return found.users.tolist() == expected.users.tolist() and found.times.tolist() == expected.times.tolist()


class Writer:
    """Writes random epochs to a store and remembers what it held after each."""

    def __init__(self, path: Path, rng_seed: int, partition: int = 3) -> None:
        self.path, self.partition = path, partition
        self.rng = np.random.default_rng(rng_seed)
        self.states: dict[int, State] = {0: {}}
        self.open()

    def open(self) -> None:
        self.store = SeedStore.open(self.path, topic="clicks", partition=self.partition, capacity=N)

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def epochs(self, count: int) -> None:
        for number in range(count):
            items, users = self.rng.integers(0, 30, 200), self.rng.integers(0, 1000, 200).astype(np.uint64)
            changes = Changes()
            for item, seeds in by_item(items, users, self.rng.integers(0, 10**6, 200), N):
                changes.seeds.append((f"item-{item}", seeds))
                changes.items[f"item-{item}"] = ItemRecord(int(seeds.times.max()), len(seeds))
                changes.centroids[f"item-{item}"] = centroids(f"item-{item}", self.rng)
            if number % 10 == 9:
                gone = f"item-{self.rng.integers(30)}"
                changes.evicted = [gone]
                changes.seeds = [entry for entry in changes.seeds if entry[0] != gone]
                changes.items.pop(gone, None)
                changes.centroids.pop(gone, None)
            self.store.write(changes, position=self.store.position + 200, model_version="m")
            if number % 3 == 0:
                self.store.merged_seeds(f"item-{self.rng.integers(30)}")
            self.states[self.store.position] = state_of(self.store)


def uninitialised(path: Path, partition: int) -> Path:
    """A store as a process leaves it that is killed while it makes it: a MANIFEST that nothing names."""
    SeedStore.open(path, topic="clicks", partition=partition, capacity=N).close()
    for file in path.iterdir():
        if not file.name.startswith("MANIFEST"):
            file.unlink()
    return path


def crash_image(source: Path, target: Path) -> Path:
    """Copy an open store's files as a crash would leave them, at a moment when RocksDB changes none."""
    while True:
        shutil.rmtree(target, ignore_errors=True)
        before = sorted(file.name for file in source.iterdir())
        try:
            shutil.copytree(source, target)
        except shutil.Error:  # a file went
            continue
        if sorted(file.name for file in source.iterdir()) == before:
            return target


@dataclass(frozen=True)
class Crashed:
    """A store as a crash left it, and what it held at each position."""

    path: Path
    states: dict[int, State]

    def copy(self, path: Path) -> Path:
        shutil.rmtree(path, ignore_errors=True)
        return shutil.copytree(self.path, path)
