"""Guesses how the times of a table are written."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.config.limits import END_OF_DATA_TIME
from flows.offline.datasets.event_shapes import with_clock
from flows.offline.datasets.roles import is_key
from flows.offline.datasets.survey import Look
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms
from flows.support.errors import RalmError

_LEAST_REPEATED = 2
_SECONDS_TO = [(300_000_000 * unit, END_OF_DATA_TIME // 1000 * unit) for unit in (1, 10**3, 10**6, 10**9)]
"""Whole numbers between these, all of a column, are more likely seconds since 1970, or parts of them, than others."""
_CLOCKS = ("%H", "%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p")
_FORMS = [
    f"{day}{clock}"
    for day in (
        *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y"),
        *("%d.%m.%y", "%d-%b-%y", "%Y年%m月%d日"),
        *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%m %d, %Y"),
    )
    for clock in (
        *("", " %H", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S"),
        *(", %I:%M %p", ", %I:%M:%S %p", " %H:%M:%S %z"),
    )
] + [
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d-%H-%M-%S",
    "%d-%b-%y %I.%M.%S.%f %p",
    *(f"{day} {clock}" for day in ("%Y-%m-%d", "%Y%m%d") for clock in _CLOCKS),
]
_DAY = 86_400_000
_SAMPLE = 100
_COUNT_DIGITS = 4
"""Whole numbers that are no longer, and come again, count hours or days, or are times of day such as 1631."""
_HOURS = 24
_HOUR = re.compile(r"(?i)hour|stunde|heure|hora|hrs?$|小时")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")


def time_forms(look: Look, column: str) -> Iterator[dict[str, Any]]:
    """What ``data.toml`` must say for a column of times to be read; nothing where it needs to say nothing."""
    table = look.table.only(_is_there(look, column))
    sample = table.only(np.arange(len(table)) < _SAMPLE)
    if not len(table):
        return
    said = _without_form(look, column, (sample, table))
    if said is not None:
        yield from said
        return
    for form in _FORMS:
        if _is_form(sample, column, form) and _is_form(table, column, form):
            yield {"time_format": form}


def _is_there(look: Look, column: str) -> NDArray[np.bool_]:
    """Which rows have a value, bool[n]."""
    texts = pc.utf8_trim_whitespace(look.table.strings(column))
    there: NDArray[np.bool_] = pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
    return there


def _without_form(look: Look, column: str, parts: tuple[Table, ...]) -> list[dict[str, Any]] | None:
    """What must be said of times that need no form, or that cannot have one; None if a form is to be looked for.

    What a few rows are not, all are not: it takes long to find that of all.
    """
    for part in parts:
        try:
            times_ms(part, column)
        except RalmError as error:
            unit = next((each for each in ("us", "ns", "excel") if f'time_unit = "{each}"' in str(error)), None)
            if unit:
                return [{"time_unit": unit}]
            return None if "not a time" in str(error) or "neither a number" in str(error) else []
    return [] if is_count(look, column) else [{}]


def is_count(look: Look, column: str) -> bool:
    """Whether a column has hours, days of the week or the like, and no times."""
    facts = look.columns[column]
    small = facts.type == "whole number" and facts.longest <= _COUNT_DIGITS
    return small and facts.distinct * 2 <= facts.rows


def is_early(look: Look, column: str) -> bool:
    """Whether a column has whole numbers that as seconds would all be of long ago, and are likely something else."""
    if look.columns[column].type != "whole number":
        return False
    there = look.table.only(_is_there(look, column))
    try:
        return bool(np.all(times_ms(there, column) < _SECONDS_TO[0][0] * 1000))
    except RalmError:  # of a unit that must be said
        return False


def clock_forms(look: Look, column: str, clock: str) -> Iterator[dict[str, Any]]:
    """What ``data.toml`` must say for a column of days and one of times of day to be read as one."""
    joined = with_clock(replace(look.table, aliases={"timestamp": column}), clock)
    yield from time_forms(replace(look, table=replace(joined, aliases={})), column)


def _is_form(table: Table, column: str, form: str) -> bool:
    try:
        times_ms(table, column, form=form)
    except RalmError:
        return False
    return True


def looks_like_time(look: Look, column: str) -> bool:
    """Whether a column holds times, whatever it is called: dates of a known form, or numbers of seconds or less."""
    facts = look.columns[column]
    if facts.type == "time":
        return True
    if facts.missing or facts.distinct < _LEAST_REPEATED:
        return False
    if facts.type == "text":
        return any(True for _ in time_forms(look, column))
    if facts.type != "whole number" or is_key(column):
        return False
    numbers = look.table.numbers(column)
    ends = [(low, high) for low, high in _SECONDS_TO if low <= numbers.min() and numbers.max() < high]
    return bool(ends)


def is_finer(events: Look, found: dict[str, list[dict[str, Any]]], name: str, column: str) -> bool:
    """Whether a column has the moments of what another has the days of."""
    if name == column or column not in found:
        return False
    there = [events.table.strings(each) for each in (column, name)]
    both = pc.and_(*(pc.not_equal(texts, "") for texts in there)).to_numpy(zero_copy_only=False)
    days, moments = (
        times_ms(events.table.only(both), each, found[each][0].get("time_unit"), found[each][0].get("time_format", ""))
        for each in (column, name)
    )
    same = np.abs(moments // _DAY * _DAY - days) <= _DAY  # wherever a day begins
    return bool((days % _DAY == 0).all() and (moments % _DAY != 0).any() and same.all())


def is_clock(look: Look, column: str) -> bool:
    """Whether a column has times of day."""
    texts = look.table.strings(column)[:_SAMPLE].to_pylist() if look.columns[column].distinct else []
    return bool(texts) and (is_hour(look, column) or all(_CLOCK.fullmatch(text.strip()) for text in texts if text))


def is_hour(look: Look, column: str) -> bool:
    """Whether a column has hours of the day, and is called so."""
    facts = look.columns[column]
    if facts.type != "whole number" or facts.missing or not 1 < facts.distinct <= _HOURS or not _HOUR.search(column):
        return False
    hours = look.table.numbers(column)
    return bool(hours.min() >= 0 and hours.max() < _HOURS)
