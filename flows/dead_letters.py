"""Dead letters: the original bytes, and in the headers where they came from and why they were refused."""

from flows.batches import Headers
from flows.messages import SCHEMA_VERSION, Reject

_DETAIL_BYTES = 500


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
        original: its own headers; they follow, named ``original.NAME``.
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
    headers: Headers = [(name, value.encode(errors="replace")) for name, value in ours.items()]
    return headers + [(f"original.{name}", value) for name, value in original]


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
