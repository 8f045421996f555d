"""The seed sets of one Kafka partition, in RocksDB.

Layout, all keys in one column family, ``ITEM`` being a 2-byte length and the item's UTF-8 bytes:

======================  ============================================================================
``M``                   JSON: format, topic, partition, position, model version
``I ITEM``              last click (int64, ms) and seeds at the last merge (int64)
``B ITEM``              the base seed set: users uint64[n] ascending, then times int64[n]; 16 bytes a seed
``D ITEM position``     one delta seed set (same form) for each write that touched the item
``C ITEM``              the item's last centroids as they were emitted
``L ITEM``              what the topic of candidates says of the item: three int64, see ``Listing``
``T ITEM``              the item was given up; its tombstone may not have been delivered yet
======================  ============================================================================

``write`` puts the deltas of an epoch and the position that they reach into one synced batch, so that the store is
always the seed sets of exactly the clicks before its position. Deltas are merged into the base when a set is read,
and only once they amount to a quarter of it: a base of 3,000,000 seeds is 48 MB to rewrite.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import numpy as np
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    CompactOptions,
    DBCompressionType,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from ralm.seed_set import SeedSet, merge_all

FORMAT = 1
_META = b"M"
_ITEM = struct.Struct("<qq")
_LISTING = struct.Struct("<qqq")
_CACHE_BYTES = 32 << 20
_BUFFER_BYTES = 32 << 20
_FOLD_SHARE = 4
"""Deltas are folded into the base when they hold a quarter of its seeds."""


class StoreError(Exception):
    """A store that cannot be used as it is; the message says what to do."""


@dataclass(frozen=True)
class StoreMeta:
    """What a store knows of itself.

    Attributes:
        topic: the topic of clicks.
        partition: its partition.
        position: the offset after the last click that is in the store.
        candidates: the offset after the last message of the same partition of the topic of candidates.
        model_version: the bundle whose centroids were last written; empty before the first.
        older_versions: bundles before it whose centroids may still be in their topic, newest first.
        format: the version of the layout.
    """

    topic: str
    partition: int
    position: int = 0
    candidates: int = 0
    model_version: str = ""
    older_versions: tuple[str, ...] = ()
    format: int = FORMAT


@dataclass(frozen=True)
class ItemRecord:
    """An item's line in the store: event time of its last click (ms) and its seeds at the last merge."""

    last_click: int
    seeds: int


class Listing(NamedTuple):
    """What the topic of candidates says of an item.

    Attributes:
        expires_at: event time until which it is a candidate, ms.
        since: clicks up to this time are not taken: the item was retired meanwhile, ms.
        retired_at: when it was retired, ms; 0 while it is not.
    """

    expires_at: int
    since: int = 0
    retired_at: int = 0


@dataclass
class Changes:
    """What one epoch changes; written whole or not at all.

    Attributes:
        retired: items whose seeds, record and centroids go; marked until their tombstones are ``told``.
        told: items given up earlier, whose tombstones have been delivered.
        seeds: new seeds of each touched item.
        items: the touched items' new records.
        centroids: encoded centroids of the items that were clustered.
        listings: what the topic of candidates says; None forgets it.
    """

    retired: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    seeds: list[tuple[str, SeedSet]] = field(default_factory=list)
    items: dict[str, ItemRecord] = field(default_factory=dict)
    centroids: dict[str, bytes] = field(default_factory=dict)
    listings: dict[str, Listing | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())


class MergedSeeds(NamedTuple):
    """An item's seed set, and how many seeds left the store because newer ones took their place."""

    seeds: SeedSet
    evicted: int


class SeedStore:
    """Seed sets, item records and last centroids of one partition.

    Only one thread may call ``write``; ``merged_seeds`` and the other readers may run beside it, as long as no two
    threads merge the same item.
    """

    def __init__(self, db: Rdict, meta: StoreMeta, capacity: int) -> None:
        self._db = db
        self.meta = meta
        self._capacity = capacity
        self._synced = WriteOptions()
        self._synced.sync = True
        self._scratch: TemporaryDirectory[str] | None = None  # a reader's own files, gone with it

    @classmethod
    def open(cls, path: Path, *, topic: str, partition: int, capacity: int) -> Self:
        """Open a store for writing, making it if there is none.

        Args:
            path: its directory.
            topic: the topic of clicks that it belongs to.
            partition: the partition that it belongs to.
            capacity: N, the most seeds of an item.

        Raises:
            StoreError: when it is in use, damaged, of another format or of another partition.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        db = _open(path, AccessType.read_write())
        value = db.get(_META)
        if value is None:
            meta = StoreMeta(topic, partition)
        else:
            meta = _meta(path, value)
            if (meta.topic, meta.partition) != (topic, partition):
                db.close()
                msg = (
                    f"{path} holds the seeds of topic {meta.topic!r} partition {meta.partition}, not of {topic!r} "
                    f"partition {partition}: point --state-dir elsewhere, or put the right store back"
                )
                raise StoreError(msg)
        return cls(db, meta, capacity)

    @classmethod
    def inspect(cls, path: Path, capacity: int = 2**62) -> Self:
        """Open a store to read, also beside the process that writes it; sees what that process had written by now.

        Raises:
            StoreError: when there is no store, or it is damaged or of another format.
        """
        if not (path / "CURRENT").exists():
            msg = f"there is no store in {path}"
            raise StoreError(msg)
        scratch = TemporaryDirectory(prefix="ralm-inspect-")
        db = _open(path, AccessType.secondary(scratch.name))
        db.try_catch_up_with_primary()
        value = db.get(_META)
        if value is None:
            msg = f"the store in {path} has nothing written yet"
            raise StoreError(msg)
        store = cls(db, _meta(path, value), capacity)
        store._scratch = scratch
        return store

    @property
    def position(self) -> int:
        """The offset after the last click that is in the store."""
        return self.meta.position

    def write(self, changes: Changes, *, position: int, **meta: Any) -> None:
        """Write an epoch's changes and the position they reach, as one synced batch.

        Args:
            changes: what changes. An item that is retired and has new seeds keeps only these.
            position: the offset after the last click that is in the store then.
            meta: other attributes of ``StoreMeta`` that change.

        Raises:
            StoreError: when RocksDB refuses; nothing of the batch is then in the store.
        """
        batch = WriteBatch(raw_mode=True)
        self._delete(batch, changes)
        for item, seeds in changes.seeds:
            batch.put(_key(b"D", item) + position.to_bytes(8, "big"), _encode(seeds))
        for item, record in changes.items.items():
            batch.put(_key(b"I", item), _ITEM.pack(record.last_click, record.seeds))
        for item, centroids in changes.centroids.items():
            batch.put(_key(b"C", item), centroids)
        for item, listing in changes.listings.items():
            if listing is not None:
                batch.put(_key(b"L", item), _LISTING.pack(*listing))
        changed = replace(self.meta, position=position, **meta)
        batch.put(_META, json.dumps(changed.__dict__).encode())
        self._write(batch, synced=True)
        self.meta = changed

    def items(self) -> Iterator[tuple[str, ItemRecord]]:
        """Every item's record."""
        for key, value in self._scan(b"I"):
            yield _item_of(key), ItemRecord(*_ITEM.unpack(value))

    def listings(self) -> Iterator[tuple[str, Listing]]:
        """What the topic of candidates says of each item that it named."""
        for key, value in self._scan(b"L"):
            yield _item_of(key), Listing(*_LISTING.unpack(value))

    def untold(self) -> list[str]:
        """Items that were given up and whose tombstones may not have been delivered."""
        return [_item_of(key) for key, _ in self._scan(b"T")]

    def seeds(self, item: str) -> SeedSet:
        """The seed set of an item, empty when it has none."""
        base, deltas = self._parts(item)
        return merge_all([base, *deltas.values()], self._capacity)

    def merged_seeds(self, item: str) -> MergedSeeds:
        """The seed set of an item, tidied on the way: its deltas become one, or part of the base.

        Says the same before and after, so it needs no sync and may be cut off anywhere.
        """
        base, deltas = self._parts(item)
        if not deltas:
            return MergedSeeds(base.newest(self._capacity), 0)
        delta = merge_all(list(deltas.values()), self._capacity)
        union = base.merge(delta, len(base) + len(delta))
        seeds = union.newest(self._capacity)
        fold = len(delta) * _FOLD_SHARE >= len(base)
        if fold or len(deltas) > 1:
            batch = WriteBatch(raw_mode=True)
            for key in deltas:
                batch.delete(key)
            if fold:
                batch.put(_key(b"B", item), _encode(seeds))
            else:
                batch.put(max(deltas), _encode(delta))
            self._write(batch, synced=False)
        return MergedSeeds(seeds, len(union) - len(seeds) if fold else 0)

    def centroids(self, item: str) -> bytes | None:
        """The item's last centroids as they were emitted."""
        value: bytes | None = self._db.get(_key(b"C", item))
        return value

    def compact(self) -> None:
        """Have RocksDB rewrite its files without what was overwritten or deleted."""
        self._db.compact_range(None, None, CompactOptions())

    def close(self) -> None:
        """Release the directory; what was written stays."""
        self._db.close()

    def _delete(self, batch: WriteBatch, changes: Changes) -> None:
        """What goes, before anything is put: what is new of an item stays."""
        for item in changes.told:
            batch.delete(_key(b"T", item))
        for item in changes.retired:
            for key in self._keys_of(item):
                batch.delete(key)
            batch.put(_key(b"T", item), b"")
        for item, listing in changes.listings.items():
            if listing is None:
                batch.delete(_key(b"L", item))

    def _parts(self, item: str) -> tuple[SeedSet, dict[bytes, SeedSet]]:
        """The base and the deltas by key; deltas first, so that a merge between the two reads loses nothing."""
        deltas = {key: _decode(value, item) for key, value in self._scan(_key(b"D", item))}
        value = self._db.get(_key(b"B", item))
        return (SeedSet.empty() if value is None else _decode(value, item)), deltas

    def _keys_of(self, item: str) -> Iterable[bytes]:
        yield from (key for key, _ in self._scan(_key(b"D", item)))
        yield from (_key(kind, item) for kind in (b"B", b"I", b"C"))

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        options = ReadOptions()
        options.set_iterate_upper_bound(prefix + b"\xff" * 12)
        try:
            yield from self._db.items(from_key=prefix, read_opt=options)
        except Exception as error:  # rocksdict raises the bare class
            msg = f"the store in {self._db.path()} cannot be read: {error}. {_WAY_OUT}"
            raise StoreError(msg) from error

    def _write(self, batch: WriteBatch, *, synced: bool) -> None:
        try:
            self._db.write(batch, self._synced if synced else None)
        except Exception as error:
            msg = (
                f"the store in {self._db.path()} refuses a write: {error}. "
                "Look for a full or failing disk; start again once it is mended: nothing is lost."
            )
            raise StoreError(msg) from error


_WAY_OUT = (
    "Restore the state directory (stores and recovery together) from a backup, or remove it as a whole: "
    "the seed sets are then rebuilt from the topic of clicks as far back as it is kept."
)


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_max_total_wal_size(4 * _BUFFER_BYTES)
    options.set_max_open_files(128)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_CACHE_BYTES))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


def _open(path: Path, access: AccessType) -> Rdict:
    try:
        return Rdict(str(path), _options(), access_type=access)
    except Exception as error:
        if "lock" in str(error).lower():
            msg = f"the store in {path} is in use by another process: stop that one first"
            raise StoreError(msg) from error
        msg = f"the store in {path} cannot be opened: {error}. {_WAY_OUT}"
        raise StoreError(msg) from error


def _meta(path: Path, value: bytes) -> StoreMeta:
    meta = StoreMeta(**json.loads(value))
    meta = replace(meta, older_versions=tuple(meta.older_versions))
    if meta.format != FORMAT:
        msg = (
            f"the store in {path} has format {meta.format}; this version reads {FORMAT}. Run the version that wrote "
            "it, or remove the state directory to rebuild the seed sets from the topic of clicks."
        )
        raise StoreError(msg)
    return meta


def _key(kind: bytes, item: str) -> bytes:
    name = item.encode()
    return kind + len(name).to_bytes(2, "big") + name


def _item_of(key: bytes) -> str:
    return key[3:].decode()


def _encode(seeds: SeedSet) -> bytes:
    return seeds.users.astype("<u8", copy=False).tobytes() + seeds.times.astype("<i8", copy=False).tobytes()


def _decode(value: bytes, item: str) -> SeedSet:
    count, rest = divmod(len(value), 16)
    if rest:
        msg = f"the seeds of item {item!r} are damaged: {len(value)} bytes is no multiple of 16. {_WAY_OUT}"
        raise StoreError(msg)
    return SeedSet(np.frombuffer(value, "<u8", count), np.frombuffer(value, "<i8", count, offset=8 * count))
