"""Why a message cannot be used: a closed set of reasons, and finding the one that applies."""

import re
from typing import Final, Literal, TypeAlias, get_args

import msgspec

Reason: TypeAlias = Literal[
    "null_value",
    "empty_value",
    "oversized",
    "not_utf8",
    "not_json",
    "wrong_type",
    "missing_field",
    "bad_identifier",
    "bad_time",
    "future_time",
    "null_key",
    "key_mismatch",
    "unsupported_schema_version",
    "too_many_candidates",
    "unreadable_batch",
]
"""Why a message can become a dead letter."""
REASONS: Final[frozenset[str]] = frozenset(get_args(Reason))

_FIELD = re.compile(r" - at `\$\.(\w+)[^`]*`$")
_REASON_OF_FIELD: dict[str, Reason] = {
    "ts": "bad_time",
    "expires_at": "bad_time",
    "window_end": "bad_time",
    "user_id": "bad_identifier",
    "item_id": "bad_identifier",
    "request_id": "bad_identifier",
    "candidates": "bad_identifier",
    "model_version": "bad_identifier",
}
_VALUE_NOT_TYPE = re.compile(r"out of range|Expected `\w+`(?: of length)? [<>]=")
"""msgspec's words for the right type with a value outside the limits."""
_LONG = 200
_UNITS = (
    ("seconds", 10**8, "multiply by 1000"),
    ("microseconds", 10**14, "divide by 1000"),
    ("nanoseconds", 10**17, "divide by 1,000,000"),
)


class InvalidMessage(Exception):  # noqa: N818 (an answer about a message, not a fault of the program)
    """A message that cannot be used.

    Attributes:
        reason: one of ``REASONS``.
        detail: for a person.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason: Reason = reason
        self.detail = detail


def classify_json_error(value: bytes | None, error: Exception) -> InvalidMessage:
    """Find the reason why a value could not be decoded as a JSON message; slow, for the error path only."""
    if value is None:
        return InvalidMessage("null_value", "the message has no value")
    if not value.strip():
        return InvalidMessage("empty_value", "the value is empty")
    try:
        value.decode()
    except UnicodeDecodeError as wrong:
        return InvalidMessage("not_utf8", f"byte {wrong.start} is not UTF-8")
    if isinstance(error, msgspec.ValidationError):
        return _with_unit(value, classify_error(error))
    return InvalidMessage("not_json", _words(error))


def likely_unit(time: float) -> str:
    """What to say of a time that would be one of 1973 to 2286 in a unit other than milliseconds; else empty.

    >>> likely_unit(1_732_440_000)
    'looks like seconds: multiply by 1000'
    >>> likely_unit(1_732_440_000_000)
    ''
    """
    for unit, least, advice in _UNITS:
        if least <= time < 100 * least:
            return f"looks like {unit}: {advice}"
    return ""


def _with_unit(value: bytes, invalid: InvalidMessage) -> InvalidMessage:
    """Add to what is said of a time in which unit it seems to be."""
    field = _FIELD.search(invalid.detail)
    if field is None or _REASON_OF_FIELD.get(field[1]) != "bad_time":
        return invalid
    try:
        time = msgspec.json.decode(value)[field[1]]
    except (ValueError, TypeError, KeyError):  # msgspec's errors are ValueErrors
        return invalid
    unit = likely_unit(time) if type(time) in (int, float) else ""
    return InvalidMessage(invalid.reason, f"{invalid.detail}; {time} {unit}") if unit else invalid


def classify_error(error: msgspec.ValidationError) -> InvalidMessage:
    """Find the reason why a value that could be parsed is not the message it should be."""
    text = _words(error)
    if "missing required field" in text:
        return InvalidMessage("missing_field", text)
    field = _FIELD.search(text)
    if field is not None and _VALUE_NOT_TYPE.search(text):
        return InvalidMessage(_REASON_OF_FIELD.get(field[1], "wrong_type"), text)
    return InvalidMessage("wrong_type", text)


def _words(error: Exception) -> str:
    """What an error says; values and names out of the message may be in it, and are as long as they like."""
    text = str(error)
    return text if len(text) <= _LONG else f"{text[:_LONG]}...{text[-_LONG:]}"
