"""Finds the damage in a MANIFEST or a log that RocksDB's reader never returns from, before RocksDB meets it.

A file is a sequence of blocks of 32 KiB; a record never starts in the last six bytes of one. A record is a masked
CRC-32C of what follows the length (4 bytes), the length of its data (2), its type (1) and the data, little-endian.
Types 5 to 8 and 11 are written only where RocksDB recycles its log files, which we never ask for. Where its reader
meets one behind a record of another type, it reads the same bytes for ever. One flipped bit makes such a type.

Whatever else is wrong with a file is left to RocksDB. So it is read here as its reader does: the rest of a block is
passed over behind a record that does not fit its checksum. Only the headers are looked at while none has such a type.

Source: RocksDB's wiki, "Write Ahead Log File Format", and ``db/log_reader.cc``.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from state.store.layout import WAY_OUT, StoreError

_BLOCK = 32 << 10
_CURRENT = re.compile(rb"(MANIFEST-\d+)\n")
_BLOCKS_AT_ONCE = 32
_HEADER = 7
_RECYCLED = frozenset((5, 6, 7, 8, 11))
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_SILENT = frozenset((9, 10))  # of a log's compression and times
_IGNORED_FROM = 128
_POLYNOMIAL = 0x82F63B78


class _Record(NamedTuple):
    at: int
    kind: int
    length: int


def check_log_records(path: Path) -> None:
    """See that RocksDB's reader comes to an end with the MANIFEST and the logs of a store.

    Args:
        path: the store's directory. A file that cannot be read is left to RocksDB.

    Raises:
        StoreError: when it would not; says in which file and at which offset.
    """
    for file in _files(path):
        with suppress(OSError):
            if not _has_recycled(file):
                continue
            at = _stuck_at(file)
            if at is not None:
                msg = f"{file} is damaged: the record at byte {at} is of a type that is never written. {WAY_OUT}"
                raise StoreError(msg)


def _files(path: Path) -> Iterator[Path]:
    with suppress(OSError):
        named = _CURRENT.fullmatch((path / "CURRENT").read_bytes())
        if named:
            yield path / named[1].decode()
    yield from sorted(path.glob("*.log"))


def _blocks(file: Path) -> Iterator[tuple[int, bytes]]:
    """The blocks of a file, each with its offset; a few are read at once."""
    with file.open("rb") as opened:
        start = 0
        while data := opened.read(_BLOCK * _BLOCKS_AT_ONCE):
            for at in range(0, len(data), _BLOCK):
                yield start + at, data[at : at + _BLOCK]
            start += len(data)


def _records(block: bytes) -> Iterator[_Record]:
    """The records of a block by their headers; the last may reach beyond its end."""
    at, last = 0, len(block) - _HEADER
    while at <= last:
        length, kind = block[at + 4] | block[at + 5] << 8, block[at + 6]
        yield _Record(at, kind, length)
        if not kind and not length:  # space that was set aside, to the end of the block
            return
        at += _HEADER + length


def _has_recycled(file: Path) -> bool:
    return any(record.kind in _RECYCLED for _, block in _blocks(file) for record in _records(block))


def _stuck_at(file: Path) -> int | None:
    """The offset at which RocksDB's reader stays for ever, None if it comes to an end."""
    reader = _Reader()
    for start, block in _blocks(file):
        for record in _records(block):
            if record.kind in _RECYCLED:
                return start + record.at if reader.begun else None
            if not reader.take(record, block):
                break
        if reader.ended:
            return None
    return None


class _Reader:
    """What RocksDB's reader knows between two records.

    Attributes:
        begun: whether it has handed a whole record on.
        ended: whether it was told to read no further, which is so behind the first record that follows a damage.
    """

    def __init__(self) -> None:
        self.begun = self.ended = False
        self._damaged = False
        self._held: int | None = None  # bytes of a record in several parts, of which the last is to come

    def take(self, record: _Record, block: bytes) -> bool:
        """Whether the rest of the block is read too."""
        if not record.kind and not record.length:
            self._lose(self._held is not None)
            return False
        if not _is_sound(record, block):
            self._lose(True)
            return False
        if record.kind in (_FULL, _FIRST):
            self._damaged |= bool(self._held)
            self._held = record.length
        elif record.kind in (_MIDDLE, _LAST):
            self._damaged |= self._held is None
            if self._held is not None:
                self._held += record.length
        elif record.kind not in _SILENT and record.kind < _IGNORED_FROM:
            self._lose(True)
        if record.kind in (_FULL, _LAST) and self._held is not None:
            self._held, self.begun, self.ended = None, True, self._damaged
        return not self.ended

    def _lose(self, damaged: bool) -> None:
        self._damaged |= damaged
        self._held = None


def _is_sound(record: _Record, block: bytes) -> bool:
    end = record.at + _HEADER + record.length
    if end > len(block):
        return False
    masked = int.from_bytes(block[record.at : record.at + 4], "little")
    rotated = (masked - 0xA282EAD8) & 0xFFFFFFFF
    return (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == _crc32c(block[record.at + 6 : end])


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
    return byte


_TABLE = tuple(map(_table_entry, range(256)))


def _crc32c(data: bytes) -> int:
    """The checksum of RFC 3720.

    >>> hex(_crc32c(b"123456789"))
    '0xe3069283'
    """
    crc, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
