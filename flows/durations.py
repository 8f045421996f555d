"""Lengths of time as people write them, int milliseconds in code."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_WRITTEN = re.compile(r"(\d{1,16}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)?", re.ASCII)
LONGEST = 36_500 * _UNITS["d"]
"""The longest duration, ms: a hundred years."""


def milliseconds(value: Any) -> int:
    """Read a duration: ``250ms``, ``5s``, ``5m``, ``1h``, ``7d``, or seconds as a bare number.

    >>> milliseconds("5m"), milliseconds("0.5s"), milliseconds(2)
    (300000, 500, 2000)

    Raises:
        ValueError: when it is none, or longer than a hundred years.
    """
    match = None if isinstance(value, bool) else _WRITTEN.fullmatch(str(value).strip())
    if match is None:
        msg = "not a duration"
        raise ValueError(msg)
    read = round(float(match[1]) * _UNITS[match[2] or "s"])
    if read > LONGEST:
        msg = "longer than a hundred years"
        raise ValueError(msg)
    return read


def duration_text(value: int) -> str:
    """Write a duration of so many ms as ``milliseconds`` reads it.

    >>> duration_text(300000), duration_text(1500), duration_text(0)
    ('5m', '1500ms', '0s')
    """
    for unit in ("d", "h", "m", "s"):
        if value % _UNITS[unit] == 0 and (value or unit == "s"):
            return f"{value // _UNITS[unit]}{unit}"
    return f"{value}ms"


class DurationMark:
    """Marks a field as a duration, for whoever writes its value."""


Duration = Annotated[int, BeforeValidator(milliseconds), DurationMark()]
PositiveDuration = Annotated[int, BeforeValidator(milliseconds), Field(ge=1), DurationMark()]
