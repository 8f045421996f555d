"""Guesses which columns of a table have ids of users and of items: by their names, or else by their values."""

import re
from dataclasses import replace

from flows.offline.datasets.cell_lists import label_in, separator_in, with_lists
from flows.offline.datasets.draft import KEYS
from flows.offline.datasets.roles import is_key, rank
from flows.offline.datasets.survey import Look
from flows.offline.datasets.tables import holds_lists
from flows.offline.datasets.time_guess import looks_like_time

_LEAST_REPEATED = 2
_LEAST_USERS = 20
_MOST_MARKS = 11
"""Numbers of so few different values may be ratings."""
_ITEM = re.compile(r"B[0-9A-Z]{9}|97[89]\d{10}|(https?:/)?/\S+")
"""An ASIN, an ISBN, or where a page is."""
_LOOKED_AT = 100
_COUNT_DIGITS = 3
"""Columns of fewer values, or of numbers that are no longer, are taken for ids where there are no others."""
_NEARLY = 0.9
"""Of the columns of a matrix, so many have numbers, and mostly nothing."""


def is_matrix(look: Look) -> bool:
    """Whether a table has a row for each user and a column for each item: numbers alone, many of them nothing."""
    first, *others = look.columns.values()
    numbers = [facts for facts in others if facts.type in ("whole number", "number", "true or false")]
    if not first.is_unique or len(others) < _LEAST_USERS or len(numbers) < _NEARLY * len(others):
        return False
    few = [facts for facts in numbers if facts.missing * 2 > facts.rows or facts.distinct <= _MOST_MARKS]
    return len(few) >= _NEARLY * len(numbers)


def both_keys(look: Look, looks: list[Look]) -> dict[str, str]:
    """The columns of users and of items, by name if one has one, else by values."""
    known = named_keys(look)
    others = [name for name in id_columns(look, looks) if name not in known.values()]
    lacking = [role for role in KEYS.values() if role not in known]
    chosen: list[str] = []
    for name in others:
        if len(chosen) < len(lacking) and not any(_goes_with(look, each, name) for each in [*known.values(), *chosen]):
            chosen.append(name)
    # Users come first, unless their column has what items are called everywhere.
    chosen.sort(key=lambda name: (_has_items(look, name), list(look.columns).index(name)))
    known |= dict(zip(lacking, chosen, strict=False))
    return {role: known[role] for role in KEYS.values() if role in known}


def _has_items(look: Look, name: str) -> bool:
    """Whether the values of a column are numbers of goods or books, or addresses of pages."""
    words = look.table.strings(name)[:_LOOKED_AT].to_pylist()
    return all(_ITEM.fullmatch(word) for word in words)


def _goes_with(look: Look, name: str, other: str) -> bool:
    """Whether one of two columns is told by the other: a name beside a number, a category of an item."""
    most = max(look.columns[name].distinct, look.columns[other].distinct)
    return look.table.pairs(name, other) <= most + most // 100


def keys_with_cells(look: Look, known: dict[str, str]) -> tuple[int, dict[str, str]] | None:
    """The number of events, and the columns of users and items, if a column has lists of items in its cells.

    Items that are labelled, as shown or clicked, come before others.
    """
    user = known.get("user_id") or known.get("item_id")
    single = [name for name, facts in look.columns.items() if facts.type != "list"]
    if user is None or user not in single:
        unique = sorted((name for name in single if look.columns[name].is_unique), key=lambda name: not is_key(name))
        user = next(iter(unique), single[0] if look.names and single else None)
    found = []
    for name, facts in look.columns.items():
        if name == user or facts.type not in ("text", "list"):
            continue
        table = look.table
        if not holds_lists(table.columns[name]):
            separator = separator_in(table.strings(name), ids=True)
            if separator is None:
                continue
            table = with_lists(table, {name: separator})
        lists = table.columns[name]
        flat = lists.flatten()
        values = look.of(replace(table, columns={name: flat}))
        if len(flat) and not looks_like_time(values, name):
            count = values.columns[name].distinct
            found.append((name == known.get("item_id"), bool(label_in(lists)), count, len(flat), name))
    if user is None or not found:
        return None
    *_, size, item = max(found)
    return size, {"user_id": user, "item_id": item}


def id_columns(look: Look, looks: list[Look]) -> list[str]:
    """The columns whose values come again and again as ids do, the likeliest first: no times, no measures."""
    names = []
    for name, facts in look.columns.items():
        repeated = _LEAST_REPEATED <= facts.distinct <= facts.rows / 2 and not facts.missing
        if repeated and facts.type in ("text", "whole number") and not looks_like_time(look, name):
            names.append(name)
    elsewhere = {
        name
        for other in looks
        if other is not look and not other.names
        for name, facts in other.columns.items()
        if facts.is_unique
    }

    def unlikely(name: str) -> tuple[bool, bool, bool, bool, int]:
        facts = look.columns[name]
        counts = facts.type == "whole number" and facts.longest <= _COUNT_DIGITS  # or ratings, or ages
        timed = bool(rank(name, "timestamp"))  # hours as 1745 come again, too
        return name not in elsewhere, timed, facts.distinct < _LEAST_USERS, counts, names.index(name)

    return sorted(names, key=unlikely)


def named_keys(look: Look) -> dict[str, str]:
    """The columns that are called like users and like items, two different ones."""
    users, items = (look.like(role) for role in KEYS.values())
    pairs = [(user, item) for user in users for item in items if user != item]
    if pairs:
        return dict(zip(KEYS.values(), pairs[0], strict=True))
    alone = [(role, names[0]) for role, names in zip(KEYS.values(), (users, items), strict=True) if names]
    return dict(alone[:1])
