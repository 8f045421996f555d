"""A description of one's own data while it is put together."""

import json
from dataclasses import dataclass, field
from typing import Any

from flows.offline.datasets.survey import ColumnFacts, Look

KEYS = {"users": "user_id", "items": "item_id"}
"""The column that tells apart what a table lists."""


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


@dataclass
class Draft:
    """What ``data.toml`` is to say, key by key.

    Attributes:
        found: what a person is shown.
        taken: by file and column, what the column is taken as.
        names: what each role is called, in the tables that have it.
        top: the keys that are in no section.
        kinds: of user fields.
        filter: by column of the events, which values count.
        headless: names of columns by table, where no first line has them.
        lists: by column, what separates the values in a cell.
        long: by table, the columns that hold names of fields and their values.
        columns: by file and role, the column.
        joined: the table of `join`.
        clock: the column of times of day.
        said: roles that must be said even where the column is called so.
        join: the table that the events' rows are looked up in, and by which column.
    """

    found: FirstDescription = field(default_factory=FirstDescription)
    taken: dict[tuple[str, str], str] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    top: dict[str, Any] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    filter: dict[str, list[str]] = field(default_factory=dict)
    headless: dict[str, list[str]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    long: dict[str, list[str]] = field(default_factory=dict)
    join: dict[str, str | list[str]] = field(default_factory=dict)

    columns: dict[tuple[str, str], str] = field(default_factory=dict)
    joined: Look | None = None
    clock: str = ""
    said: set[str] = field(default_factory=set)

    def column(self, look: Look, role: str) -> str:
        """The column of a table that has a role."""
        return self.columns[look.table.file, role]

    def called(self, look: Look, column: str, role: str) -> str:
        """What a column is called once ``data.toml`` is written, which names those that have no name by their roles."""
        return role if look.names else column

    def name(self, look: Look, role: str, column: str | None) -> None:
        """Take a column of a table for a role; nothing if there is none, or it is taken."""
        if column is None or (look.table.file, column) in self.taken:
            return
        self.taken[look.table.file, column] = role
        self.columns[look.table.file, role] = column
        names = self.names.setdefault(role, [])
        called = self.called(look, column, role)
        if called not in names:
            names.append(called)

    def is_free(self, look: Look, column: str) -> bool:
        """Whether a column is not taken yet."""
        return (look.table.file, column) not in self.taken

    def note(self, words: str) -> None:
        """Say something that a person should look at, once."""
        if words not in self.found.notes:
            self.found.notes.append(words)


def as_toml(value: Any) -> str:
    """A value as TOML has it: as JSON does, but that a DEL may not stand in a text as it is."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
