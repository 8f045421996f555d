"""Guesses how the times of a table are written."""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from flows.offline.datasets.survey import Look
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms
from flows.support.errors import RalmError

_LEAST_REPEATED = 2
_LEAST_SECONDS = 300_000_000
"""Whole numbers from here on, all of a column, are more likely seconds since 1970 than anything else."""
_FORMS = [
    f"{day}{clock}"
    for day in (
        *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%Y", "%m-%d-%Y", "%d/%m/%y", "%m/%d/%y"),
        *("%d %b %Y", "%d-%b-%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%m %d, %Y"),
    )
    for clock in (
        *("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", ", %H:%M", ", %H:%M:%S"),
        *(", %I:%M %p", ", %I:%M:%S %p", " %H:%M:%S %z"),
    )
] + [
    "%a %b %d %H:%M:%S %z %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%Y-%m-%d-%H-%M-%S",
    "%d-%b-%y %I.%M.%S.%f %p",
]
_DAY = 86_400_000
_SAMPLE = 100
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?( ?[AaPp][Mm])?")


def time_forms(look: Look, column: str) -> Iterator[dict[str, Any]]:
    """What ``data.toml`` must say for a column of times to be read; nothing where it needs to say nothing."""
    try:
        times_ms(look.table, column)
    except RalmError as error:
        unit = next((each for each in ("us", "ns", "excel") if f'time_unit = "{each}"' in str(error)), None)
        if unit:
            yield {"time_unit": unit}
            return
        if "not a time" not in str(error) and "neither a number" not in str(error):
            return
    else:
        yield {}
        return
    sample = look.table.only(np.arange(len(look.table)) < 100)
    for form in _FORMS:
        if _is_form(sample, column, form) and _is_form(look.table, column, form):
            yield {"time_format": form}


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
    return facts.type == "whole number" and bool(np.all(look.table.numbers(column) >= _LEAST_SECONDS))


def is_finer(events: Look, found: dict[str, list[dict[str, Any]]], name: str, column: str) -> bool:
    """Whether a column has the moments of what another has the days of."""
    if name == column or column not in found:
        return False
    days, moments = (
        times_ms(events.table, each, found[each][0].get("time_unit"), found[each][0].get("time_format", ""))
        for each in (column, name)
    )
    same = np.abs(moments // _DAY * _DAY - days) <= _DAY  # wherever a day begins
    return bool((days % _DAY == 0).all() and (moments % _DAY != 0).any() and same.all())


def is_clock(look: Look, column: str) -> bool:
    """Whether a column has times of day."""
    texts = look.table.strings(column)[:_SAMPLE].to_pylist() if look.columns[column].distinct else []
    return bool(texts) and all(_CLOCK.fullmatch(text.strip()) for text in texts if text)
