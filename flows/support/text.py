"""Text: of files as people's programs write them, with or without a byte order mark; and of numbers."""

import codecs
import re
import tomllib
from pathlib import Path
from typing import Any

from state.nesting import check_depth

_LOOKED_AT = 200
_ERROR_NUMBER = re.compile(r"\[Errno -?\d+\] | \(os error \d+\)")
"""How Python and Rust write the number of a system's error beside its words."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def counted(number: int, one: str, more: str = "") -> str:
    """So many of something, in words.

    >>> counted(1, "click"), counted(1200, "click"), counted(0, "of it matches", "of them match")
    ('1 click', '1,200 clicks', '0 of them match')
    """
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def without_error_numbers(text: str) -> str:
    """What the system's errors say, without their numbers.

    >>> (
    ...     without_error_numbers("[Errno 98] Address already in use"),
    ...     without_error_numbers("File too large (os error 27)."),
    ... )
    ('Address already in use', 'File too large.')
    """
    return _ERROR_NUMBER.sub("", text)


def encoding_of(content: bytes, usual: str = "utf-8") -> str:
    """The encoding that a byte order mark says, else the usual one.

    >>> encoding_of(b"text"), encoding_of("text".encode("utf-16"))
    ('utf-8', 'utf-16')
    """
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    return marked or _by_zeros(content[:_LOOKED_AT]) or usual


def _by_zeros(start: bytes) -> str:
    """UTF-16 without a mark, as every other byte of plain text is zero then; empty if it is not that."""
    for encoding, zeros in (("utf-16-le", start[1::2]), ("utf-16-be", start[::2])):
        if len(zeros) > 1 and zeros.count(0) * 10 > len(zeros) * 9:
            return encoding
    return ""


def read_text(path: Path) -> str:
    """The text of a file, without its byte order mark.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is not in the encoding that it should be.
    """
    content = path.read_bytes()
    return content.decode(encoding_of(content))


def read_toml(path: Path) -> dict[str, Any]:
    """What a file of TOML says.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no TOML; also of a number too long, or nested too deep.
    """
    text = read_text(path)
    check_depth(text)
    return tomllib.loads(text)
