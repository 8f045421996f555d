"""A disk that keeps what was synced, and a store on it: a dict takes the place of RocksDB, the store is real."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from state.store.keys import META_KEY
from state.store.meta import NO_FINGERPRINT, ManifestFingerprint, StoreMeta, decode_meta
from state.store.seed_store import SeedStore

_PATH = Path("/simulated")


class Crash(BaseException):
    """The process dies here."""


class Batch:
    """A batch of puts and deletes."""

    def __init__(self, raw_mode: bool = True) -> None:
        self.changes: list[tuple[bytes, bytes | None]] = []

    def put(self, key: bytes, value: bytes) -> None:
        self.changes.append((key, value))

    def delete(self, key: bytes) -> None:
        self.changes.append((key, None))


class _ReadOptions:
    def __init__(self) -> None:
        self.upper = b"\xff" * 600

    def set_iterate_upper_bound(self, key: bytes) -> None:
        self.upper = key

    def set_total_order_seek(self, _: bool) -> None:
        pass


class _Cursor:
    def __init__(self, entries: dict[bytes, bytes], upper: bytes) -> None:
        self._entries, self._upper, self._at = entries, upper, 0
        self._keys: list[bytes] = []

    def seek(self, prefix: bytes) -> None:
        self._keys = sorted(key for key in self._entries if prefix <= key < self._upper)

    def valid(self) -> bool:
        return self._at < len(self._keys)

    def key(self) -> bytes:
        return self._keys[self._at]

    def value(self) -> bytes:
        return self._entries[self.key()]

    def next(self) -> None:
        self._at += 1

    def status(self) -> None:
        pass


class Disk:
    """What a partition's store has on the disk; outlives processes.

    Attributes:
        writes: how many batches were written.
        crash_at: the process dies at this one, None: at none.
        after: whether it dies after it, not before it.
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._synced: dict[bytes, bytes] = {}
        self._unsynced: list[Batch] = []
        self.writes = 0
        self.crash_at: int | None = None
        self.after = False

    def get(self, key: bytes) -> bytes | None:
        return self._entries.get(key)

    def iter(self, options: _ReadOptions) -> _Cursor:
        return _Cursor(dict(self._entries), options.upper)

    def flush(self, _: bool) -> None:
        pass

    def close(self) -> None:
        pass

    def write(self, batch: Batch, options: Any = None) -> None:
        self.writes += 1
        if self.writes == self.crash_at and not self.after:
            raise Crash
        _apply(self._entries, batch)
        self._unsynced.append(batch)
        if options is not None and options.sync:
            self._synced, self._unsynced = dict(self._entries), []
        if self.writes == self.crash_at:
            raise Crash

    def power_cut(self, rng: Random) -> None:
        """What was not synced is gone, but for the beginning of it."""
        kept = self._unsynced[: rng.randint(0, len(self._unsynced))]
        self._entries = dict(self._synced)
        for batch in kept:
            _apply(self._entries, batch)
        self._unsynced = kept

    def lose(self) -> None:
        """The store is gone."""
        self._entries, self._synced, self._unsynced = {}, {}, []

    def copied(self) -> dict[bytes, bytes]:
        """What a backup has of it."""
        return dict(self._entries)

    def restore(self, copy: dict[bytes, bytes]) -> None:
        """A copy takes the store's place."""
        self._entries, self._synced, self._unsynced = dict(copy), dict(copy), []

    def meta(self) -> StoreMeta | None:
        """What the store knows of itself, None where there is none."""
        value = self._entries.get(META_KEY)
        return None if value is None else decode_meta(_PATH, value)

    def open(self, partition: int, capacity: int, max_gap: int) -> SeedStore:
        """Open the store."""
        meta = self.meta() or StoreMeta("clicks", partition)
        store = SeedStore(_PATH, self, meta, capacity, max_gap=max_gap)  # type: ignore[arg-type]
        store._manifest = _NoManifest()  # type: ignore[assignment]
        return store


class _NoManifest:
    def fingerprint(self) -> ManifestFingerprint:
        return NO_FINGERPRINT


def _apply(entries: dict[bytes, bytes], batch: Batch) -> None:
    for key, value in batch.changes:
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value


@contextmanager
def simulated_disks() -> Iterator[None]:
    """Stores write to disks of this kind meanwhile."""
    places = ("state.store.seed_store.WriteBatch", "state.store.base_sets.WriteBatch")
    with patch(places[0], Batch), patch(places[1], Batch), patch("state.store.rocks.ReadOptions", _ReadOptions):
        yield
