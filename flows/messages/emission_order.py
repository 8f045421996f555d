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


def partition_headers(partition: int) -> Headers:
    """The headers that say from which partition of the clicks topic an item's message comes.

    >>> partition_headers(3)
    [('clicks_partition', b'3')]
    """
    return [(_CLICKS_PARTITION, b"%d" % partition)]


def partition_of(headers: Headers) -> int | None:
    """The partition that headers say; None where they do not.

    Raises:
        InvalidMessage: when it cannot be read.
    """
    found = {name: value for name, value in headers if name == _CLICKS_PARTITION}
    return _number(found, _CLICKS_PARTITION) if found else None


def _number(found: dict[str, str | bytes | None], name: str) -> int:
    if name not in found:
        raise InvalidMessage("missing_field", f"the header {name} is missing")
    value = found[name]
    digits = value.encode() if isinstance(value, str) else value or b""
    if len(digits) > _DIGITS or not digits.isdigit() or int(digits) > MAX_TIME:
        raise InvalidMessage("wrong_type", f"the header {name} is {digits[:40]!r}; it must be 0 to {MAX_TIME}")
    return int(digits)
