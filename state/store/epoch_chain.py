"""Finds holes that RocksDB's checksums leave: batches that are gone from the middle of a store.

RocksDB checks every block and every record of its log, and drops what follows a damaged record: that is an earlier
state, and a flow catches up from there. It does not notice when a whole log file is missing that a later one builds
upon, or when the end of its MANIFEST is cut off or unreadable and with it the news that a log was made into a table.
Then later batches are there and earlier ones are not, and the position of the store would lie. Two things that each
batch carries make that known:

* its number, in the epoch ring of ``RING_SIZE`` places: after a hole some place is behind. This finds a hole that is
  followed by fewer than ``RING_SIZE`` batches, as a missing log is: it lives only for the seconds that making it into
  a table takes.
* the MANIFEST's length and CRC-32 before the batch. This finds a MANIFEST that is older than what was built upon it.
"""

import os
import re
import zlib
from collections.abc import Callable
from pathlib import Path

from rocksdict import Rdict

from state.store import rocks
from state.store.keys import META_KEY
from state.store.layout import WAY_OUT, StoreError
from state.store.meta import NO_FINGERPRINT, ManifestFingerprint, StoreMeta, decode_meta

RING_SIZE = 1024
_NAME = re.compile(r"MANIFEST-(\d+)")


def ring_key(epoch: int) -> bytes:
    """The key of an epoch's place in the ring."""
    return b"E" + (epoch % RING_SIZE).to_bytes(2, "big")


def ring_value(epoch: int) -> bytes:
    """The value of an epoch's place in the ring."""
    return epoch.to_bytes(8, "big")


class ManifestWatch:
    """Follows the MANIFEST of an open store; it is only ever appended to.

    Args:
        path: the store's directory.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path / "MANIFEST-000000"
        self._seen = NO_FINGERPRINT

    def fingerprint(self) -> ManifestFingerprint:
        """What it is now; reads only what is new.

        Raises:
            StoreError: when it cannot be read.
        """
        try:
            if not self._seen.number or not self._file.exists():
                self._file, number = _manifest(self._path)
                self._seen = ManifestFingerprint(number, 0, 0)
            size = self._file.stat().st_size
            if size != self._seen.size:
                self._seen = _read_on(self._file, self._seen, size, sync=True)
        except (OSError, ValueError) as error:
            on = rocks.what_to_do(self._path, str(error))
            msg = f"the MANIFEST of the store in {self._path} cannot be read while it is open: {error}. {on}"
            raise StoreError(msg) from error
        return self._seen


def checked_meta(path: Path, db: Rdict) -> StoreMeta | None:
    """What an open store knows of itself, None when it has nothing written; no batch is missing before its last one.

    Args:
        path: the store's directory.
        db: the store.

    Raises:
        StoreError: when a batch is missing, or it is damaged or of another format.
    """

    def get(key: bytes) -> bytes | None:
        value: bytes | None = rocks.reading(path, lambda: db.get(key))
        return value

    value = get(META_KEY)
    if value is not None:
        meta = decode_meta(path, value)
        _check_chain(path, meta, get)
        return meta
    if next(rocks.scan(db, path), None) is not None:
        msg = f"the store in {path} has seeds, but nothing that says of which clicks. {WAY_OUT}"
        raise StoreError(msg)
    return None


def _check_chain(path: Path, meta: StoreMeta, get: Callable[[bytes], bytes | None]) -> None:
    for epoch in range(max(1, meta.epoch - RING_SIZE + 1), meta.epoch + 1):
        if get(ring_key(epoch)) != ring_value(epoch):
            msg = (
                f"the store in {path} has a hole: batch {epoch} of {meta.epoch} is missing, since a file of its log "
                f"is gone or cut off. {WAY_OUT}"
            )
            raise StoreError(msg)
    _check_manifest(path, meta.manifest)


def _check_manifest(path: Path, fingerprint: ManifestFingerprint) -> None:
    try:
        file, number = _manifest(path)
        if number > fingerprint.number:
            return  # rewritten since, from a state that was checked
        found = _read_on(file, ManifestFingerprint(number, 0, 0), fingerprint.size)
    except (OSError, ValueError) as error:
        msg = f"the store in {path} cannot be read: {error}. {rocks.what_to_do(path, str(error))}"
        raise StoreError(msg) from error
    if found != fingerprint:
        msg = f"the store in {path} has an older or damaged {file.name}: its last batches were built on a newer one."
        raise StoreError(f"{msg} {WAY_OUT}")


def _manifest(path: Path) -> tuple[Path, int]:
    name = (path / "CURRENT").read_text(encoding="ascii").strip()
    match = _NAME.fullmatch(name)
    if match is None:
        msg = f"CURRENT names {name[:40]!r}"
        raise ValueError(msg)
    return path / name, int(match[1])


def _read_on(file: Path, seen: ManifestFingerprint, size: int, *, sync: bool = False) -> ManifestFingerprint:
    with file.open("rb") as stream:
        if sync:  # what a synced batch refers to must outlive a power cut as the batch does
            os.fsync(stream.fileno())
        stream.seek(seen.size)
        new = stream.read(max(0, size - seen.size))
    return ManifestFingerprint(seen.number, seen.size + len(new), zlib.crc32(new, seen.crc))
