"""Guesses what is known of users and items, from their tables or from the events."""

import numpy as np
import pyarrow.compute as pc

from flows.offline.datasets.assemble import written_otherwise
from flows.offline.datasets.cell_lists import separator_in
from flows.offline.datasets.draft import KEYS, Draft
from flows.offline.datasets.field_guess import guessed_kind
from flows.offline.datasets.survey import Look
from flows.offline.datasets.tables import holds_lists
from flows.offline.datasets.words import among
from flows.support.errors import RalmError
from flows.support.text import counted

_NEARLY_ONE = 1.05
"""So many different values has a column for each item that it says something of."""
_LONGEST_TITLE = 300
_FEW = 5
_ROLES = ("title", "categories")


def guess_users(draft: Draft, users: Look) -> None:
    """The kinds of the users' fields."""
    for name, facts in users.columns.items():
        if not draft.is_free(users, name):
            continue
        kind, why = guessed_kind(users, name, facts)
        if kind == "categorical" and facts.type == "text" and (separator := _lists(users, name)):
            draft.lists[name], kind = separator, "multivalent"
            draft.note(f"{name} has several values in a cell, with {separator!r} between them: look at [lists]")
        draft.kinds[name] = kind
        draft.taken[users.table.file, name] = f"{kind}: {why}" if why else kind
        if kind == "continuous" and facts.missing:
            draft.top["blank_numbers"] = "mean"
            draft.note(f"{facts.missing:,} users have no {name}, and are given the mean: look at blank_numbers")
        if why:
            draft.note(f"{name} is {'left out' if kind == 'ignore' else kind}: {why}")


def guess_items(draft: Draft, items: Look) -> None:
    """The items' titles and categories."""
    if "items" in draft.long or draft.top.get("repeated"):
        return
    title = next((name for name in items.like("title") if items.columns[name].longest <= _LONGEST_TITLE), None)
    categories = _categories(items)
    if items.names:
        title = next((name for name in items.columns if draft.is_free(items, name) and _is_title(items, name)), None)
        categories = next((name for name in items.columns if _is_category(draft, items, name)), None)
    draft.name(items, "title", title)
    _name_categories(draft, items, categories)


def guess_items_of_events(draft: Draft, events: Look) -> None:
    """What the events themselves say of their items, each of them the same of one item."""
    for role in _ROLES:
        names = events.columns if events.names else events.like(role)
        named = [name for name in names if draft.is_free(events, name) and events.columns[name].distinct > 1]
        named.sort(key=lambda name: _is_code(events, name))
        column = next((name for name in named if _is_of_items(draft, events, name, role)), None)
        if column is None:
            continue
        if role == "title":
            draft.name(events, role, column)
        else:
            _name_categories(draft, events, column)
        draft.said.add(role)
        draft.note(f"{column} says the same of an item in nearly all rows: it is taken for the {role} of items")


def guess_strangers(draft: Draft, tables: dict[str, Look]) -> None:
    """Users and items of events that are in no table, and ids that a table has twice."""
    events = tables["events"]
    for kind, role in KEYS.items():
        look = tables.get(kind)
        if look is None:
            continue
        column = draft.column(look, role)
        facts = look.columns[column]
        if facts.distinct + facts.missing < facts.rows and "repeated" not in draft.top and kind not in draft.long:
            draft.top["repeated"] = "merge"
            again = counted(facts.rows - facts.distinct - facts.missing, "row")
            draft.note(f"{look.called}: {again} of a {column} that is there already, put together with it (repeated)")
        try:
            named = events.table.distinct(draft.column(events, role))
            known = look.table.distinct(column)
        except RalmError:
            continue
        named = named[named != ""]
        strangers = int(np.sum(~among(named, known)))
        if strangers:
            otherwise = written_otherwise(str(named[~among(named, known)][0]), known)
            draft.top["unlisted"] = "keep"
            draft.note(
                f"{strangers:,} of {len(named):,} {kind} that {events.called} names are not in {look.called}: they are "
                f"kept, with nothing known of them: look at unlisted{otherwise}"
            )


def _categories(items: Look) -> str | None:
    """The column likeliest to hold categories: of several values, and words rather than codes; no names of items."""

    def unlikely(name: str) -> tuple[bool, bool]:
        facts = items.columns[name]
        return facts.distinct == 1, facts.type in ("whole number", "number")

    names = [
        name
        for name in items.like("categories")
        if items.columns[name].type == "list" or _lists(items, name) or not _is_own(items, name)
    ]
    return min(names, key=unlikely, default=None)


def _name_categories(draft: Draft, look: Look, column: str | None) -> None:
    if column is None or not draft.is_free(look, column):
        return
    separator = _lists(look, column)
    if separator:
        draft.lists[draft.called(look, column, "categories")] = separator
        draft.note(f"{column} has several values in a cell, with {separator!r} between them: look at [lists]")
    draft.name(look, "categories", column)


def _lists(look: Look, column: str) -> str | None:
    """What separates the values in the cells of a column; None if it is no list, or needs no telling."""
    facts = look.columns[column]
    if holds_lists(look.table.columns[column]) or facts.type not in ("text", "time"):
        return None
    return separator_in(look.table.strings(column), ids=False)


def _is_own(items: Look, name: str) -> bool:
    return items.columns[name].type == "text" and items.columns[name].is_identifying


def _is_title(items: Look, name: str) -> bool:
    facts = items.columns[name]
    return facts.type == "text" and facts.is_identifying and facts.is_prose and facts.longest <= _LONGEST_TITLE


def _is_category(draft: Draft, items: Look, name: str) -> bool:
    facts = items.columns[name]
    if not draft.is_free(items, name) or facts.type not in ("text", "list") or facts.distinct <= 1:
        return False
    if facts.type == "list":  # of which many differ, made of few words
        words = items.table.text(name).tolist()
        return len(set("|".join(words).split("|"))) <= len(words) / 2
    return facts.distinct <= facts.rows / 5


def _is_code(events: Look, name: str) -> bool:
    """Whether a column has numbers or the like, or too many gaps, where another may have words."""
    facts = events.columns[name]
    first = events.table.text(name)[: _FEW * 5].tolist()
    digits = sum(any(sign.isdigit() for sign in text) for text in first) * 2 > len(first)
    return digits or facts.missing * _FEW > facts.rows


def _is_of_items(draft: Draft, events: Look, name: str, role: str) -> bool:
    if events.columns[name].type not in (("text",) if role == "title" else ("text", "whole number", "list")):
        return False
    try:
        item = draft.column(events, "item_id")
        texts = events.table.strings(name)
        named = events.table.only(pc.not_equal(texts, "").to_numpy(zero_copy_only=False))
        known = np.sum(named.distinct(item) != "")
        pairs = named.pairs(item, name)
    except RalmError:
        return False
    is_one = pairs and pairs <= _NEARLY_ONE * known
    if events.columns[name].type == "list":  # mixtures of few words
        return bool(is_one)
    differs = events.columns[name].distinct * 2 > known  # as titles do, and categories do not
    return bool(is_one and differs == (role == "title"))
