"""What came from outside, as text that is safe to print: nothing in it moves a cursor or hides a character."""

from datetime import UTC, datetime


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
