"""A first ``data.toml`` for a folder of one's own data, guessed from headers and values, with what was seen."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.offline.datasets.description import DESCRIPTION
from flows.offline.datasets.draft import KEYS, Draft, FirstDescription, as_toml
from flows.offline.datasets.event_guess import guess_events
from flows.offline.datasets.key_guess import is_matrix
from flows.offline.datasets.listing_guess import guess_items, guess_items_of_events, guess_strangers, guess_users
from flows.offline.datasets.own_files import TABLE_SUFFIXES, is_known, usual_names
from flows.offline.datasets.survey import Look, look_at
from flows.offline.datasets.table_guess import TABLE_WORDS, guess_tables, say_unused
from flows.support.errors import ConfigError


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
    looks, problems, copies = look_at(folder)
    if not looks:
        msg = f"{folder} has no table ({', '.join(TABLE_SUFFIXES)}, packed or not) that can be read"
        others = sorted(path.name for path in folder.iterdir() if path.is_file() and not is_known(path))
        if others and not problems:
            msg += f"; it has {', '.join(others[:9])}: give what is a table one of these endings"
        raise ConfigError("\n".join([msg, *(line for lines in problems.values() for line in lines)]))
    found = _Guess(folder, looks, problems).description()
    found.notes += copies
    return found


class _Guess:
    """Puts a description together, table by table."""

    def __init__(self, folder: Path, looks: list[Look], problems: Mapping[str, list[str]]) -> None:
        self._draft = Draft()
        self._unread = problems
        self._folder, self._looks = folder, looks

    def description(self) -> FirstDescription:
        draft = self._draft
        tables = guess_tables(draft, self._looks)
        events, users, items = (tables.get(name) for name in ("events", "users", "items"))
        self._say_unread(needed=events is None)
        if events is None:
            matrix = next((look for look in self._looks if is_matrix(look)), None)
            draft.found.problems.append(
                "no table has a column of users and one of items: say in data.toml what they are called ([columns]) "
                "and which file has the events ([files])"
                if matrix is None
                else f"{matrix.called} seems to have a row for each user and a column for each item, "
                f"{list(matrix.columns)[-1]!r} the last: bring a row for each user and item, user_id,item_id,rating"
            )
        else:
            guess_events(draft, events)
        say_unused(draft, self._looks, tables)
        if users is not None:
            guess_users(draft, users)
        if items is not None:
            guess_items(draft, items)
        elif events is not None:
            guess_items_of_events(draft, events)
        if events is not None:
            guess_strangers(draft, tables)
        draft.found.text = "".join(self._lines(tables))
        for look in self._looks:
            for name, facts in look.columns.items():
                draft.found.columns.append((facts, self._taken_as(look, name, events)))
        return draft.found

    def _taken_as(self, look: Look, name: str, events: Look | None) -> str:
        taken = self._draft.taken
        if (look.table.file, name) not in taken and look is self._draft.joined and events is not None:
            return taken.get((events.table.file, name), "not used")
        return taken.get((look.table.file, name), "not used")

    def _say_unread(self, *, needed: bool) -> None:
        """Of a file that cannot be read: it stands in the way only where it may be one of the tables."""
        found = self._draft.found
        for file, lines in self._unread.items():
            wanted = needed or any(word in file.lower() for words in TABLE_WORDS.values() for word in words)
            (found.problems if wanted else found.notes).extend(lines)
        other = sorted({look.table.encoding for look in self._looks if look.table.encoding})
        for encoding in other:
            self._draft.top["encoding"] = encoding
            looks = [look.called for look in self._looks if look.table.encoding == encoding]
            are = "is" if len(looks) == 1 else "are"
            self._draft.note(f"{', '.join(looks)} {are} not UTF-8 and read as {encoding}: look at names with accents")

    def _lines(self, tables: dict[str, Look]) -> Iterator[str]:
        yield "# Guessed from the headers and values of the tables: see docs/data.md, and change what is not so.\n"
        draft = self._draft
        for key, value in draft.top.items():
            yield f"{key} = {as_toml(value)}\n"
        files: dict[str, str | list[str]] = {
            kind: look.said
            for kind, look in tables.items()
            if next((name for name in usual_names(kind) if (self._folder / name).exists()), None) != look.said
        }
        for kind in KEYS:  # a file that is called so would be taken even so
            if kind not in tables and any((self._folder / name).exists() for name in usual_names(kind)):
                files[kind] = []
        names: dict[str, Any] = {
            role: columns[0] if len(columns) == 1 else columns
            for role, columns in draft.names.items()
            if columns != [role] or role in draft.said
        }
        if draft.clock:
            names["time_of_day"] = draft.clock
        headless = {
            kind: [self._named(tables[kind], column) for column in columns] for kind, columns in draft.headless.items()
        }
        for section, values in (
            ("files", files),
            ("names", headless),
            ("columns", names),
            ("lists", draft.lists),
            ("long", draft.long),
            ("join", draft.join),
            ("filter", draft.filter),
            ("kinds", draft.kinds),
        ):
            if values:
                yield f"\n[{section}]\n"
            for key, value in values.items():
                yield f"{_toml_key(key)} = {as_toml(value)}\n"

    def _named(self, look: Look, column: str) -> str:
        """What ``[names]`` calls a column that has no name: by its role, if it has one."""
        role = self._draft.taken.get((look.table.file, column), "")
        return role if self._draft.columns.get((look.table.file, role)) == column else column


def _toml_key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else as_toml(name)
