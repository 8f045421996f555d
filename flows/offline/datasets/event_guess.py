"""Guesses when events were, which of them are clicks, and what they say of their items."""

import re
import unicodedata
from math import ceil
from operator import itemgetter

import numpy as np
import pyarrow.compute as pc

from flows.offline.datasets.draft import KEYS, Draft
from flows.offline.datasets.kinds import is_boolean
from flows.offline.datasets.roles import EVENT_WORDS, NO_CLICK, VIEWS, is_click
from flows.offline.datasets.survey import Look
from flows.offline.datasets.time_guess import (
    clock_forms,
    is_clock,
    is_count,
    is_early,
    is_finer,
    is_hour,
    looks_like_time,
    time_forms,
)
from flows.support.errors import RalmError
from flows.support.text import counted

_LITTLE = 0.3
_MOST_EVENTS = 20
_LEAST_EVENTS = 20
_SCIENTIFIC = re.compile(r"-?\d([.,]\d+)?[eE]\+?\d+")
_TRUE = ("true", "yes", "t", "y", "1", "1.0")
_MOST_TIMES = 4
"""So many columns that are called like times are looked at."""
_LEAST_RATES, _MOST_RATES = 3, 11
_USUAL_MOST = 5
_STARS, _LIKED = {1.0, 2.0, 3.0, 4.0, 5.0}, 0.4
"""Numbers of these values alone, of which so many are good ones, are ratings, and no counts."""
_USUAL_SHARE = 0.8
"""Of ratings of 1 to 5, those from 4 on are clicks; of others, those from this share of the greatest on."""


def guess_events(draft: Draft, events: Look) -> None:
    """Name the columns of times, ratings and kinds of events, and say which events are clicks."""
    _time(draft, events)
    rating = next((name for name in events.like("rating") if draft.is_free(events, name)), None)
    if rating is not None:
        _rating(draft, events, rating)
    elif events.names:
        _perhaps_rated(draft, events)
    else:
        _perhaps_stars(draft, events)
    _event(draft, events)
    _truths(draft, events)
    _forms(draft, events)
    _gaps(draft, events)


def _time(draft: Draft, events: Look) -> None:
    free = [name for name in events.columns if draft.is_free(events, name) and not _is_one_moment(events, name)]
    named = [name for name in events.like("timestamp") if name in free]
    found = {name: fits for name in named[:_MOST_TIMES] if (fits := list(time_forms(events, name)))}
    column = _likeliest(events, free, list(found))
    if column is None:
        by_value = next((name for name in free if looks_like_time(events, name)), None)
        column = by_value or next(
            (name for name in named if not (is_clock(events, name) or is_count(events, name))), None
        )
    if column is None:
        draft.top["timed"] = False
        draft.note(f"{events.called} has no times: clicks are put in a random order{_why_untimed(draft, events)}")
        return
    fits = found.get(column) or list(time_forms(events, column))
    if finer := next((name for name in found if is_finer(events, found, name, column)), None):
        draft.note(f"{column} has whole days: {finer} is taken for the times")
        column, fits = finer, found[finer]
    elif clock := next((name for name in free if name != column and is_clock(events, name)), None):
        forms = list(clock_forms(events, column, clock))
        if forms:
            fits = forms
            draft.taken[events.table.file, clock] = "time_of_day"
            draft.clock = clock
            draft.note(f"{clock} has the times of day of {column}: the two are put together (time_of_day)")
        elif not is_hour(events, clock):
            draft.note(f"{clock} has times of day, and is not used: put day and time into one column")
    draft.name(events, "timestamp", column)
    draft.top |= fits[0] if fits else {}
    if len(fits) > 1:
        said = " or ".join(str(fit.get("time_format", "ISO 8601")) for fit in fits)
        draft.note(f"{column} may be {said}: look at time_format")


def _likeliest(events: Look, free: list[str], found: list[str]) -> str | None:
    """The first of the columns that are called like times and can be read so; hours as 1745 come after any dates."""
    column = next((name for name in found if not is_early(events, name)), None)
    if column is None and found:
        column = next((name for name in free if events.columns[name].type == "time"), found[0])
    return column


def _is_one_moment(events: Look, name: str) -> bool:
    """Whether a column says the same of so many events that it tells no order of them."""
    return events.columns[name].distinct == 1 and len(events.table) >= _LEAST_EVENTS


def _why_untimed(draft: Draft, events: Look) -> str:
    """What columns of times there are that cannot be used."""
    names = [name for name in events.like("timestamp") if draft.is_free(events, name)]
    same = next((name for name in names if _is_one_moment(events, name)), None)
    if same is not None:
        return f"; {same} is the same in all rows"
    apart = [name for part in ("year", "month", "day") for name in events.columns if name.lower() == part]
    if len(apart) > 1:
        return f"; {', '.join(apart)} are not put together: bring them as one column"
    counts = [name for name in names if is_count(events, name)]
    return f"; {', '.join(counts)} count, or are times of day, and are no times" if counts else ""


def _rating(draft: Draft, events: Look, rating: str) -> None:
    if not is_boolean(events.table.column(rating)):
        try:
            numbers = events.table.numbers(rating)
        except RalmError:
            draft.columns[events.table.file, "rating"] = ""
            draft.names["rating"] = [""]  # none, also where the column is called so
            words = _counted(_counts(events, rating)) if events.columns[rating].distinct <= _MOST_EVENTS else "text"
            draft.note(
                f"{rating} is no number but {words}, and is not used: if not all are clicks, say which ([filter])"
            )
            return
        least, most = float(numbers.min()), float(numbers.max())
        from_on: float = _USUAL_MOST - 1
        if most != _USUAL_MOST:
            from_on = ceil(most * _USUAL_SHARE) if most > 1 else most
            draft.top["least_rating"] = from_on
        share = float(np.mean(numbers >= from_on))
        draft.note(
            f"{rating} goes from {least:g} to {most:g}: those from {from_on:g} on are clicks, {share:.0%} of the rows: "
            "look at least_rating"
        )
    draft.name(events, "rating", rating)


def _perhaps_rated(draft: Draft, events: Look) -> None:
    """Of columns without names: small numbers of a few values may be ratings."""
    for name, facts in events.columns.items():
        if not draft.is_free(events, name) or not _LEAST_RATES <= facts.distinct <= _MOST_RATES:
            continue
        if facts.type in ("whole number", "number") and not facts.missing:
            numbers = events.table.numbers(name)
            if set(np.unique(numbers).tolist()) == _STARS and np.mean(numbers >= _USUAL_MOST - 1) >= _LIKED:
                _rating(draft, events, name)
                return
            if numbers.min() >= 0 and numbers.max() <= _MOST_RATES:
                draft.note(
                    f"{name} has {facts.distinct} numbers from {numbers.min():g} to {numbers.max():g}, and is not "
                    'used: if they are ratings, call it "rating" ([names])'
                )


def _perhaps_stars(draft: Draft, events: Look) -> None:
    """Of columns whose names say nothing of ratings: the numbers from 1 to 5 may be some."""
    for name, facts in events.columns.items():
        is_whole = facts.type == "whole number" and facts.distinct == len(_STARS) and not facts.missing
        if draft.is_free(events, name) and is_whole and set(events.table.numbers(name).tolist()) == _STARS:
            draft.note(
                f'{name} has the numbers from 1 to 5, and is not used: if they are ratings, say rating = "{name}" '
                "([columns])"
            )


def _event(draft: Draft, events: Look) -> None:
    named = [name for name in events.like("event") if draft.is_free(events, name)]
    others = [name for name in events.columns if draft.is_free(events, name) and _has_events(events, name)]
    column = next(iter([*(name for name in others if name in named), *others, *named]), None)
    if column is None or not 1 < events.columns[column].distinct <= _MOST_EVENTS:
        return
    count = _counts(events, column)
    good = [word for word in count if not any(bad in word.lower() for bad in NO_CLICK)]
    better = [word for word in good if not any(view in word.lower() for view in VIEWS)]
    is_enough = sum(count[word] for word in better) >= _LITTLE * sum(count[word] for word in good)
    wanted = (better if is_enough else good) or list(count)
    if set(wanted) == set(count) and not _has_events(events, column):
        draft.note(
            f"{column} is one of {_counted(count)}, and is not used: if not all are clicks, say which ([filter])"
        )
        return
    draft.filter[column] = wanted
    draft.taken[events.table.file, column] = "filter"
    draft.note(f"{column} is one of {_counted(count)}; taken for clicks: {', '.join(wanted)}: look at [filter]")


def _has_events(events: Look, name: str) -> bool:
    """Whether the values of a column are what people do."""
    facts = events.columns[name]
    if facts.type not in ("text", "list") or not 1 < facts.distinct <= _MOST_EVENTS:
        return False
    words = [word.lower() for word in events.table.distinct(name).tolist() if word]
    return sum(any(known in word for known in (*EVENT_WORDS, *VIEWS, *NO_CLICK)) for word in words) * 2 >= len(words)


def _counts(events: Look, column: str) -> dict[str, int]:
    """How often a column has each of its values, by these, ascending."""
    counts = pc.value_counts(events.table.strings(column)).to_pylist()
    return {each["values"]: each["counts"] for each in sorted(counts, key=itemgetter("values")) if each["values"]}


def _counted(count: dict[str, int]) -> str:
    return ", ".join(f"{word} ({n:,})" for word, n in sorted(count.items(), key=lambda one: -one[1]))


def _truths(draft: Draft, events: Look) -> None:
    """Columns that say of each event whether it is a click, or may say so."""
    for name, facts in events.columns.items():
        if not draft.is_free(events, name) or facts.distinct != 2 or facts.missing:
            continue
        values = events.table.distinct(name).tolist()
        if not (is_boolean(events.table.column(name)) or values in (["0", "1"], ["0.0", "1.0"])):
            continue
        true = next((value for value in values if value.lower() in _TRUE), values[1])
        if is_click(name):
            draft.filter[name] = [true]
            draft.taken[events.table.file, name] = "filter"
            draft.note(f"{name} tells clicks from other events: look at [filter]")
        else:
            draft.note(
                f"{name} says yes or no of each event, and is not used: if only those with {true} are clicks, say so "
                "([filter])"
            )


def _forms(draft: Draft, events: Look) -> None:
    """Ids that a person takes for one and the same."""
    for role in KEYS.values():
        column = draft.column(events, role)
        texts = events.table.distinct(column).tolist()
        rounded = [text for text in texts if _SCIENTIFIC.fullmatch(text)]
        if rounded:
            draft.note(
                f"{len(rounded):,} values of {column} are written as {rounded[0]}, whose last digits are lost, "
                "perhaps with those who differ by them: export them as text"
            )
        alike = len(texts) - len({unicodedata.normalize("NFC", text).strip() for text in texts})
        if alike:
            draft.note(
                f"{alike:,} values of {column} differ from others only by blanks, or by how their accents are "
                "written (Unicode's forms NFC and NFD): they are taken for different ids"
            )


def _gaps(draft: Draft, events: Look) -> None:
    """Events that name no one, or are of no time."""
    for role in (*KEYS.values(), "timestamp"):
        column = draft.columns.get((events.table.file, role))
        if column is None or events.columns[column].type == "list" or not events.columns[column].missing:
            continue
        draft.top["incomplete"] = "leave out"
        lacking = counted(events.columns[column].missing, "row")
        draft.note(f"{events.called}: {lacking} without {column}, left out: look at incomplete")
