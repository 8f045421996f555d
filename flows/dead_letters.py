"""Dead letters: the original bytes, and in the headers where they came from and why they were refused."""

from flows.batches import Headers
from flows.messages import SCHEMA_VERSION, Reject

_DETAIL_BYTES = 500
_HEADER_BYTES = 65_536
"""Of the original headers; without a bound the broker could refuse the dead letter, again at every start."""


def dead_letter_headers(
    reject: Reject, *, topic: str, partition: int, offset: int, time_ms: int, original: Headers
) -> Headers:
    """The headers of a dead letter.

    Args:
        reject: why the message was refused.
        topic: where it was read.
        partition: of the topic.
        offset: in the partition.
        time_ms: when it was refused, ms since the epoch.
        original: its own headers; they follow, named ``original.NAME``, as far as 64 KiB go; ``headers_left_out``
            says how many did not.
    """
    ours = {
        "schema_version": SCHEMA_VERSION,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "reason": reject.reason,
        "detail": reject.detail[:_DETAIL_BYTES],
        "time": str(time_ms),
    }
    room = _HEADER_BYTES
    kept: Headers = []
    for name, value in original:
        room -= len(name) + len(value or b"")
        if room < 0:
            ours["headers_left_out"] = str(len(original) - len(kept))
            break
        kept.append((f"original.{name}", value))
    headers: Headers = [(name, value.encode(errors="replace")) for name, value in ours.items()]
    return headers + kept


def cut_value(value: bytes | None, most: int) -> tuple[bytes | None, Headers]:
    """A value that the broker will take.

    Args:
        value: the original value.
        most: the most bytes.

    Returns:
        The value, cut if it is longer, and then the header ``original_bytes`` that says how long it was.
    """
    if value is None or len(value) <= most:
        return value, []
    return value[:most], [("original_bytes", str(len(value)).encode())]
