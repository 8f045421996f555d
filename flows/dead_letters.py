"""Dead letters: the original bytes, and in the headers where they came from and why they were refused.

A dead letter is bounded whatever the message was, since a broker that refuses one stops the flow, again at every start.
"""

from flows.batches import Headers
from flows.messages import SCHEMA_VERSION, Reject
from flows.rejects import Reason

ORIGINAL = "original."
"""Put before the names of the message's own headers."""
ALL_LEFT_OUT = "all"
_DETAIL_BYTES = 500
_HEADER_BYTES = 65_536
"""Of the original headers, prefixes and lengths included."""
_LENGTHS = 8
"""What the lengths of a header's name and value may take."""


def dead_letter_headers(
    reject: Reject, *, topic: str, partition: int, offset: int, time_ms: int, original: Headers | None
) -> Headers:
    """The headers of a dead letter.

    Args:
        reject: why the message was refused.
        topic: where it was read.
        partition: of the topic.
        offset: in the partition.
        time_ms: when it was refused, ms since the epoch.
        original: its own headers; they follow, named ``original.NAME``, as far as 64 KiB go; ``headers_left_out``
            says how many did not. None if they cannot be read, and then it says ``all``.
    """
    ours = {
        "schema_version": SCHEMA_VERSION,
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "reason": reject.reason,
        "detail": _cut_text(reject.detail, _DETAIL_BYTES),
        "time": str(time_ms),
    }
    kept: Headers = []
    if original is None:
        ours["headers_left_out"] = ALL_LEFT_OUT
    else:
        kept = _as_far_as_they_go(original)
        if len(kept) < len(original):
            ours["headers_left_out"] = str(len(original) - len(kept))
    headers: Headers = [(name, value.encode(errors="replace")) for name, value in ours.items()]
    return headers + kept


def reject_of(headers: Headers) -> Reject:
    """Why a message was refused, from the headers that ``dead_letter_headers`` made."""
    said = {name: value for name, value in reversed(headers) if isinstance(value, bytes)}
    reason: Reason = said["reason"].decode()  # type: ignore[assignment]  # it was one before
    return Reject(reason, said["detail"].decode())


def cut_value(value: bytes | None, most: int) -> tuple[bytes | None, Headers]:
    """A value that the broker will take.

    Args:
        value: the original value.
        most: the most bytes.

    Returns:
        The value, cut if it is longer, and then the header ``original_bytes`` that says how long it was.
    """
    return _cut(value, most, "original_bytes")


def cut_key(key: bytes | None, most: int) -> tuple[bytes | None, Headers]:
    """A key that the broker will take, with the header ``original_key_bytes`` if it had to be cut."""
    return _cut(key, most, "original_key_bytes")


def _cut(part: bytes | None, most: int, name: str) -> tuple[bytes | None, Headers]:
    if part is None or len(part) <= most:
        return part, []
    return part[:most], [(name, str(len(part)).encode())]


def _cut_text(text: str, most: int) -> str:
    return text.encode(errors="replace")[:most].decode(errors="ignore")


def _as_far_as_they_go(original: Headers) -> Headers:
    room = _HEADER_BYTES
    kept: Headers = []
    for name, value in original:
        long = f"{ORIGINAL}{name}"
        size = len(value.encode()) if isinstance(value, str) else len(value or b"")
        room -= len(long.encode()) + size + _LENGTHS
        if room < 0:
            break
        kept.append((long, value))
    return kept
