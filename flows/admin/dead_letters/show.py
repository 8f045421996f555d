"""Dead letters as text: one line, a table by reason, one letter with everything that is known of it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flows.admin.dead_letters.acceptance import Acceptance
from flows.admin.dead_letters.reasons import EXPLANATIONS
from flows.messages.dead_letter import DeadLetter
from flows.messages.rejects import InvalidMessage


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
    if letter.topic not in acceptance.topics:
        return "it cannot be redriven: its topic is none of ours to send to"
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
