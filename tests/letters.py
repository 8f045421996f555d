"""Dead letters for tests."""

from typing import Any

from flows.messages.batches import Headers
from flows.messages.dead_letter import DeadLetter, dead_letter_headers
from flows.messages.rejects import InvalidMessage

NOW = 1_764_000_000_000
TS = b"1763000000000"
GOOD = b'{"user_id": "u", "item_id": "i", "ts": %b}' % TS


def letter(offset: int = 0, **changes: Any) -> DeadLetter:
    usual: dict[str, Any] = {
        "partition": 0,
        "offset": offset,
        "topic": "clicks",
        "source_partition": 1,
        "source_offset": offset,
        "reason": "oversized",
        "detail": "why",
        "time": NOW,
        "key": b"i",
        "value": GOOD,
        "headers": [],
        "cut": "",
    }
    return DeadLetter(**{**usual, **changes})


def dead_letter_of(topic: str, partition: int, offset: int, reason: str = "oversized", time_ms: int = NOW) -> Headers:
    """The headers of a letter of what lies at an offset."""
    refused = InvalidMessage(reason, "why")
    return dead_letter_headers(refused, topic=topic, partition=partition, offset=offset, time_ms=time_ms, original=[])
