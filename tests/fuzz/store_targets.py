"""The store of seed sets: what is damaged is refused in words, and a write is whole or not at all."""

from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import mkdtemp
from typing import Any

import numpy as np
from rocksdict import Options, Rdict

from ralm.seed_set import SeedSet
from state.store.seed_store import Changes, ItemRecord, SeedStore, StoreError

from .bundle_targets import clean
from .mutation import mutated, text
from .target import Check, Target, said

_CAPACITY = 1000
_ITEMS = ("item-1", "item-2", "é" * 20)


def damage(rng: Random) -> list[dict[str, Any]]:
    """What is done to entries of a store: which (counted round), and how."""
    return [
        {"entry": rng.randrange(64), "seed": rng.randrange(2**32), "key": rng.random() < 0.2}
        for _ in range(rng.randint(1, 3))
    ]


def epochs(rng: Random) -> list[dict[str, Any]]:
    """Epochs of changes; in some an item that cannot be written."""
    found = []
    for _ in range(rng.randint(1, 4)):
        items = {rng.choice(_ITEMS): [(rng.randrange(40), rng.randrange(-5, 10**6)) for _ in range(rng.randrange(9))]}
        poison = rng.choice(("x" * 70_000, "\ud800")) if rng.random() < 0.3 else None
        found.append({"seeds": items, "poison": poison, "centroids": text(rng).encode(), "retired": rng.random() < 0.2})
    return found


def _changes(seeds: dict[str, list[tuple[int, int]]]) -> Changes:
    changes = Changes()
    for item, clicks in seeds.items():
        newest: dict[int, int] = {}
        for user, ts in clicks:
            newest[user] = max(ts, newest.get(user, ts))
        users = np.array(sorted(newest), np.uint64)
        times = np.array([newest[user] for user in sorted(newest)], np.int64)
        changes.seeds.append((item, SeedSet(users, times)))
        changes.items[item] = ItemRecord(int(times.max(initial=0)), len(users))
    return changes


def _read(store: SeedStore, *, merge: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item, record in list(store.items()):
        seeds = store.merged_seeds(item).seeds if merge else store.seeds(item)
        assert len(seeds.users) == len(seeds.times)
        found[item] = (
            record,
            dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True)),
            store.centroids(item),
        )
    return found


def _good_store(path: Path) -> list[tuple[bytes, bytes]]:
    """Make a store; gives its entries as they lie in RocksDB."""
    store = SeedStore.open(path, topic="clicks", partition=0, capacity=_CAPACITY)
    for position in range(1, 4):
        changes = _changes({item: [(user * 7, position * 10 + user) for user in range(5)] for item in _ITEMS})
        changes.centroids = dict.fromkeys(_ITEMS, b"centroids")
        store.write(changes, position=position, model_version="m")
        store.merged_seeds(_ITEMS[0])
    store.close()
    with closing(Rdict(str(path), Options(raw_mode=True))) as raw:
        return list(raw.items())


def _spoil(path: Path, entries: list[tuple[bytes, bytes]], found: list[dict[str, Any]]) -> None:
    with closing(Rdict(str(path), Options(raw_mode=True))) as raw:
        for key in list(raw.keys()):
            del raw[key]
        for key, value in entries:
            raw[key] = value
        for one in found:
            rng = Random(one["seed"])
            key, value = entries[one["entry"] % len(entries)]
            if one["key"]:
                raw[mutated(rng, key)] = value
            else:
                raw[key] = mutated(rng, value)


def _attempt(path: Path) -> str:
    try:
        store = SeedStore.open(path, topic="clicks", partition=0, capacity=_CAPACITY)
    except StoreError as error:
        said(error)
        return "refused at the opening"
    try:
        _read(store, merge=False)
        _read(store, merge=True)
    except StoreError as error:
        said(error)
        return "refused at the reading"
    finally:
        store.close()
    return "accepted"


def _damage_check() -> Check:
    path = Path(mkdtemp(prefix="ralm-fuzz-")) / "store"
    entries = _good_store(path)

    def check(found: list[dict[str, Any]]) -> str:
        _spoil(path, entries, found)
        return _attempt(path)

    return check


def _epoch_check() -> Check:
    home = Path(mkdtemp(prefix="ralm-fuzz-"))
    number = [0]

    def check(found: list[dict[str, Any]]) -> str:
        number[0] += 1
        path = home / str(number[0])
        store = SeedStore.open(path, topic="clicks", partition=0, capacity=_CAPACITY)
        refused = False
        try:
            for position, epoch in enumerate(found, start=1):
                before = (store.position, _read(store, merge=False))
                changes = _changes(epoch["seeds"])
                changes.centroids = dict.fromkeys(epoch["seeds"], epoch["centroids"])
                if epoch["retired"]:
                    changes.evicted = [_ITEMS[2]]
                if epoch["poison"] is not None:
                    changes.seeds.append((epoch["poison"], SeedSet.empty()))
                try:
                    store.write(changes, position=position, model_version="m")
                except (StoreError, OverflowError, UnicodeEncodeError):
                    refused = True
                    assert (store.position, _read(store, merge=False)) == before, "a part of a write is there"
                else:
                    assert epoch["poison"] is None
                    assert store.position == position
                    for item in epoch["seeds"]:
                        assert store.centroids(item) == epoch["centroids"]
        finally:
            store.close()
            clean(path)
        return "refused" if refused else "accepted"

    return check


TARGETS = [
    Target("store-damage", 0.001, damage, _damage_check),
    Target("store-writes", 0.001, epochs, _epoch_check),
]
