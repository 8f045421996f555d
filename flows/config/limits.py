"""What identifiers and times may be, wherever they come in: as messages, as lines of a file, as a data set's tables."""

from typing import Final

MAX_IDENTIFIER_BYTES: Final = 256
"""Most bytes of an identifier in UTF-8; it has at least one."""
MAX_PROFILE_FIELDS: Final = 256
"""Most fields of a profile in a request."""
MAX_TIME: Final = 2**53 - 1
"""Greatest time of a message, ms: what every JSON reader holds exactly."""
MIN_EVENT_TIME: Final = 100_000_000_000
"""Least event time, ms: March 1973. As seconds, this number is the year 5138: what lies below is in seconds, or a clock
that was never set."""
NOT_UTF8: Final = "is not UTF-8"
"""What is wrong with a text of the command line that has other bytes, of which Python makes halves of characters."""
END_OF_DATA_TIME: Final = 4_102_444_800_000
"""No click of a data set is of the year 2100 or later: such dates stand for "none", or are in another unit."""


def identifier_fault(text: str) -> str:
    """What is wrong with an identifier; empty if nothing is.

    >>> identifier_fault("user-1"), identifier_fault("")
    ('', 'is empty')
    >>> identifier_fault("ü" * 129)
    'has 258 bytes; an identifier has 1 to 256 bytes of UTF-8'
    """
    if not text:
        return "is empty"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return NOT_UTF8
    if size > MAX_IDENTIFIER_BYTES:
        return f"has {size} bytes; an identifier has 1 to {MAX_IDENTIFIER_BYTES} bytes of UTF-8"
    return ""
