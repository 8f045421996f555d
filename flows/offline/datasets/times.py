"""Times of events, however they are written, as milliseconds since the epoch, rounded to the nearest."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.offline.datasets.layout import others, time_faults
from flows.offline.datasets.tables import Table, with_points
from flows.support.errors import RalmError
from ralm.features import Ints

EXCEL = "excel"
"""The unit of what Excel has for a time: days since the end of 1899."""
_EXCEL_DAYS = (25_569, 20_000, 80_000)
"""The day that is 1970-01-01, and from which to which days a whole column is likelier to be such than seconds."""
PER_MS = {"s": 1e-3, "ms": 1.0, "us": 1e3, "ns": 1e6}
"""How many of each unit make a millisecond."""
_LEAST = {"s": 1e8, "ms": 1e11, "us": 1e14, "ns": 1e17}
"""Numbers from here on, up to a thousand times as much, are of that unit: in it they lie between 1973 and 5138."""
_MOST_MS = 2**53
_FRACTION = re.compile(r"[.,](\d+)")
_MORE_DIGITS = re.compile(r"([.,]\d{6})\d+")
_COMPACT = re.compile(r"(\d{8})(?:[T ]?(\d{6})(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
"""ISO 8601 without separators: 20241124, 20241124T080000Z."""
_APART = re.compile(r"\s+(UTC|GMT|Z|[+-]\d{2}:?\d{2})$")
_ZONE = re.compile(r"\d\s*([A-Z]{3,4})$")
_MOSTLY = 0.5
_COMPACT_NUMBERS = ((19_700_101, 20_991_231, "%Y%m%d"), (19_700_101_000_000, 20_991_231_235_959, "%Y%m%d%H%M%S"))
"""Numbers that may be dates: in seconds the first are days of August 1970, in ms the second are of the year 2594."""


def times_ms(table: Table, name: str, unit: str | None = None, form: str = "") -> Ints:
    """A column of times as ms since the epoch, int64[n].

    Numbers are seconds, or milliseconds when they are 1e11 or more, unless the unit is given; numbers like 20241124
    are dates. Text that is no number is ISO 8601, with or without an offset from UTC, and UTC without. Dates and
    timestamps of Parquet are taken as they are.

    Args:
        table: the table.
        name: the column.
        unit: of numbers: s, ms, us, ns or excel.
        form: how text is written, as for ``strptime``; empty for ISO 8601.

    Raises:
        RalmError: naming the row that cannot be read, or asking for the unit.
    """
    try:
        _refuse_missing(table, name)
        times = _times(table, name, table.column(name), unit, form)
    except _WrongRowsError as error:
        left = np.ones(len(table), np.bool_)
        left[error.rows] = False
        if not left.any():
            raise
        words = str(error)
        try:  # whatever else is wrong with the column is said at once
            times_ms(table.only(left), name, unit, form)
        except RalmError as more:
            words += f"\n{more}"
        raise RalmError(words) from error
    faults = list(time_faults(times, lambda row: f"{table.place(row)}: {table.real(name)}"))
    if faults:
        raise RalmError("\n".join(faults))
    return times


class _WrongRowsError(RalmError):
    """Some rows cannot be read; the others perhaps can."""

    def __init__(self, words: str, rows: Ints) -> None:
        super().__init__(words)
        self.rows = rows


def _refuse_missing(table: Table, name: str) -> None:
    column = table.column(name)
    missing = column.is_null()
    if _is_text(column):
        missing = pc.or_(missing, pc.equal(pc.utf8_trim_whitespace(column).fill_null(""), ""))
    rows = np.flatnonzero(missing.to_numpy(zero_copy_only=False))
    if len(rows):
        msg = f"{table.place(int(rows[0]))}: {table.real(name)} is missing{others(len(rows))}"
        raise _WrongRowsError(msg, rows)


def _times(table: Table, name: str, column: Any, unit: str | None, form: str) -> Ints:
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return _of_moments(table, name, column)
    if form:
        return _of_form(table, name, form)
    if _is_text(column):
        column = with_points(pc.utf8_trim_whitespace(column))
        if not _mostly_numbers(column):
            return _of_moments(table, name, _parsed(table, name, column))
    numbers = table.numbers(name)
    for least, most, dates in _COMPACT_NUMBERS if unit is None else ():
        # Most of them tell: 99991231 stands for "none" among dates, and is no time in seconds then.
        if np.mean((numbers >= least) & (numbers <= most)) > _MOSTLY and _are_of_form(table, name, dates):
            return _of_form(table, name, dates)
    unit = unit or _unit_of(table, name, numbers)
    if pa.types.is_integer(column.type) and unit in ("us", "ns"):
        return _rounded(column.cast(pa.int64()).to_numpy(zero_copy_only=False), int(PER_MS[unit]))
    return _of_numbers(table, name, numbers, unit)


def _of_numbers(table: Table, name: str, numbers: NDArray[np.float64], unit: str) -> Ints:
    if unit == EXCEL:
        scaled = np.round((numbers - _EXCEL_DAYS[0]) * 86_400) * 1000  # its fractions are of days, and no finer
    else:
        scaled = numbers * 1000 if unit == "s" else numbers / PER_MS[unit]
    beyond = np.flatnonzero(np.abs(scaled) >= _MOST_MS)
    if len(beyond):
        row = int(beyond[0])
        msg = (
            f"{table.place(row)}: {table.real(name)} is {numbers[row]:.6g}, which cannot be {unit} since "
            f"1970{others(len(beyond))}"
        )
        raise RalmError(msg)
    times: Ints = np.floor(scaled + 0.5).astype(np.int64)
    return times


def _unit_of(table: Table, name: str, numbers: NDArray[np.float64]) -> str:
    """The unit that numbers are in, by their size; all must be of one."""
    sizes = np.searchsorted(list(_LEAST.values()), np.abs(numbers), side="right")
    units = [unit for place, unit in enumerate(_LEAST, 1) if (sizes == place).any()]
    if len(units) > 1:
        rows = [int(np.flatnonzero(sizes == list(_LEAST).index(unit) + 1)[0]) for unit in units]
        where = ", ".join(
            f"{numbers[row]:.13g} of {table.place(row)} looks like {unit}"
            for row, unit in zip(rows, units, strict=True)
        )
        msg = f"{table.file}: {table.real(name)} has times of several units: {where}; bring them into one"
        raise RalmError(msg)
    unit = units[0] if units else "s"
    if len(numbers) and _EXCEL_DAYS[1] <= numbers.min() and numbers.max() <= _EXCEL_DAYS[2]:
        msg = (
            f"{table.file}: {table.real(name)} goes from {numbers.min():g} to {numbers.max():g}, as days in Excel do: "
            f'say time_unit = "{EXCEL}" in data.toml, or "s" if these are seconds since 1970'
        )
        raise RalmError(msg)
    if unit in ("us", "ns"):
        msg = (
            f"{table.file}: {table.real(name)} goes up to {float(np.abs(numbers).max()):.6g}, too much for ms; "
            f'say time_unit = "{unit}" in data.toml if that is what it is'
        )
        raise RalmError(msg)
    return unit


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _mostly_numbers(column: Any) -> bool:
    """Whether the first values that are there are numbers."""
    first = [value for value in column[:100].to_pylist() if value]
    return sum(_is_number(value) for value in first) * 2 > len(first)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _parsed(table: Table, name: str, column: Any) -> Any:
    """Text as timestamps; if one says its offset from UTC, all must."""
    reasons = []
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        for text in (column, _plain(column)):
            try:
                return text.cast(kind)
            except pa.ArrowInvalid as error:
                reasons.append(error)
    plain = _plain(column)
    rows = [row for row, value in enumerate(plain) if not any(_is_moment(value, zone) for zone in (None, "UTC"))]
    if not rows:
        with_offset = next(row for row, value in enumerate(plain) if not _is_moment(value, None))
        without = next(row for row, value in enumerate(plain) if _is_moment(value, None))
        msg = (
            f"{table.file}: some values of {table.real(name)} have an offset from UTC and some have none: "
            f"{column[with_offset].as_py()!r} of {table.place(with_offset)}, {column[without].as_py()!r} of "
            f"{table.place(without)}"
        )
        raise RalmError(msg) from reasons[0]
    value = column[rows[0]].as_py()
    place = table.place(rows[0])
    if _is_number(value):
        msg = f"{place}: {table.real(name)} is the number {value} among times that are text{others(len(rows))}"
    else:
        msg = (
            f"{place}: {table.real(name)} is {value!r}, neither a number nor a time "
            f"such as 2024-11-24T08:00:00Z{others(len(rows))}; {_hint(value)}"
        )
    raise _WrongRowsError(msg, np.array(rows)) from reasons[0]


def _hint(value: str) -> str:
    if zone := _ZONE.search(value):
        return f"a zone's name, {zone[1]}, does not tell its offset: write it as a number, such as +01:00"
    return "say time_format in data.toml if it is a date"


def _plain(column: Any) -> Any:
    """Text as Arrow takes it: fractions of at most six digits, and dates with separators."""
    return pa.array([value and _plain_time(value) for value in column.to_pylist()], pa.string())


def _plain_time(text: str) -> str:
    compact = _COMPACT.fullmatch(text)
    if compact:
        day, clock, zone = compact.groups()
        fraction = _FRACTION.search(text)
        text = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        if clock:
            text += f"T{clock[:2]}:{clock[2:4]}:{clock[4:]}{fraction[0] if fraction else ''}{zone or ''}"
    text = _APART.sub(lambda zone: "Z" if zone[1] in ("UTC", "GMT", "Z") else zone[1], text)
    fraction = _FRACTION.search(text)
    if fraction:
        text = text.replace(fraction[0], f".{fraction[1][:6]}", 1)
    return text


def _is_moment(value: Any, zone: str | None) -> bool:
    try:
        return bool(value.is_valid and value.cast(pa.timestamp("us", zone)).is_valid)
    except pa.ArrowInvalid:
        return False


def _of_form(table: Table, name: str, form: str) -> Ints:
    """Text in a form of ``strptime``; UTC unless it says its offset."""
    found: dict[str, int] = {}
    texts = table.strings(name).to_pylist()
    for row, text in enumerate(texts):
        if text in found:
            continue
        try:
            moment = datetime.strptime(_of_six(text, form), form)  # noqa: DTZ007 (given UTC below where it has no offset)
        except ValueError:
            wrong = set(_not_of_form(list(dict.fromkeys(texts)), form))
            rows = np.array([row for row, text in enumerate(texts) if text in wrong])
            msg = (
                f"{table.place(row)}: {table.real(name)} is {text!r}, not a time of the form {form}{others(len(rows))}"
            )
            raise _WrongRowsError(msg, rows) from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found[text] = _round_half_up(moment)
    return np.array([found[text] for text in texts], np.int64)


def _of_six(text: str, form: str) -> str:
    """Text with at most six digits of a second, which are all that ``%f`` takes."""
    return _MORE_DIGITS.sub(r"\1", text.strip()) if "%f" in form else text.strip()


def _are_of_form(table: Table, name: str, form: str) -> bool:
    """Whether most of the different values are of a form: numbers may look like dates by their size alone."""
    texts = pc.unique(table.strings(name)).to_pylist()[:1000]
    return sum(1 for _ in _not_of_form(texts, form)) * 2 <= len(texts)


def _round_half_up(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds + 500) // 1000


def _not_of_form(texts: list[str], form: str) -> Iterator[str]:
    for text in texts:
        try:
            datetime.strptime(_of_six(text, form), form)  # noqa: DTZ007 (only whether it can be read)
        except ValueError:
            yield text


def _of_moments(table: Table, name: str, moments: Any) -> Ints:
    if pa.types.is_date(moments.type):
        moments = moments.cast(pa.timestamp("ms"))
    unit = moments.type.unit
    whole: Ints = moments.cast(pa.int64()).to_numpy(zero_copy_only=False)
    if unit == "s":
        if len(whole) and np.abs(whole).max() >= _MOST_MS // 1000:
            row = int(np.abs(whole).argmax())
            msg = f"{table.place(row)}: {table.real(name)} is {whole[row]} s since 1970, which is no time of a click"
            raise RalmError(msg)
        return whole * 1000
    return whole if unit == "ms" else _rounded(whole, int(PER_MS[unit]))


def _rounded(whole: Ints, per_ms: int) -> Ints:
    """Exactly, as float64 does not hold nanoseconds since 1970."""
    quotient, rest = np.divmod(whole, per_ms)
    return quotient + (rest * 2 >= per_ms)
