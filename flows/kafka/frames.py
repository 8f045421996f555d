"""The few messages of the Kafka protocol that the long poll must understand."""

import struct
from collections.abc import Iterator

WHOLE_BYTES = 1 << 16
"""Messages up to this size come whole."""
_FETCH_VERSIONS = range(4, 14)


class Frames:
    """Cuts a stream into its messages; a long one comes in pieces, as they arrive."""

    def __init__(self) -> None:
        self._begun = b""
        self._missing = 0

    def feed(self, data: bytes) -> Iterator[tuple[memoryview, bool]]:
        """Take what has arrived.

        Yields:
            A piece of a message, its length of four bytes included, and whether the message begins with it. A message
            of up to 64 KiB is one piece; of a longer one the first piece has at least so much.

        Raises:
            ValueError: when a message is too short to be one of Kafka's.
        """
        view = memoryview(self._begun + data if self._begun else data)
        self._begun = b""
        if self._missing:
            piece, view = view[: self._missing], view[self._missing :]
            self._missing -= len(piece)
            yield piece, False
        while len(view) >= 4:
            size = 4 + struct.unpack_from(">i", view)[0]
            if size < 8:
                msg = f"a message of {size} bytes"
                raise ValueError(msg)
            if len(view) < min(size, WHOLE_BYTES):
                break
            piece, view = view[:size], view[size:]
            self._missing = size - len(piece)
            yield piece, True
        self._begun = bytes(view)


class _Cursor:
    """Reads the fields of a message one after the other; ``compact`` is the encoding of the newer versions."""

    def __init__(self, message: bytes | memoryview, at: int, *, compact: bool) -> None:
        self._message = message
        self._at = at
        self.compact = compact

    def skip(self, size: int) -> None:
        """Pass over bytes; what has none left is no message, whatever number of parts it claims to have."""
        self._at += size
        if self._at > len(self._message):
            msg = "the message ends before"
            raise struct.error(msg)

    def number(self, code: str) -> int:
        """An integer in ``struct``'s code."""
        value: int = struct.unpack_from(">" + code, self._message, self._at)[0]
        self._at += struct.calcsize(">" + code)
        return value

    def length(self, code: str = "i") -> int:
        """The length of an array, a text or bytes; -1 of null."""
        return self._varint() - 1 if self.compact else self.number(code)

    def text(self) -> bytes:
        """A text; null is empty."""
        size, begin = max(0, self.length("h")), self._at
        self.skip(size)
        return bytes(self._message[begin : begin + size])

    def tags(self) -> int:
        """How many tagged fields follow; they are not skipped."""
        return self._varint() if self.compact else 0

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7


def fetch_wait(request: bytes | memoryview, version: int) -> float:
    """How long a fetch may wait for something, in seconds.

    Args:
        request: the whole request.
        version: its version.
    """
    if version not in _FETCH_VERSIONS:
        return 0.0
    cursor = _body(request, compact=version >= 12)
    cursor.skip(4)  # the replica's id
    wait_ms, min_bytes = cursor.number("i"), cursor.number("i")
    return max(0, wait_ms) / 1000 if min_bytes > 0 else 0.0


def written(request: bytes | memoryview, version: int) -> tuple[int, bytes]:
    """What a produce request says before its records.

    Args:
        request: its beginning.
        version: its version.

    Returns:
        How many replicas confirm it (with 0 there is no answer), and its topic; empty when there are several.
    """
    cursor = _body(request, compact=version >= 9)
    if version >= 3:
        cursor.text()  # the transactional id
    acks = cursor.number("h")
    cursor.skip(4)  # the timeout
    return acks, cursor.text() if cursor.length() == 1 else b""


def _body(request: bytes | memoryview, *, compact: bool) -> _Cursor:
    """The fields after the head, whose client id is never compact."""
    cursor = _Cursor(request, 12, compact=False)
    cursor.text()
    cursor.compact = compact
    cursor.tags()
    return cursor


def topics_of_nothing(answer: bytes | memoryview, version: int) -> frozenset[bytes] | None:
    """The topics of a fetch that found nothing.

    Args:
        answer: the whole answer to the fetch.
        version: of the fetch.

    Returns:
        The topics by name, empty where they are not named; None when the answer has records, an error or anything else
        that the client should know at once.
    """
    try:
        return _topics_of_nothing(_Cursor(answer, 8, compact=version >= 12), version)
    except struct.error:  # it is not what we take it for
        return None


def _topics_of_nothing(cursor: _Cursor, version: int) -> frozenset[bytes] | None:
    names = set()
    cursor.tags()
    cursor.skip(4)  # the throttle time
    if version >= 7:
        if cursor.number("h"):
            return None
        cursor.skip(4)  # the session
    for _ in range(cursor.length()):
        if version >= 13:
            cursor.skip(16)  # the topic's id
        else:
            names.add(cursor.text())
        for _ in range(cursor.length()):
            if _has_something(cursor, version):
                return None
        cursor.tags()
    return frozenset(names)


def _has_something(cursor: _Cursor, version: int) -> bool:
    """Whether a partition's part of an answer says more than where the partition ends."""
    cursor.skip(4)  # the partition
    error = cursor.number("h")
    cursor.skip(24 if version >= 5 else 16)  # its ends and, from version 5 on, its beginning
    for _ in range(cursor.length()):
        cursor.skip(16)  # an aborted transaction: without records it says nothing
        cursor.tags()
    if version >= 11:
        cursor.skip(4)  # the preferred replica
    return bool(error or cursor.length() > 0 or cursor.tags())
