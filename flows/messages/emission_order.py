"""Which of an item's messages in the centroids topic is the newest, wherever they lie and in whatever order they come.

Centroids say in the message, tombstones in their headers, as of which window's end and which offset of the clicks topic
they were made. Both only grow from one emission of an item to its next.
"""

from typing import Final, NamedTuple
from zlib import crc32

from flows.config.limits import MAX_TIME
from flows.messages.batches import Headers
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Centroids

_AHEAD_MS: Final = 86_400_000
"""No window ends in the future. One that seems to by more than a day, which no working clock is off by, would be the
newest for ever."""
_WINDOW_END: Final = "window_end"
_CLICKS_OFFSET: Final = "clicks_offset"
_CLICKS_PARTITION: Final = "clicks_partition"
_FIRST_PARTITIONS: Final = "first_partitions"
_DIGITS = len(str(MAX_TIME))


class EmissionOrder(NamedTuple):
    """Orders the messages of an item: the greatest is the newest.

    Attributes:
        window_end: end of the last window that had closed, ms.
        clicks_offset: offset after the last click that was taken into account; 0 in messages of versions without it.
        retired: whether it is a tombstone, which of two that are otherwise equal is the newer.
        tie: makes an order of messages that say different things as of the same moment.
    """

    window_end: int
    clicks_offset: int
    retired: bool = False
    tie: int = 0


def is_ahead(order: EmissionOrder, now_ms: int) -> bool:
    """Whether a message says that it is of a moment that has not come yet, by more than clocks are off."""
    return order.window_end > now_ms + _AHEAD_MS


def order_of_centroids(message: Centroids, value: bytes) -> EmissionOrder:
    """The order of centroids, decoded and as they stand in the topic."""
    return EmissionOrder(message.window_end, message.clicks_offset, tie=crc32(value))


def order_headers(window_end: int, clicks_offset: int) -> Headers:
    """The headers of a tombstone that order it.

    >>> order_headers(1000, 7)
    [('window_end', b'1000'), ('clicks_offset', b'7')]
    """
    return [(_WINDOW_END, b"%d" % window_end), (_CLICKS_OFFSET, b"%d" % clicks_offset)]


def order_of_tombstone(headers: Headers) -> EmissionOrder | None:
    """The order of a tombstone; None where its headers do not say it, as of a version without them.

    Raises:
        InvalidMessage: when they cannot be read.
    """
    found = {name: value for name, value in headers if name in (_WINDOW_END, _CLICKS_OFFSET)}
    if not found:
        return None
    return EmissionOrder(_number(found, _WINDOW_END), _number(found, _CLICKS_OFFSET), retired=True)


def partition_headers(partition: int, first_count: int = 0) -> Headers:
    """The headers that say from which partition of the clicks topic an item's message comes.

    Where the topic has grown they say how many partitions it had at first, too: else nobody would know it once the
    state directory and the group are lost.

    >>> partition_headers(3)
    [('clicks_partition', b'3')]
    >>> partition_headers(3, 2)
    [('clicks_partition', b'3'), ('first_partitions', b'2')]
    """
    grown: Headers = [(_FIRST_PARTITIONS, b"%d" % first_count)] if first_count else []
    return [(_CLICKS_PARTITION, b"%d" % partition), *grown]


def partition_of(headers: Headers) -> int | None:
    """The partition that headers say; None where they do not.

    Raises:
        InvalidMessage: when it cannot be read.
    """
    return _number_if_there(headers, _CLICKS_PARTITION)


def first_count_of(headers: Headers) -> int:
    """How many partitions the clicks topic had at first, if headers say that it has grown; else 0.

    Raises:
        InvalidMessage: when it cannot be read.
    """
    return _number_if_there(headers, _FIRST_PARTITIONS) or 0


def _number_if_there(headers: Headers, name: str) -> int | None:
    found = {each: value for each, value in headers if each == name}
    return _number(found, name) if found else None


def _number(found: dict[str, str | bytes | None], name: str) -> int:
    if name not in found:
        raise InvalidMessage("missing_field", f"the header {name} is missing")
    value = found[name]
    digits = value.encode() if isinstance(value, str) else value or b""
    if len(digits) > _DIGITS or not digits.isdigit() or int(digits) > MAX_TIME:
        raise InvalidMessage("wrong_type", f"the header {name} is {digits[:40]!r}; it must be 0 to {MAX_TIME}")
    return int(digits)
