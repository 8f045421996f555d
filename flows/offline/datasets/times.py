"""Times of events, however they are written, as milliseconds since the epoch."""

from typing import Any

import numpy as np
import pyarrow as pa

from flows.offline.datasets.tables import Table
from flows.support.errors import RalmError
from ralm.features import Ints

PER_MS = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
"""How many of each unit make a millisecond."""
_LEAST_MS = 1e11
"""Numbers from here on are ms: as seconds they would be after the year 5138, as ms they are of March 1973."""
_LEAST_US = 1e14
_MOST_MS = 2**53


def times_ms(table: Table, name: str, unit: str | None = None) -> Ints:
    """A column of times as ms since the epoch, int64[n].

    Numbers are seconds, or milliseconds when the largest is 1e11 or more, unless the unit is given. Text that is no
    number is ISO 8601, with or without an offset from UTC, and UTC without. Dates and timestamps of Parquet are taken
    as they are.

    Args:
        table: the table.
        name: the column.
        unit: of numbers: s, ms, us or ns.

    Raises:
        RalmError: naming the row that cannot be read, or asking for the unit.
    """
    column = table.column(name)
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _of_moments(table, name, column)
    if _is_text(column) and not _starts_as_number(column):
        return _of_moments(table, name, _parsed(table, name, column))
    numbers = table.numbers(name)
    largest = float(np.abs(numbers).max())
    if unit is None:
        if largest >= _LEAST_US:
            msg = (
                f"{table.file}: {table.real(name)} goes up to {largest:.6g}, too much for ms; "
                "say time_unit in data.toml"
            )
            raise RalmError(msg)
        unit = "ms" if largest >= _LEAST_MS else "s"
    scaled = numbers / PER_MS[unit]
    if np.abs(scaled).max() >= _MOST_MS:
        msg = f"{table.file}: {table.real(name)} goes up to {largest:.6g}, which cannot be {unit} since 1970"
        raise RalmError(msg)
    return scaled.astype(np.int64)


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _starts_as_number(column: Any) -> bool:
    try:
        column[0].cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True


def _parsed(table: Table, name: str, column: Any) -> Any:
    """Text as timestamps; if one says its offset from UTC, all must."""
    reasons = []
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        try:
            return column.cast(kind)
        except pa.ArrowInvalid as error:
            reasons.append(error)
    rows = (row for row, value in enumerate(column) if not any(_is_moment(value, zone) for zone in (None, "UTC")))
    row = next(rows, None)
    if row is None:
        msg = f"{table.file}: some values of {table.real(name)} have an offset from UTC and some have none"
    else:
        msg = (
            f"{table.place(row)}: {table.real(name)} is {column[row].as_py()!r}, neither a number nor a time "
            "such as 2024-11-24T08:00:00Z"
        )
    raise RalmError(msg) from reasons[0]


def _is_moment(value: Any, zone: str | None) -> bool:
    try:
        value.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        return False
    return True


def _of_moments(table: Table, name: str, moments: Any) -> Ints:
    missing = np.flatnonzero(moments.is_null().to_numpy(zero_copy_only=False))
    if len(missing):
        msg = f"{table.place(int(missing[0]))}: {table.real(name)} is missing"
        raise RalmError(msg)
    zone = getattr(moments.type, "tz", None)
    found: Ints = moments.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64()).to_numpy()
    return found
