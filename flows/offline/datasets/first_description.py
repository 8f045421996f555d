"""A first ``data.toml`` for a folder of one's own data, guessed from headers and values, with what was seen."""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from flows.offline.datasets.description import DESCRIPTION
from flows.offline.datasets.field_guess import guessed_kind
from flows.offline.datasets.kinds import is_boolean
from flows.offline.datasets.own_files import TABLE_SUFFIXES, usual_names
from flows.offline.datasets.reading import MISSING
from flows.offline.datasets.roles import rank
from flows.offline.datasets.survey import ColumnFacts, Look, look_at
from flows.offline.datasets.time_guess import is_clock, is_finer, looks_like_time, time_forms
from flows.offline.datasets.words import Text, among, as_words
from flows.support.errors import ConfigError, RalmError

_TABLE_WORDS = {
    "events": ("event", "click", "interaction", "rating", "log", "order", "transaction", "view", "purchase", "play"),
    "users": ("user", "customer", "member", "people", "person", "account", "visitor", "client", "reader"),
    "items": ("item", "product", "article", "movie", "film", "book", "catalog", "content", "goods", "song", "video"),
}
_KEYS = {"users": "user_id", "items": "item_id"}
_NO_CLICK = ("impression", "skip", "remove", "dislike", "refund", "return", "cancel", "error", "logout", "hide", "view")
"""Events that say little for an item, or something against it; views count where there is nothing better."""
_SCIENTIFIC = re.compile(r"-?\d([.,]\d+)?[eE]\+?\d+")
_MOST_EVENTS = 20
_LEAST_REPEATED = 2
_LEAST_USERS = 20
_COUNT_DIGITS = 3
"""Columns of fewer values, or of numbers that are no longer, are taken for ids where there are no others."""
_TRUE = ("true", "yes", "t", "y", "1", "1.0")
_IS_CLICK = ("click", "bought", "buy", "purchas", "like", "order", "convert", "watched", "read", "played", "positive")
_MOST_TIMES = 4
"""So many columns that are called like times are looked at."""
_NEARLY = 0.9
"""Of the rows of a table of users or items, so many have an id of their own, but for mistakes."""
_SHARED = 0.5
"""A table has so many of the ids that events name, or is another's."""
_LONG_ID = 5
_LEAST_RATES, _MOST_RATES = 3, 11
_USUAL_MOST = 5
_USUAL_SHARE = 0.8
"""Of ratings of 1 to 5, those from 4 on are clicks; of others, those from this share of the greatest on."""


@dataclass
class FirstDescription:
    """What was guessed.

    Attributes:
        text: of ``data.toml``.
        columns: what each column holds, and what it is taken as.
        notes: what a person should look at.
        problems: what cannot be used.
    """

    text: str = ""
    columns: list[tuple[ColumnFacts, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def describe_first(folder: Path) -> FirstDescription:
    """Guess what the tables of a folder are.

    Raises:
        ConfigError: when the folder has no table, or a description already.
    """
    if (folder / DESCRIPTION).exists():
        msg = (
            f"{folder / DESCRIPTION} is there already: leave --init out to go by it, or move it to another place to "
            "have another guessed"
        )
        raise ConfigError(msg)
    if not folder.is_dir():
        msg = f"{folder} is no folder"
        raise ConfigError(msg)
    looks, problems = look_at(folder)
    if not looks:
        msg = f"{folder} has no table ({', '.join(TABLE_SUFFIXES)}, or these with .gz) that can be read"
        raise ConfigError("\n".join([msg, *(line for lines in problems.values() for line in lines)]))
    return _Guess(folder, looks, problems).description()


class _Guess:
    """Puts a description together, table by table."""

    def __init__(self, folder: Path, looks: list[Look], problems: Mapping[str, list[str]]) -> None:
        self._found = FirstDescription()
        self._unread = problems
        self._folder, self._looks = folder, looks
        self._taken: dict[tuple[str, str], str] = {}
        self._names: dict[str, list[str]] = {}
        self._top: dict[str, Any] = {}
        self._kinds: dict[str, str] = {}
        self._filter: dict[str, list[str]] = {}
        self._headless: dict[str, list[str]] = {}

    def description(self) -> FirstDescription:
        tables = self._tables()
        events = tables.get("events")
        self._say_unread(needed=events is None)
        if events is None:
            self._found.problems.append(
                "no table has a column of users and one of items: say in data.toml what they are called ([columns]) "
                "and which file has the events ([files])"
            )
        else:
            self._events(events)
        self._say_unused(tables)
        if (users := tables.get("users")) is not None:
            self._users(users)
        if (items := tables.get("items")) is not None:
            self._name(items, "title", items.first_like("title"))
            self._name(items, "categories", _categories(items))
        self._found.text = "".join(self._lines(tables))
        for look in self._looks:
            for name, facts in look.columns.items():
                self._found.columns.append((facts, self._taken.get((look.table.file, name), "not used")))
        return self._found

    def _say_unread(self, *, needed: bool) -> None:
        """Of a file that cannot be read: it stands in the way only where it may be one of the tables."""
        for file, lines in self._unread.items():
            wanted = needed or any(word in file.lower() for words in _TABLE_WORDS.values() for word in words)
            (self._found.problems if wanted else self._found.notes).extend(lines)
        other = sorted({look.table.encoding for look in self._looks if look.table.encoding})
        for encoding in other:
            self._top["encoding"] = encoding
            files = ", ".join(look.called for look in self._looks if look.table.encoding == encoding)
            self._found.notes.append(f"{files} is not UTF-8 and read as {encoding}: look at names with accents")

    def _tables(self) -> dict[str, Look]:
        """Which table is which, and the columns of ids."""
        tables: dict[str, Look] = {}
        both = [look for look in self._looks if len(_named_keys(look)) == len(_KEYS)]
        if both:
            tables["events"] = max(both, key=lambda look: (_is_called(look, "events"), len(look.table)))
            for role, column in _named_keys(tables["events"]).items():
                self._name(tables["events"], role, column)
        elif (guess := self._by_values()) is not None:
            tables["events"] = guess
        for kind in _KEYS:
            self._key_table(tables, kind)
        self._say_how_written(tables)
        return tables

    def _key_table(self, tables: dict[str, Look], kind: str) -> None:
        """Find the table of users, or of items."""
        others = [look for look in self._looks if look not in tables.values()]
        keyed = [(look, *found) for look in others if (found := self._key(tables.get("events"), look, kind))]
        if keyed:
            look, key, _ = max(keyed, key=lambda one: (one[2], _is_called(one[0], kind), len(one[0].table)))
            tables[kind] = look
            self._name(look, _KEYS[kind], key)

    def _say_how_written(self, tables: dict[str, Look]) -> None:
        for kind, look in tables.items():
            if look.names:
                self._headless[kind] = list(look.names)
                self._found.notes.append(
                    f"{look.called}: its first line has values, and no names of columns, which are called "
                    f"{look.names[0]} to {look.names[-1]} here: look at [names] and [columns]"
                )
        marks = sorted({mark for look in tables.values() for mark in look.marks})
        if marks:
            self._top["missing"] = [*MISSING, *marks]
            self._found.notes.append(f"{', '.join(marks)} among numbers stands for no value: look at missing")

    def _say_unused(self, tables: dict[str, Look]) -> None:
        for look in self._looks:
            if look in tables.values():
                continue
            words = "it is neither events, nor users, nor items"
            if len(_named_keys(look)) == len(_KEYS) and "events" in tables:
                files = [each for one in (tables["events"], look) for each in _listed(one.said)]
                words = f"it has users and items too; if its rows are events as well, say events = {_toml(files)}"
                words += "".join(f", {role} = {_toml(names)}" for role, names in self._names_with(look))
            elif key := next((key for role in _KEYS.values() if (key := look.first_like(role))), None):
                words += f" (a table of these has one row for each {key})"
            self._found.notes.append(f"{look.called} is not used: {words}")

    def _names_with(self, look: Look) -> Iterator[tuple[str, list[str]]]:
        """What ``[columns]`` must say beside what it says for the events, so that another table is of them too."""
        for role in (*_KEYS.values(), "timestamp"):
            name, names = look.first_like(role), self._names.get(role, [])
            if name is not None and names and name not in names:
                yield role, [*names, name]

    def _key(self, events: Look | None, look: Look, kind: str) -> tuple[str, int] | None:
        """The column that tells a table's users or items apart, and how sure that is; None if it has none.

        Values tell more than names: a column that has what the events name, each once.
        """
        role, other = _KEYS[kind], next(_KEYS[each] for each in _KEYS if each != kind)
        if events is not None and (ids := self._ids_of(events, role)) is not None:
            shared = []
            for place, (name, facts) in enumerate(look.columns.items()):
                told = rank(name, role) or name == self._names[role][0] or (_is_telling(ids) and not rank(name, other))
                if told and facts.distinct >= _NEARLY * facts.rows and facts.type in ("text", "whole number", "number"):
                    share = float(np.mean(among(ids, np.unique(look.table.text(name)))))
                    shared.append((round(share, 1), -(rank(name, role) or 9), -place, name))
            if shared and max(shared)[0] >= _SHARED:
                return max(shared)[3], 2
        named = look.first_like(role)
        if named is not None and look.columns[named].is_unique:
            return named, 1
        if (
            named is None
            and _is_called(look, kind)
            and not _is_called(look, next(each for each in _KEYS if each != kind))
        ):
            named = next(
                (name for name, facts in look.columns.items() if "id" in name.lower() and facts.is_unique), None
            )
            return None if named is None else (named, 0)
        few = named is not None and look.columns[named].distinct >= _NEARLY * look.columns[named].rows
        return (named, 0) if named is not None and few and _is_called(look, kind) else None

    def _ids_of(self, events: Look, role: str) -> Text | None:
        try:
            ids = np.unique(events.table.text(self._names[role][0]))
        except RalmError:
            return None
        ids = ids[ids != ""]
        if len(ids) and (events.columns[self._names[role][0]].type == "list"):
            ids = np.unique(as_words("|".join(ids.tolist()).split("|")))
        return ids if len(ids) else None

    def _by_values(self) -> Look | None:
        """The table of events where no name tells: the longest in which two columns could be users and items."""
        found = [(look, columns) for look in self._looks if len(columns := self._both_keys(look)) == len(_KEYS)]
        if not found:
            return None
        look, columns = max(found, key=lambda one: len(one[0].table))
        for role, column in columns.items():
            self._name(look, role, column)
        users, items = columns.values()
        others = [name for name in self._id_columns(look) if name not in (users, items)]
        instead = f", and not {', '.join(others[:9])}" if others else ""
        self._found.notes.append(
            f"{look.called}: nothing is called like users or items; by their values {users} are taken for the users "
            f"and {items} for the items{instead}: look at [columns]"
        )
        return look

    def _both_keys(self, look: Look) -> dict[str, str]:
        """The columns of users and of items, by name if one has one, else by values."""
        known = _named_keys(look)
        others = [name for name in self._id_columns(look) if name not in known.values()]
        for role in _KEYS.values():
            if role not in known and others:
                known[role] = others.pop(0)
        return {role: known[role] for role in _KEYS.values() if role in known}

    def _id_columns(self, look: Look) -> list[str]:
        """The columns whose values come again and again as ids do, the likeliest first: no times, no measures."""
        names = []
        for name, facts in look.columns.items():
            repeated = _LEAST_REPEATED <= facts.distinct <= facts.rows / 2 and not facts.missing
            if repeated and facts.type in ("text", "whole number") and not looks_like_time(look, name):
                names.append(name)
        elsewhere = {
            name
            for other in self._looks
            if other is not look
            for name, facts in other.columns.items()
            if facts.is_unique
        }

        def unlikely(name: str) -> tuple[bool, bool, bool, int]:
            facts = look.columns[name]
            counts = facts.type == "whole number" and facts.longest <= _COUNT_DIGITS  # or ratings, or ages
            return name not in elsewhere, facts.distinct < _LEAST_USERS, counts, names.index(name)

        return sorted(names, key=unlikely)

    def _name(self, look: Look, role: str, column: str | None) -> None:
        if column is None or (look.table.file, column) in self._taken:
            return
        self._taken[look.table.file, column] = role
        names = self._names.setdefault(role, [])
        if column not in names:
            names.append(column)

    def _events(self, events: Look) -> None:
        self._time(events)
        free = [name for name in events.columns if (events.table.file, name) not in self._taken]
        rating = events.first_like("rating")
        if rating is not None and rating in free:
            self._rating(events, rating)
        elif events.names:
            self._perhaps_rated(events)
        self._event(events)
        self._truths(events)
        self._forms(events)

    def _time(self, events: Look) -> None:
        free = [name for name in events.columns if (events.table.file, name) not in self._taken]
        named = [name for name in events.like("timestamp") if name in free]
        found = {name: fits for name in named[:_MOST_TIMES] if (fits := list(time_forms(events, name)))}
        column = next(iter(found), None)
        if column is None:
            by_value = next((name for name in free if looks_like_time(events, name)), None)
            column = by_value or next(iter(named), None)
        if column is None:
            self._top["timed"] = False
            self._found.notes.append(f"{events.called} has no times: clicks are put in a random order")
            return
        if finer := next((name for name in found if is_finer(events, found, name, column)), None):
            self._found.notes.append(f"{column} has whole days: {finer} is taken for the times")
            column = finer
        elif clock := next((name for name in free if is_clock(events, name)), None):
            self._found.notes.append(
                f"{clock} has times of day, and is not used: put day and time into one column, such as 2024-11-24 08:00"
            )
        self._name(events, "timestamp", column)
        fits = found.get(column) or list(time_forms(events, column))
        self._top |= fits[0] if fits else {}
        if len(fits) > 1:
            self._found.notes.append(
                f"{column} may be {' or '.join(str(fit['time_format']) for fit in fits)}: look at time_format"
            )

    def _rating(self, events: Look, rating: str) -> None:
        column = events.table.column(rating)
        if not is_boolean(column):
            try:
                most = float(events.table.numbers(rating).max())
            except RalmError:
                return  # it is said when the data are brought
            if most != _USUAL_MOST:
                self._top["least_rating"] = ceil(most * _USUAL_SHARE) if most > 1 else most
                self._found.notes.append(f"{rating} goes up to {most:g}: look at least_rating")
        self._name(events, "rating", rating)

    def _perhaps_rated(self, events: Look) -> None:
        """Of columns without names: small numbers of a few values may be ratings."""
        for name, facts in events.columns.items():
            if (events.table.file, name) in self._taken or not _LEAST_RATES <= facts.distinct <= _MOST_RATES:
                continue
            if facts.type in ("whole number", "number") and not facts.missing:
                numbers = events.table.numbers(name)
                if numbers.min() >= 0 and numbers.max() <= _MOST_RATES:
                    self._found.notes.append(
                        f"{name} has {facts.distinct} numbers from {numbers.min():g} to {numbers.max():g}, and is not "
                        f'used: if they are ratings, say rating = "{name}" ([columns])'
                    )

    def _event(self, events: Look) -> None:
        column = events.first_like("event")
        if column is None or (events.table.file, column) in self._taken:
            return
        if not 1 < events.columns[column].distinct <= _MOST_EVENTS:
            return
        words = [word for word in np.unique(events.table.text(column)).tolist() if word]
        wanted = [word for word in words if not any(bad in word.lower() for bad in _NO_CLICK)]
        self._filter[column] = wanted or words
        self._taken[events.table.file, column] = "filter"
        self._found.notes.append(f"{column} is one of {', '.join(words)}: look at which of them are clicks ([filter])")

    def _truths(self, events: Look) -> None:
        """Columns that say of each event whether it is a click, or may say so."""
        for name, facts in events.columns.items():
            if (events.table.file, name) in self._taken or facts.distinct != 2 or facts.missing:
                continue
            values = np.unique(events.table.text(name)).tolist()
            if not (is_boolean(events.table.column(name)) or values in (["0", "1"], ["0.0", "1.0"])):
                continue
            true = next((value for value in values if value.lower() in _TRUE), values[1])
            if any(word in name.lower() for word in _IS_CLICK):
                self._filter[name] = [true]
                self._taken[events.table.file, name] = "filter"
                self._found.notes.append(f"{name} tells clicks from other events: look at [filter]")
            else:
                self._found.notes.append(
                    f"{name} says yes or no of each event, and is not used: if only those with {true} are clicks, say "
                    "so ([filter])"
                )

    def _forms(self, events: Look) -> None:
        """Ids that a person takes for one and the same."""
        for role in _KEYS.values():
            column = self._names[role][0]
            texts = np.unique(events.table.text(column)).tolist()
            rounded = [text for text in texts if _SCIENTIFIC.fullmatch(text)]
            if rounded:
                self._found.notes.append(
                    f"{len(rounded):,} values of {column} are written as {rounded[0]}, whose last digits are lost, "
                    "perhaps with those who differ by them: export them as text"
                )
            alike = len(texts) - len({unicodedata.normalize("NFC", text).strip() for text in texts})
            if alike:
                self._found.notes.append(
                    f"{alike:,} values of {column} differ from others only by blanks, or by how their accents are "
                    "written (Unicode's forms NFC and NFD): they are taken for different ids"
                )

    def _users(self, users: Look) -> None:
        for name, facts in users.columns.items():
            if (users.table.file, name) in self._taken:
                continue
            kind, why = guessed_kind(users, name, facts)
            self._kinds[name] = kind
            self._taken[users.table.file, name] = f"{kind}: {why}" if why else kind
            if kind == "continuous" and facts.missing:
                self._top["blank_numbers"] = "mean"
                self._found.notes.append(
                    f"{facts.missing:,} users have no {name}, and are given the mean: look at blank_numbers"
                )
            if why:
                self._found.notes.append(f"{name} is {'left out' if kind == 'ignore' else kind}: {why}")

    def _lines(self, tables: dict[str, Look]) -> Iterator[str]:
        yield "# Guessed from the headers and values of the tables: see docs/data.md, and change what is not so.\n"
        for key, value in self._top.items():
            yield f"{key} = {_toml(value)}\n"
        files: dict[str, str | list[str]] = {
            kind: look.said
            for kind, look in tables.items()
            if next((name for name in usual_names(kind) if (self._folder / name).exists()), None) != look.said
        }
        for kind in _KEYS:  # a file that is called so would be taken even so
            if kind not in tables and any((self._folder / name).exists() for name in usual_names(kind)):
                files[kind] = []
        names: dict[str, Any] = {
            role: columns[0] if len(columns) == 1 else columns
            for role, columns in self._names.items()
            if columns != [role]
        }
        for section, values in (
            ("files", files),
            ("names", self._headless),
            ("columns", names),
            ("filter", self._filter),
            ("kinds", self._kinds),
        ):
            if values:
                yield f"\n[{section}]\n"
            for key, value in values.items():
                yield f"{_toml_key(key)} = {_toml(value)}\n"


def _is_called(look: Look, kind: str) -> bool:
    stem = look.path.stem.lower()
    return any(word in stem for word in _TABLE_WORDS[kind])


def _named_keys(look: Look) -> dict[str, str]:
    """The columns that are called like users and like items, two different ones."""
    users, items = (look.like(role) for role in _KEYS.values())
    pairs = [(user, item) for user in users for item in items if user != item]
    if pairs:
        return dict(zip(_KEYS.values(), pairs[0], strict=True))
    alone = [(role, names[0]) for role, names in zip(_KEYS.values(), (users, items), strict=True) if names]
    return dict(alone[:1])


def _categories(items: Look) -> str | None:
    """The column likeliest to hold categories: of several values, and words rather than codes; no names of items."""

    def unlikely(name: str) -> tuple[bool, bool]:
        facts = items.columns[name]
        return facts.distinct == 1, facts.type in ("whole number", "number")

    names = [
        name for name in items.like("categories") if items.columns[name].type == "list" or not _is_own(items, name)
    ]
    return min(names, key=unlikely, default=None)


def _is_own(items: Look, name: str) -> bool:
    return items.columns[name].type == "text" and items.columns[name].is_identifying


def _listed(said: str | list[str]) -> list[str]:
    return [said] if isinstance(said, str) else said


def _is_telling(ids: Text) -> bool:
    """Whether ids are of a kind that no others are by chance, as small numbers would be."""
    words = ids[:100].tolist()
    return sum(len(word) >= _LONG_ID or not word.isdigit() for word in words) * 2 > len(words)


def _toml_key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else _toml(name)


def _toml(value: Any) -> str:
    """A value as TOML has it: as JSON does, but that a DEL may not stand in a text as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
