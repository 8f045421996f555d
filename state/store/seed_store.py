"""The seed sets of one Kafka partition, in RocksDB; ``state/store/layout.py`` says how they lie there.

``write`` puts the deltas of an epoch and the position that they reach into one synced batch, so that the store is
always the seed sets of exactly the clicks before its position. The clicks of open windows lie apart, by window, and are
folded in when an item is merged after the window's close. What is folded is merged into the base only once it amounts
to a quarter of it: a base of 3,000,000 seeds is 48 MB to rewrite.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from rocksdict import Rdict, WriteBatch, WriteOptions

from ralm.seed_set import FoldedSet, SeedSet, WindowClicks, fold, merge_all
from state.store import rocks
from state.store.base_sets import BaseSets
from state.store.changes import Changes
from state.store.epoch_chain import ManifestWatch, checked_meta, ring_key, ring_value
from state.store.keys import META_KEY, WORK_KEY, delta_key, item_key, split_key, window_key
from state.store.layout import (
    CandidateEntry,
    ItemRecord,
    StoreError,
    decode_candidate_entry,
    decode_record,
    decode_seeds,
    decode_since,
    decode_window,
    encode_candidate_entry,
    encode_record,
    encode_seeds,
    encode_since,
    encode_window,
    of_store,
)
from state.store.meta import StoreMeta, encode_meta, of_another
from state.store.snapshot_reader import ReadOnlySnapshot

__all__ = [
    "CandidateEntry",
    "Changes",
    "ItemRecord",
    "MergedSeeds",
    "NothingWrittenError",
    "SeedStore",
    "StoreError",
    "StoreMeta",
]

_FLUSH_AFTER = 2000
"""Evicted items after which RocksDB flushes their deletions to tables: only then can their bytes be freed."""
_FOLD_SHARE = 4
"""Deltas are folded into the base when they hold a quarter of its seeds."""


class NothingWrittenError(StoreError):
    """A store that a process has made and in which nothing is written yet."""


class MergedSeeds(NamedTuple):
    """An item's seed set, and how many seeds left the store: newer ones took their place, or a gap ended the set."""

    seeds: SeedSet
    evicted: int


EVER = 1 << 63
"""After the close of every window."""


class SeedStore:
    """Seed sets, item records and last centroids of one partition.

    Only one thread may call ``write``; ``merged_seeds`` and the other readers may run beside it, as long as no two
    threads merge the same item.

    Attributes:
        meta: what the store knows of itself.
        work: what is still to be done, as it was last written; None where nothing says so.
        wal_truncated: why the end of its log was dropped when it was opened, None if it was not. The store is then as
            it was before, and the flow reads on from there.
    """

    def __init__(
        self,
        path: Path,
        db: Rdict,
        meta: StoreMeta,
        capacity: int,
        *,
        max_gap: int = 0,
        wal_truncated: str | None = None,
    ) -> None:
        self._db = db
        self._store = rocks.OpenStore(path, db)
        self._bases = BaseSets(self._store)
        self.meta = meta
        self.work = self._store.get(WORK_KEY)
        self.wal_truncated = wal_truncated
        self._capacity = capacity
        self._max_gap = max_gap
        self._snapshot: ReadOnlySnapshot | None = None  # a reader's, to be closed with it
        self._manifest = ManifestWatch(path)
        self._evicted = 0
        self._synced = WriteOptions()
        self._synced.sync = True

    @classmethod
    def open(cls, path: Path, *, topic: str, partition: int, capacity: int, max_gap: int = 0) -> Self:
        """Open a store for writing, making it if there is none; a store that is refused stays as it was.

        Args:
            path: its directory.
            topic: the clicks topic that it belongs to.
            partition: the partition that it belongs to.
            capacity: N, the most seeds of an item.
            max_gap: the longest time between two clicks of a set, ms; 0: any.

        Raises:
            StoreError: when it is in use, damaged, of another format or of another partition.
        """
        meta, wal_truncated = StoreMeta(topic, partition), None
        if rocks.holds_data(path):
            with ReadOnlySnapshot(path) as snapshot:
                meta, wal_truncated = checked_meta(path, snapshot.db) or meta, snapshot.wal_truncated
                _read_records(cls(path, snapshot.db, meta, capacity))
        if (meta.topic, meta.partition) != (topic, partition):
            raise StoreError(of_another(path, meta, topic, partition))
        path.mkdir(parents=True, exist_ok=True)
        if not rocks.holds_data(path):
            rocks.clear_uninitialised(path)
        db = rocks.open_to_write(path)
        return cls(path, db, meta, capacity, max_gap=max_gap, wal_truncated=wal_truncated)

    @classmethod
    def inspect(cls, path: Path, capacity: int = 2**62, max_gap: int = 0) -> Self:
        """Open a store to read, also beside the process that writes it; sees what that process had written by now.

        Args:
            path: its directory.
            capacity: N, the most seeds of an item.
            max_gap: the longest time between two clicks of a set, ms; 0: any.

        Raises:
            NothingWrittenError: when a process has made the store and written nothing yet.
            StoreError: when there is no store, or it is damaged or of another format.
        """
        if not rocks.holds_data(path):
            msg = f"there is no store in {path}"
            raise StoreError(msg)
        snapshot = ReadOnlySnapshot(path)
        try:
            meta = checked_meta(path, snapshot.db)
            if meta is None:
                msg = f"the store in {path} has nothing written yet"
                raise NothingWrittenError(msg)
            truncated = snapshot.wal_truncated
            store = cls(path, snapshot.db, meta, capacity, max_gap=max_gap, wal_truncated=truncated)
        except BaseException:
            snapshot.close()
            raise
        store._snapshot = snapshot
        return store

    @property
    def path(self) -> Path:
        """Its directory."""
        return self._store.path

    @property
    def position(self) -> int:
        """The offset after the last click that is in the store."""
        return self.meta.position

    def write(self, changes: Changes, *, position: int, work: bytes | None = None, **meta: Any) -> None:
        """Write an epoch's changes and the position they reach, as one synced batch.

        Args:
            changes: what changes. An item that is evicted and has new seeds keeps only these.
            position: the offset after the last click that is in the store then.
            work: what is still to be done then; None leaves it as it is.
            meta: other attributes of ``StoreMeta`` that change.

        Raises:
            StoreError: when RocksDB refuses; nothing of the batch is then in the store.
        """
        epoch = self.meta.epoch + 1
        batch = WriteBatch(raw_mode=True)
        self._delete(batch, changes)
        _put(batch, changes, epoch)
        if work is not None:
            batch.put(WORK_KEY, work)
        changed = replace(self.meta, position=position, epoch=epoch, manifest=self._manifest.fingerprint(), **meta)
        batch.put(ring_key(epoch), ring_value(epoch))
        batch.put(META_KEY, encode_meta(changed))
        self._store.write(batch, self._synced)
        self.meta, self.work = changed, self.work if work is None else work
        self._evicted += len(changes.evicted) + len(changes.moved)
        if self._evicted >= _FLUSH_AFTER:
            self._evicted = 0
            self._store.flush()

    def items(self) -> Iterator[tuple[str, ItemRecord]]:
        """Every item's record.

        Raises:
            StoreError: when one is damaged.
        """
        with of_store(self.path):
            for key, value in self._store.scan(b"I"):
                item = split_key(key).item
                yield item, decode_record(value, item)

    def candidates(self) -> Iterator[tuple[str, CandidateEntry]]:
        """The entry of each item that the candidates topic has named.

        Raises:
            StoreError: when one is damaged.
        """
        with of_store(self.path):
            for key, value in self._store.scan(b"L"):
                item = split_key(key).item
                yield item, decode_candidate_entry(value, item)

    def unacked_tombstones(self) -> list[str]:
        """Evicted and withdrawn items whose tombstones may not have been delivered.

        Raises:
            StoreError: when they cannot be read.
        """
        with of_store(self.path):
            return [split_key(key).item for key, _ in self._store.scan(b"T")]

    def seeds(self, item: str, until: int = EVER) -> SeedSet:
        """The seed set of an item, empty when it has none.

        Args:
            item: the item.
            until: the set as of the close of the window that ends here, ms; of all clicks by default.

        Raises:
            StoreError: when it is damaged.
        """
        return self.folded(item, until).seeds

    def folded(self, item: str, until: int = EVER) -> FoldedSet:
        """The seed set of an item, and since when its clicks count; arguments and errors as of ``seeds``."""
        windows, deltas, base = self._windows(item, until), self._deltas(item), self._bases.read(item).seeds
        return self._fold([base, *deltas.values()], windows, self.since(item))

    def since(self, item: str) -> int:
        """Since when an item's clicks count, ms; 0 where no gap has ended a set of it.

        It is read after the clicks, so that a merge between the reads brings none back.

        Raises:
            StoreError: when it is damaged.
        """
        with of_store(self.path):
            value = self._store.get(item_key(b"G", item))
            return 0 if value is None else decode_since(value, item)

    def open_windows(self, item: str) -> list[WindowClicks]:
        """The item's clicks that are kept apart by window, each window once.

        Raises:
            StoreError: when they are damaged.
        """
        groups: dict[tuple[int, int], list[WindowClicks]] = {}
        for clicks in self._windows(item, EVER).values():
            groups.setdefault((clicks.closes, clicks.window), []).append(clicks)
        return [
            WindowClicks(
                *ends, min(part.first for part in group), merge_all([part.seeds for part in group], self._capacity)
            )
            for ends, group in groups.items()
        ]

    def cut_anew(self, item: str, closed: int, ends: Callable[[int], tuple[int, int]]) -> int:
        """Have an item's clicks in windows that are longer than they should be wait for their newest one's window.

        It needs no sync, as ``merged_seeds`` does not: cut off, or done again, it comes to the same.

        Args:
            item: the item.
            closed: what is folded in with windows until here stays as it is, ms.
            ends: of a time, the end of its window and of the one with whose close it is folded in, ms each.

        Returns:
            With which window's end the last of its clicks are folded in, ms.

        Raises:
            StoreError: when they are damaged, or RocksDB refuses the write.
        """
        groups: dict[tuple[int, int], list[tuple[bytes, WindowClicks]]] = {}
        for key, clicks in self._windows(item, EVER).items():
            groups.setdefault((clicks.closes, clicks.window), []).append((key, clicks))
        batch, moved, last = WriteBatch(raw_mode=True), dict[bytes, WindowClicks](), 0
        for (closes, window), group in groups.items():
            own, closing = ends(max(int(clicks.seeds.times.max()) for _, clicks in group))
            longer = closes > closed and window > own
            last = max(last, closing if longer else closes)
            for key, clicks in group if longer else ():
                batch.delete(key)
                place = window_key(item, closing, own, split_key(key).epoch)
                parts = [clicks, *([moved[place]] if place in moved else [])]
                seeds = merge_all([part.seeds for part in parts], self._capacity)
                moved[place] = WindowClicks(closing, own, min(part.first for part in parts), seeds)
        for key, clicks in moved.items():
            batch.put(key, encode_window(clicks))
        if moved:
            self._store.write(batch)
        return last

    def windowed(self) -> list[str]:
        """The items with clicks that are kept apart by window.

        Raises:
            StoreError: when they cannot be read.
        """
        with of_store(self.path):
            return list(dict.fromkeys(split_key(key).item for key, _ in self._store.scan(b"O")))

    def merged_seeds(self, item: str, *, closed: int = 0, until: int = 0) -> MergedSeeds:
        """The seed set of an item, tidied on the way: closed windows are folded in, as one delta or part of the base.

        Says the same before and after, so it needs no sync and may be cut off anywhere. It is in the log all the same:
        an epoch that evicts the item deletes the deltas that are left by then, and no others may come back.

        Args:
            item: the item.
            closed: windows until here may be folded in, ms: no click for them can come any more.
            until: the set as of the close of the window that ends here is returned, ms.

        Raises:
            StoreError: when it is damaged, or RocksDB refuses the write.
        """
        closing, evicted = self._windows(item, closed), 0
        deltas, old = self._deltas(item), self._bases.read(item)
        base, before = old.seeds, self.since(item)
        seeds, ended, since = self._fold([base, *deltas.values()], closing, before)
        if closing or deltas:
            came = [clicks.seeds.since(since) for clicks in closing.values()]
            new = merge_all([*deltas.values(), *came], self._capacity)
            settle = ended or len(new) * _FOLD_SHARE >= len(base)
            if settle and (ended or len(base) + len(new) > self._capacity):
                # Counted once, where it goes.
                evicted = len(base.merge(new, len(base) + len(new))) - len(seeds)
            if settle or closing or len(deltas) > 1:
                batch = WriteBatch(raw_mode=True)
                for key in (*deltas, *closing):
                    batch.delete(key)
                if since != before:
                    batch.put(item_key(b"G", item), encode_since(since))
                if settle:
                    self._bases.write(item, seeds, old, batch)
                else:
                    last = max([*deltas, *(delta_key(item, split_key(key).epoch) for key in closing)])
                    batch.put(last, encode_seeds(new))
                self._store.write(batch)
        if until > closed:
            opened = {key: clicks for key, clicks in self._windows(item, until).items() if clicks.closes > closed}
            seeds = self._fold([seeds], opened, since).seeds
        return MergedSeeds(seeds, evicted)

    def centroids(self, item: str) -> bytes | None:
        """The item's last centroids as they were emitted.

        Raises:
            StoreError: when they cannot be read.
        """
        return self._store.get(item_key(b"C", item))

    def compact(self) -> None:
        """Have RocksDB rewrite its files without what was overwritten or deleted; writes go on meanwhile.

        Raises:
            StoreError: when RocksDB cannot.
        """
        rocks.compact(self._db, self._store.path)

    def at_rest(self) -> bool:
        """Whether RocksDB has no work in the background, so that what could leave the disk has left it."""
        return self._store.at_rest()

    def close(self) -> None:
        """Release the directory; what was written stays."""
        if self._snapshot is not None:
            self._snapshot.close()
            return
        with suppress(Exception):  # it may fail to make its log into a table; what was synced is in the log
            self._db.close()

    def _delete(self, batch: WriteBatch, changes: Changes) -> None:
        """What goes, before anything is put: what is new of an item stays."""
        gone = [*changes.evicted, *changes.moved]
        for item in (*changes.acked, *changes.moved):
            batch.delete(item_key(b"T", item))
        for item in gone:
            self._delete_seeds(batch, item)
        for item in (*gone, *changes.withdrawn):
            batch.delete(item_key(b"C", item))
        for item in (*changes.evicted, *changes.withdrawn):
            batch.put(item_key(b"T", item), b"")
        for item, entry in changes.candidates.items():
            if entry is None:
                batch.delete(item_key(b"L", item))

    def _delete_seeds(self, batch: WriteBatch, item: str) -> None:
        for kind in (b"O", b"D"):
            for key, _ in self._store.scan(item_key(kind, item)):
                batch.delete(key)
        self._bases.delete(item, batch)
        for kind in (b"G", b"I"):
            batch.delete(item_key(kind, item))

    def _fold(self, sets: list[SeedSet], windows: dict[bytes, WindowClicks], since: int) -> FoldedSet:
        return fold(sets, windows.values(), self._capacity, self._max_gap, since)

    def _deltas(self, item: str) -> dict[bytes, SeedSet]:
        """The deltas by key; read before the base, so that a merge between the two reads loses nothing."""
        with of_store(self.path):
            return {key: decode_seeds(value, item) for key, value in self._store.scan(item_key(b"D", item))}

    def _windows(self, item: str, until: int) -> dict[bytes, WindowClicks]:
        """The clicks by key that are folded in with the windows until a time (ms); read before the deltas."""
        found = {}
        with of_store(self.path):
            for key, value in self._store.scan(item_key(b"O", item)):
                taken = split_key(key)
                if taken.closes > until:
                    break
                found[key] = decode_window(value, item, taken.closes, taken.window)
        return found


def _put(batch: WriteBatch, changes: Changes, epoch: int) -> None:
    """What comes, or takes the place of what was there."""
    _put_seeds(batch, changes, epoch)
    for item, record in changes.items.items():
        batch.put(item_key(b"I", item), encode_record(record))
    for item, centroids in changes.centroids.items():
        batch.put(item_key(b"C", item), centroids)
    for item, entry in changes.candidates.items():
        if entry is not None:
            batch.put(item_key(b"L", item), encode_candidate_entry(entry))


def _put_seeds(batch: WriteBatch, changes: Changes, epoch: int) -> None:
    for item, seeds in changes.seeds:
        batch.put(delta_key(item, epoch), encode_seeds(seeds))
    for item, clicks in changes.windows:
        batch.put(window_key(item, clicks.closes, clicks.window, epoch), encode_window(clicks))
    for item, time in changes.since.items():
        if time:
            batch.put(item_key(b"G", item), encode_since(time))


def _read_records(store: SeedStore) -> None:
    """Read what an owner reads first: RocksDB changes files as soon as it opens a store to write."""
    for records in (store.items(), store.candidates()):
        deque(records, maxlen=0)
