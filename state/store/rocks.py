"""RocksDB as the stores use it: options, opening to write, reading, and readable errors."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from rocksdict import (
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    CompactOptions,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from state.store.layout import WAY_OUT, StoreError
from state.store.open_watchdog import open_watched

_T = TypeVar("_T")
_CACHE_BYTES = 32 << 20
_BUFFER_BYTES = 32 << 20
_SYNC_BYTES = 1 << 20
_DELETIONS_WINDOW = 1000
_WORK = ("num-running-flushes", "mem-table-flush-pending", "num-running-compactions", "compaction-pending")
_AGE_S = 86_400
"""What was overwritten or deleted leaves the disk within so long, however little is written after it."""
_FILES = "Let the process open more files (ulimit -n, LimitNOFILE) and start again: nothing is lost."
_ROOM = "Make room on the disk and start again: nothing is lost."
_LENGTH = "Let the process write longer files (ulimit -f, LimitFSIZE) and start again: nothing is lost."
_THREADS = "Let the process have more threads (ulimit -u, pids of a container) and start again: nothing is lost."
_USER = "Run as the user whom its files belong to: nothing is lost."
_DISK = (
    "The disk or its driver says so, not the store: look at them (dmesg), and start again once they are fixed. If the "
    "disk is lost, put the store back from a backup (`ralm state restore BACKUP --partition N`)."
)
_OF_SYSTEM = {
    os.strerror(number): advice
    for numbers, advice in (
        ((errno.EMFILE, errno.ENFILE), _FILES),
        ((errno.ENOSPC, errno.EDQUOT), _ROOM),
        ((errno.EFBIG,), _LENGTH),
        ((errno.EACCES, errno.EPERM), _USER),
        ((errno.EROFS,), "Mount the disk so that it can be written, and start again: nothing is lost."),
        ((errno.ENOMEM, errno.EAGAIN), "Give the process more memory and start again: nothing is lost."),
        ((errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.ENOTCONN), _DISK),
    )
    for number in numbers
} | dict.fromkeys(("start watchdog thread", "start new thread"), _THREADS)
"""What to do where the system refuses something: the store is whole, and to move it away would cost its seeds."""
_GONE = (
    "That directory is not there any more: its disk is not mounted, or somebody has removed it under the running flow. "
    "Mount the disk, or put the store back from a backup (`ralm state restore BACKUP --partition N`), and start again; "
    "without either the start rebuilds it from the clicks topic, as far as that goes back."
)
_NO_TEXT = "RocksDB takes a path of UTF-8 only: name another place. Nothing is lost."
_NEWER = re.compile(r"unsupported|not (supported|implemented)|unknown (tag|footer|comparator)", re.IGNORECASE)
_OF_NEWER = f"If a newer version of this program has run here, run that one: to it the store is whole. Else: {WAY_OUT}"
_OF_WRITING = (
    "Look for a full or failing disk and start again once it is fixed: nothing is lost. If the error names a "
    "corruption, `ralm state verify` says what is damaged."
)
_FILE = re.compile(r"/\S*/(\d{6,}\.(?:sst|log)|MANIFEST-\d+|CURRENT)")


def open_to_write(path: Path) -> Rdict:
    """Open a store for writing, making it if there is none.

    What follows a damaged record of its log is dropped: the store is then as it was before that batch.

    Raises:
        StoreError: when it is in use or damaged.
    """
    options = make_options(create=True, recovery=DBRecoveryMode.point_in_time())
    options.set_max_open_files(128)
    try:
        db = open_watched(path, lambda: Rdict(str(path), options))
        db.set_options({"periodic_compaction_seconds": str(_AGE_S)})
        return db
    except Exception as error:  # rocksdict raises the bare class
        if "lock" in str(error).lower():
            msg = f"the store in {path} is in use by another process: stop that one first"
            raise StoreError(msg) from error
        raise cannot_open(path, error) from error


class OpenStore:
    """An open store with its directory: reads and writes, with RocksDB's errors made readable.

    Args:
        path: the directory.
        db: the open store.
    """

    def __init__(self, path: Path, db: Rdict) -> None:
        self.path = path
        self.db = db

    def get(self, key: bytes) -> bytes | None:
        """A value, None when there is none.

        Raises:
            StoreError: when it cannot be read.
        """
        value: bytes | None = reading(self.path, lambda: self.db.get(key))
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The keys that begin with a prefix, ascending, with their values.

        Raises:
            StoreError: when they cannot be read.
        """
        return scan(self.db, self.path, prefix)

    def write(self, batch: WriteBatch, options: WriteOptions | None = None) -> None:
        """Write a batch, whole or not at all.

        Raises:
            StoreError: when RocksDB refuses.
        """
        writing(self.path, lambda: self.db.write(batch, options))

    def flush(self) -> None:
        """Have RocksDB make a table of what lies in memory, without waiting for it.

        Raises:
            StoreError: when RocksDB refuses.
        """
        writing(self.path, lambda: self.db.flush(False))

    def at_rest(self) -> bool:
        """Whether RocksDB makes no table and compacts nothing, and is not about to."""
        return not any(int(self.db.property_value(f"rocksdb.{name}") or 0) for name in _WORK)


def holds_data(path: Path) -> bool:
    """Whether there is a store in a directory, be it a damaged one.

    A process killed while it makes a store leaves a MANIFEST and nothing that names it; that is not a store yet.

    Raises:
        StoreError: when it cannot be looked into.
    """
    try:
        return (path / "CURRENT").exists() or any(next(path.glob(p), None) for p in ("*.sst", "*.log"))
    except OSError as error:
        msg = f"the store in {path} cannot be read: {error}. Run as the user whom its files belong to."
        raise StoreError(msg) from error


def clear_uninitialised(path: Path) -> None:
    """Remove what a process left that was killed while it made a store."""
    for file in path.glob("MANIFEST-*"):
        file.unlink()


def scan(db: Rdict, path: Path, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
    """The keys that begin with a prefix, ascending, with their values.

    Raises:
        StoreError: when a block does not fit its checksum. (``Rdict.items`` just ends there.)
    """
    options = ReadOptions()
    if prefix:
        options.set_iterate_upper_bound(prefix + b"\xff" * 12)
    options.set_total_order_seek(True)
    cursor = reading(path, lambda: db.iter(options))
    cursor.seek(prefix)
    while cursor.valid():
        yield cursor.key(), cursor.value()
        cursor.next()
    reading(path, cursor.status)


def reading(path: Path, read: Callable[[], _T]) -> _T:
    """Read, with RocksDB's errors made readable.

    Raises:
        StoreError: when it cannot be read.
    """
    try:
        return read()
    except Exception as error:
        words = in_words(path, error)
        msg = f"the store in {path} cannot be read: {words}. {what_to_do(path, words)}"
        raise StoreError(msg) from error


def writing(path: Path, write: Callable[[], None]) -> None:
    """Write, with RocksDB's errors made readable.

    Raises:
        StoreError: when it refuses.
    """
    try:
        write()
    except Exception as error:
        words = in_words(path, error)
        on = what_to_do(path, words)
        msg = f"the store in {path} refuses a write: {words}. {_OF_WRITING if on == WAY_OUT else on}"
        raise StoreError(msg) from error


def compact(db: Rdict, path: Path) -> None:
    """Rewrite the files without what was overwritten or deleted; writes go on meanwhile.

    Raises:
        StoreError: when RocksDB cannot.
    """
    options = CompactOptions()
    options.set_exclusive_manual_compaction(False)
    options.set_bottommost_level_compaction(BottommostLevelCompaction.force_optimized())
    failures = _failures(db)
    writing(path, lambda: db.compact_range(None, None, options))
    if _failures(db) != failures:  # the binding does not say; RocksDB refuses writes from now on
        msg = (
            f"the store in {path} could not be compacted. Look for a full or failing disk, or too few files that may "
            "be open (ulimit -n), and start again once that is fixed: nothing is lost. If `ralm state verify` names "
            f"damage: {WAY_OUT}"
        )
        raise StoreError(msg)


def make_options(*, create: bool, recovery: DBRecoveryMode) -> Options:
    """Our options, to make a store if there is none, and for what a damaged log means."""
    options = Options(raw_mode=True)
    options.create_if_missing(create)
    options.set_paranoid_checks(True)
    options.set_wal_recovery_mode(recovery)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_max_total_wal_size(2 * _BUFFER_BYTES)
    # Hand bytes to the disk as they come: a synced write need not wait for a whole base of 48 MB.
    options.set_bytes_per_sync(_SYNC_BYTES)
    options.set_wal_bytes_per_sync(_SYNC_BYTES)
    # A file that is mostly deletions is compacted without waiting for its turn.
    options.add_compact_on_deletion_collector_factory(_DELETIONS_WINDOW, _DELETIONS_WINDOW // 2, 0.5)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(1 << 20)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(_CACHE_BYTES))
    table.set_bloom_filter(10, False)
    options.set_block_based_table_factory(table)
    return options


def _failures(db: Rdict) -> int:
    return int(db.property_int_value("rocksdb.background-errors") or 0)


def cannot_open(path: Path, error: Exception) -> StoreError:
    """Why a store cannot be opened, with the way out."""
    words = in_words(path, error)
    return StoreError(f"the store in {path} cannot be opened: {words}. {what_to_do(path, words)}")


def what_to_do(path: Path, words: str) -> str:
    """What to do about an error of the store in a directory, which may be gone.

    Args:
        path: the directory.
        words: what the error says.
    """
    if "surrogates not allowed" in words:
        return _NO_TEXT
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _GONE
    except OSError:  # the error says so itself
        pass
    return way_out(words)


def way_out(words: str) -> str:
    """What to do about an error, by what it says: of what the system refuses, nothing that would cost data.

    >>> way_out("IO error: While open a file for appending: 000017.log: Too many open files")
    'Let the process open more files (ulimit -n, LimitNOFILE) and start again: nothing is lost.'
    """
    otherwise = _OF_NEWER if _NEWER.search(words) else WAY_OUT
    return next((advice for sign, advice in _OF_SYSTEM.items() if sign in words), otherwise)


def refused_by_system(words: str) -> bool:
    """Whether an error says that the system refuses, which says nothing of the store.

    >>> refused_by_system("the store cannot be read: [Errno 13] Permission denied"), refused_by_system("Corruption")
    (True, False)
    """
    return any(sign in words for sign in _OF_SYSTEM)


def in_words(path: Path, error: BaseException) -> str:
    """What RocksDB says in one line, with the files' true names where it was shown links."""
    return _FILE.sub(lambda match: f"{path}/{match[1]}", " ".join(str(error).split())).rstrip(".")
