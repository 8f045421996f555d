"""Copies a store as it is now, also beside the process that writes it.

Linking or copying the files of a store that is open is not safe, and only its writer can make RocksDB's checkpoint. So
it is read from end to end through a snapshot, which is one moment of it and checks every block, and written again.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from rocksdict import WriteBatch, WriteOptions

from state.store import rocks
from state.store.epoch_chain import ManifestWatch, checked_meta, ring_key, ring_value
from state.store.keys import META_KEY
from state.store.meta import StoreMeta, encode_meta
from state.store.snapshot_reader import ReadOnlySnapshot

_BATCH_BYTES = 4 << 20


def copy_store(source: Path, target: Path) -> StoreMeta | None:
    """Write a store again in another directory, whole and compact.

    Args:
        source: the store's directory; nothing is written there.
        target: the copy's directory, which must not exist.

    Returns:
        What the copy knows of itself; None for a store that is not made yet or in which nothing is written: there is no
        copy of that.

    Raises:
        StoreError: when the store is damaged; the copy is then of no use.
    """
    if not rocks.holds_data(source):
        return None
    with ReadOnlySnapshot(source) as snapshot:
        meta = checked_meta(source, snapshot.db)
        if meta is None:
            return None
        target.mkdir(parents=True)
        db = rocks.open_to_write(target)
        unlogged, synced = WriteOptions(), WriteOptions()
        unlogged.disable_wal, synced.sync = True, True  # type: ignore[method-assign, assignment]
        try:
            for batch in _batches(rocks.scan(snapshot.db, source)):
                rocks.writing(target, partial(db.write, batch, unlogged))
            rocks.writing(target, partial(db.flush, True))
            # One epoch more, so that no later delta gets the key of one that was copied.
            meta = replace(meta, epoch=meta.epoch + 1, manifest=ManifestWatch(target).fingerprint())
            last = WriteBatch(raw_mode=True)
            last.put(ring_key(meta.epoch), ring_value(meta.epoch))
            last.put(META_KEY, encode_meta(meta))
            rocks.writing(target, partial(db.write, last, synced))
        finally:
            rocks.writing(target, db.close)
    return meta


def _batches(entries: Iterator[tuple[bytes, bytes]]) -> Iterator[WriteBatch]:
    """All entries but ``M``, some MB at a time."""
    batch = WriteBatch(raw_mode=True)
    for key, value in entries:
        if key == META_KEY:
            continue
        batch.put(key, value)
        if batch.size_in_bytes() >= _BATCH_BYTES:
            yield batch
            batch = WriteBatch(raw_mode=True)
    if not batch.is_empty():
        yield batch
