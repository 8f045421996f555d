"""What each reason of a dead letter means and what to do about it; for people, and complete."""

from dataclasses import dataclass
from typing import Final

from flows.messages.rejects import Reason


@dataclass(frozen=True)
class Explanation:
    """A reason explained.

    Attributes:
        meaning: what is wrong with the message.
        to_do: what to do about it.
        setting: the setting that lifts the limit, or empty.
    """

    meaning: str
    to_do: str
    setting: str = ""


_PRODUCER = "Mend the producer, and have it send the event again: the bytes as they are can never be read."
_KEY = (
    "Mend the producer: the key decides the partition, and an item's clicks must meet in one. What is here can be sent "
    "back with the key that its value says: `ralm dead-letters redrive --set-key`."
)

EXPLANATIONS: Final[dict[Reason, Explanation]] = {
    "null_value": Explanation(
        "The message has no value. A tombstone means something for candidates only.",
        "Find what produces tombstones to this topic. There is nothing to send back.",
    ),
    "empty_value": Explanation(
        "The value is empty, or white space only.", "Find what produces it. There is nothing to send back."
    ),
    "oversized": Explanation(
        "The value is longer than max_message_bytes.",
        "If such messages are meant, raise max_message_bytes, restart the flow, and send back. If the letter was cut "
        "(original_bytes), the event must be sent again by its producer.",
        "max_message_bytes",
    ),
    "not_utf8": Explanation("The value, or the name of a header, is not UTF-8.", _PRODUCER),
    "not_json": Explanation(
        "The value is no JSON, or there is more after it, or a byte order mark before it.", _PRODUCER
    ),
    "wrong_type": Explanation("A field, or the whole, is of another type than the contract says.", _PRODUCER),
    "missing_field": Explanation(
        "A field that must be there is missing.",
        f"{_PRODUCER} If a newer contract left the field out, run the version that reads it, and send back.",
    ),
    "bad_identifier": Explanation(
        "An identifier is empty, longer than 256 bytes, or a number out of range.", _PRODUCER
    ),
    "bad_time": Explanation(
        "A time is negative or beyond 2^53 - 1. Times are milliseconds since the epoch.", _PRODUCER
    ),
    "future_time": Explanation(
        "The click's time was later than its message by more than max_future; it would have dragged the watermark "
        "along, and closed windows that are still open.",
        "Look at the clocks of the producer and of this machine. Once the time has passed, or max_future is raised and "
        "the flow restarted, send back. Times in seconds or microseconds instead of milliseconds: mend the producer.",
        "max_future",
    ),
    "null_key": Explanation("The message has no key; a click's is its item_id, a request's its user_id.", _KEY),
    "key_mismatch": Explanation("The key is not the item_id of the click, or the user_id of the request.", _KEY),
    "unsupported_schema_version": Explanation(
        "The header schema_version names a version that this flow does not read.",
        "Run a version of the flow that reads it, and send back with that version; or set the producer back.",
    ),
    "too_many_candidates": Explanation(
        "The request names more candidates than max_candidates.",
        "If such requests are meant, raise max_candidates, restart the flow, and send back: they are answered then. "
        "Else ask in parts, or leave candidates out to rank all live items.",
        "max_candidates",
    ),
}
"""By reason."""
