"""Dead letters for tests."""

from typing import Any

from flows.messages.dead_letter import DeadLetter

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
