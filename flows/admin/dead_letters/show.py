"""Dead letters as text: a row, a line of JSON, one letter with everything that is known of it and what to do."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from flows.admin.dead_letters.acceptance import Acceptance
from flows.messages.dead_letter import DeadLetter
from flows.messages.rejects import InvalidMessage, Reason


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


_PRODUCER = "Fix the producer and have it send the event again: these bytes can never be read."
_KEY = (
    "Fix the producer: the key decides the partition, and all clicks on an item must go to one. These letters can be "
    "redriven with the key that their value implies: `ralm dead-letters redrive --set-key`."
)

EXPLANATIONS: Final[dict[Reason, Explanation]] = {
    "null_value": Explanation(
        "The message has no value. Only for candidates is that a tombstone.",
        "Find what produces tombstones to this topic. There is nothing to redrive.",
    ),
    "empty_value": Explanation(
        "The value is empty, or white space only.", "Find what produces it. There is nothing to redrive."
    ),
    "oversized": Explanation(
        "The value is longer than max_message_bytes (requests: longer than that and max_candidates allow together).",
        "If such messages are intended, raise max_message_bytes, restart the flow, and redrive. If the letter was cut "
        "(original_bytes), the event must be sent again by its producer.",
        "max_message_bytes",
    ),
    "not_utf8": Explanation("The value, or the name of a header, is not UTF-8.", _PRODUCER),
    "not_json": Explanation(
        "The value is not JSON, or has something after it, or a byte order mark before it.", _PRODUCER
    ),
    "wrong_type": Explanation("A field, or the whole value, has a type that the contract does not allow.", _PRODUCER),
    "missing_field": Explanation(
        "A required field is missing.",
        f"{_PRODUCER} If a newer contract left the field out, run the version that reads it, and redrive.",
    ),
    "bad_identifier": Explanation(
        "An identifier is empty, longer than 256 bytes, or a number out of range.", _PRODUCER
    ),
    "bad_time": Explanation(
        "A time is before March 1973 (as times in seconds do), beyond 2^53 - 1, or in expires_at beyond the year "
        "9999. Times are milliseconds since the epoch; the detail names the unit that it looks like.",
        _PRODUCER,
    ),
    "future_time": Explanation(
        "The time of the click or request was ahead of the clock by more than max_future: of the broker's clock, or of "
        "this machine's where the topic has message.timestamp.type=CreateTime.",
        "Look at the clock of what sent it. Once the time has passed, or max_future is raised and the flow restarted, "
        "redrive. If the detail names another unit than milliseconds, fix the producer.",
        "max_future",
    ),
    "null_key": Explanation("The message has no key; a click's is its item_id, a request's its user_id.", _KEY),
    "key_mismatch": Explanation("The key is not the item_id of the click, or the user_id of the request.", _KEY),
    "unsupported_schema_version": Explanation(
        "The header schema_version names a version that this flow does not read.",
        "Run a version of the flow that reads it, and redrive with that version; or set the producer back.",
    ),
    "unreadable_batch": Explanation(
        "The Kafka client cannot read the batch at these offsets: it decompresses to too much, or is damaged.",
        "Its messages are not in this letter. Find out who wrote them and have them sent again; of a damaged batch "
        "another replica may have a whole copy.",
        "step_over",
    ),
    "too_many_candidates": Explanation(
        "The request names more candidates than max_candidates.",
        "If such requests are intended, raise max_candidates, restart the flow, and redrive: they are answered then. "
        "Else ask in parts, or leave candidates out to rank all live items.",
        "max_candidates",
    ),
}
"""By reason."""


def row(letter: DeadLetter, *, redriven: bool) -> tuple[str, ...]:
    """The cells of a table, safe to print."""
    return (
        f"{letter.partition} {letter.offset}",
        time_text(letter.time),
        printable(letter.topic, 60),
        f"{letter.source_partition} {letter.source_offset}",
        text_or_hex(letter.key, 40),
        letter.reason,
        printable(letter.detail, 120),
        "yes" if redriven else "",
    )


def as_json(letter: DeadLetter, *, redriven: bool) -> str:
    """One line of JSON: bytes as text where they are UTF-8, and else as hexadecimal in ``NAME_hex``."""
    return json.dumps(
        {
            "partition": letter.partition,
            "offset": letter.offset,
            "time": letter.time,
            "topic": letter.topic,
            "source_partition": letter.source_partition,
            "source_offset": letter.source_offset,
            "reason": letter.reason,
            "detail": letter.detail,
            **_field("key", letter.key),
            **_field("value", letter.value),
            "headers": [{"name": name, **_field("value", value)} for name, value in letter.headers],
            "cut": letter.cut,
            "redriven": redriven,
        }
    )


def explanation(letter: DeadLetter, acceptance: Acceptance, *, redriven: bool, most: int) -> str:
    """Everything about a letter, safe to print.

    Args:
        letter: the letter.
        acceptance: says whether it would be accepted now.
        redriven: whether it was redriven.
        most: most characters of key, value and each header.
    """
    return "\n".join(_lines(letter, acceptance, redriven, most))


def _lines(letter: DeadLetter, acceptance: Acceptance, redriven: bool, most: int) -> Iterator[str]:
    said = EXPLANATIONS[letter.reason]  # type: ignore[index]  # its reason is one of the closed set
    yield f"letter     partition {letter.partition}, offset {letter.offset}"
    yield f"read at    {printable(letter.source)}"
    yield f"refused    {time_text(letter.time)}"
    yield f"reason     {letter.reason}: {said.meaning}"
    yield f"detail     {printable(letter.detail)}"
    yield f"to do      {said.to_do}"
    if said.setting:
        yield f"setting    {said.setting}"
    yield f"now        {_now(letter, acceptance)}"
    yield f"redriven  {'yes' if redriven else 'no'}"
    if letter.cut:
        yield f"cut        {letter.cut}"
    yield f"key        {_part(letter.key, most)}"
    for name, value in letter.headers:
        yield f"header     {printable(name, most)} = {_part(value, most)}"
    yield f"value      {_part(letter.value, most)}"


def _now(letter: DeadLetter, acceptance: Acceptance) -> str:
    if letter.topic not in acceptance.kinds:
        return "it cannot be redriven: its topic is not managed by this deployment"
    if letter.cut:
        return "it cannot be redriven: it is not whole"
    try:
        acceptance.key(letter)
    except InvalidMessage as invalid:
        return printable(f"it would be refused again: {invalid}")
    return "it would be accepted with the present settings"


def _part(part: bytes | None, most: int) -> str:
    if part is None:
        return "(none)"
    return f"({len(part)} bytes) {text_or_hex(part, most)}"


def _field(name: str, part: bytes | None) -> dict[str, Any]:
    if part is None:
        return {name: None}
    try:
        return {name: part.decode()}
    except UnicodeDecodeError:
        return {f"{name}_hex": part.hex()}


def printable(text: str, most: int | None = None) -> str:
    r"""Text with everything that is not printable written out, and cut to so many characters.

    >>> printable("a\x1b[2J\u202eb")
    'a\\x1b[2J\\u202eb'
    """
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return shown if most is None or len(shown) <= most else f"{shown[: most - 1]}…"


def text_or_hex(part: bytes | str | None, most: int | None = None) -> str:
    """A key or a value for people: text if it is UTF-8, else hexadecimal.

    >>> text_or_hex(b"item-1"), text_or_hex(bytes([255])), text_or_hex(None)
    ('item-1', '0xff', '(none)')
    """
    if part is None:
        return "(none)"
    try:
        text = part if isinstance(part, str) else part.decode()
    except UnicodeDecodeError:
        text = f"0x{bytes(part).hex()}"  # type: ignore[arg-type]  # a str is not decoded
    return printable(text, most)


def time_text(ms: int) -> str:
    """A time in ms since the epoch, as ISO 8601 in UTC; beyond the year 9999 as it is.

    >>> time_text(1000), time_text(2**53)
    ('1970-01-01T00:00:01.000+00:00', '9007199254740992 ms')
    """
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return f"{ms} ms"
