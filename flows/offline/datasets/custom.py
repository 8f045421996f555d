"""One's own data: a folder with ``events``, and perhaps ``users`` and ``items``, as tables (docs/data.md).

Kinds of user fields that ``data.toml`` does not give are inferred from the values: lists, and text with ``|`` in any
row, are multivalent; other text, booleans and whole numbers of at most 10 different values (codes: a plan, a gender)
are categorical; other numbers are continuous.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.config.limits import MIN_EVENT_TIME
from flows.offline.datasets.assemble import (
    CATEGORIES,
    TITLE,
    Columns,
    Known,
    Problems,
    assemble,
    known,
    mentioned,
    without_middle,
)
from flows.offline.datasets.cell_lists import with_lists
from flows.offline.datasets.description import DESCRIPTION, Description, TableName, describe
from flows.offline.datasets.event_shapes import labelled, looked_up, one_item_each, with_clock
from flows.offline.datasets.kinds import is_boolean, kind_of, truths
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.own_events import advice, complete, filtered, listed
from flows.offline.datasets.own_files import files_of, read_files
from flows.offline.datasets.row_shapes import one_row_each, with_fields_of_rows
from flows.offline.datasets.tables import Table
from flows.offline.datasets.times import times_ms
from flows.support.errors import ConfigError, RalmError
from ralm.features import Ints

TABLES: tuple[TableName, ...] = ("events", "users", "items")
_UNTIMED = f"say in {DESCRIPTION} what it is called ([columns]), or timed = false if the events have no times"


def prepare_custom(name: str, folder: Path) -> Dataset:
    """Read the tables of a folder.

    Args:
        name: of the data set.
        folder: it holds ``events``, ``users`` and ``items`` (.parquet, .csv, .jsonl, ...; only events must be there).

    Raises:
        ConfigError: when there is no table of events, or ``data.toml`` cannot be used.
        RalmError: naming the file, the row and the field that is wrong, a line for each problem.
    """
    return prepare_described(name, folder, describe(folder))


def prepare_described(name: str, folder: Path, described: Description) -> Dataset:
    """Read the tables of a folder as a description has them; see ``prepare_custom``."""
    problems = Problems()
    tables = {table: problems.attempt(partial(_table, folder, table, described)) for table in TABLES}
    problems.say()
    events = tables["events"]
    if events is None:
        wanted = "events.parquet, events.csv or events.jsonl"
        msg = f"{name}: {folder} has no {wanted} (see docs/data.md)"
        raise ConfigError(msg)
    events = _joined_rows(folder, events, described)
    _check_against(described, [table for table in (events, tables["users"], tables["items"]) if table], events)
    least_rating = described.least_rating if "rating" in events else None
    events = with_clock(events, described.columns.time_of_day)
    events = filtered(labelled(one_item_each(events), described.labels), described.filter)
    if least_rating is not None and is_boolean(events.column("rating")):
        events, least_rating = events.only(truths(events.column("rating"))), None
        if not len(events):
            msg = f"{name}: there are no clicks: {events.real('rating')} is true nowhere in {events.file}"
            raise RalmError(msg)
    events = complete(events, described)
    notes: list[str] = []
    users = problems.attempt(partial(_users, tables["users"], events, described, notes))
    items = problems.attempt(partial(_items, tables["items"], events, described))
    if users is not None and items is not None and not problems.lines:
        events, users = listed(events, "user_id", users, described)
        events, items = listed(events, "item_id", items, described)
    times = problems.attempt(partial(_times, events, described))
    found = None
    if users is not None and items is not None:
        stand_in = np.zeros(len(events), np.int64) if times is None and described.timed else times
        found = problems.attempt(
            partial(assemble, name, events, users=users, items=items, times=stand_in, least_rating=least_rating)
        )
    if found is None or problems.lines:
        raise RalmError("\n".join([*problems.lines, *advice(events, users, items, described)]))
    notes += _notes_on_times(events, times, described)
    said = [*(note for table in tables.values() if table for note in table.notes), *notes, *events.notes]
    return replace(found, notes=tuple(dict.fromkeys(said)))


def _notes_on_times(events: Table, times: Ints | None, described: Description) -> Iterator[str]:
    if not described.timed and "timestamp" in events:
        yield f"{events.file}: {DESCRIPTION} says timed = false, and {events.real('timestamp')} is not used"
    if times is not None and (early := int(np.sum(times < MIN_EVENT_TIME))):
        yield (
            f"{events.file}: {early:,} times lie before March 1973, which a flow takes for another unit and refuses: "
            "the data can be learned from, and not be replayed"
        )


def _check_against(described: Description, tables: list[Table], events: Table) -> None:
    """Refuse a description that speaks of what the tables have not: it would silently do nothing."""
    wrong = [
        f"{DESCRIPTION} calls the column {name} {getattr(described.columns, name)!r}, but no table has that"
        for name in described.columns.model_fields_set - {"time_of_day"}
        if getattr(described.columns, name) and not any(name in table for table in tables)
    ]
    rated = "rating" in events
    if "least_rating" in described.model_fields_set and not rated:
        wrong.append(f"{DESCRIPTION} says least_rating, but {events.file} has no column {events.real('rating')!r}")
    if "least_rating" in described.model_fields_set and rated and is_boolean(events.column("rating")):
        wrong.append(
            f"{DESCRIPTION} says least_rating, but {events.real('rating')!r} is true or false: take least_rating out"
        )
    if described.time_unit and described.time_format:
        wrong.append(f"{DESCRIPTION} says time_unit, of numbers, and time_format, of text: only one can count")
    if described.columns.time_of_day and described.time_unit:
        wrong.append(f"{DESCRIPTION} says time_unit, of numbers, and time_of_day, of text: only one can count")
    wrong += [
        f"{DESCRIPTION} says that {name!r} holds lists ([lists]), but no table has that column"
        for name in described.lists
        if not any(name in table.columns for table in tables)
    ]
    wrong += [
        f"{DESCRIPTION} filters by {name!r}, but {events.file} has only {', '.join(events.columns)}"
        for name in described.filter
        if name not in events.columns
    ]
    if wrong:
        raise ConfigError("\n".join(map(without_middle, wrong)))


def _table(folder: Path, name: TableName, described: Description) -> Table | None:
    paths = files_of(folder, name, described.files.of(name))
    if not paths:
        return None
    table = with_lists(read_files(paths, described.written(name), described.columns.of), described.lists)
    if name == "events" or name not in described.long:
        return table
    columns = described.columns
    wanted = None if name == "users" else {*_names_of(columns.categories), *_names_of(columns.title)}
    table = with_fields_of_rows(table, *described.long[name], wanted)
    return replace(table, aliases=columns.of(table))


def _names_of(said: str | list[str]) -> list[str]:
    return [said] if isinstance(said, str) else said


def _joined_rows(folder: Path, events: Table, described: Description) -> Table:
    """The events with what the table of `join` says of each."""
    if described.join is None:
        return events
    said = [described.join.file] if isinstance(described.join.file, str) else described.join.file
    other = read_files(files_of(folder, "join", said), described.written("events"), described.columns.of)
    events = looked_up(events, other, described.join.column)
    return replace(events, aliases=described.columns.of(events))


def _once(table: Table, key: str, described: Description) -> Table:
    """A table of users or items with a row for each, if it may have several."""
    of = "users" if key == "user_id" else "items"
    if described.repeated == "refuse" and of not in described.long:
        return table
    several = [name for name, kind in described.kinds.items() if kind == "multivalent"]
    return one_row_each(table, key, several if of == "users" else [CATEGORIES])


def _times(events: Table, described: Description) -> Any:
    if not described.timed:
        return None
    if "timestamp" not in events:
        there = ", ".join(events.columns)
        msg = f"{events.file} has no column {events.real('timestamp')!r}; it has {there}: {_UNTIMED}"
        raise RalmError(without_middle(msg))
    return times_ms(events, "timestamp", described.time_unit, described.time_format)


def _users(table: Table | None, events: Table, described: Description, notes: list[str]) -> Known:
    if table is None:
        if described.kinds:
            msg = f"{DESCRIPTION} says the kind of {next(iter(described.kinds))!r}, but there is no table of users"
            raise ConfigError(msg)
        return Known(events.file, mentioned((events, "user_id")), {})
    table = _once(table, "user_id", described)
    notes += [note for note in table.notes if note not in notes]
    kinds = _kinds(table, described)
    problems = Problems()
    fields: Columns = {}
    for name, kind in kinds.items():
        column = None if kind == "ignore" else problems.attempt(partial(_field, table, name, kind, described, notes))
        if column is not None:
            fields[name] = (kind, column)
    if any(" is missing" in line for line in problems.lines):
        problems.lines.append(
            'say blank_numbers = "mean" in data.toml to take the mean of a field where it is missing, or leave the '
            'field out: "ignore" in [kinds]'
        )
    users = problems.attempt(lambda: known(table, "user_id", fields))
    if users is None or problems.lines:
        raise RalmError("\n".join(problems.lines))
    return users


def _kinds(table: Table, described: Description) -> dict[str, str]:
    names = [name for name in table.columns if name != table.real("user_id")]
    for name in described.kinds:
        if name not in names:
            msg = f"{DESCRIPTION} says the kind of {name!r}, but {table.file} has only {', '.join(names) or 'ids'}"
            raise ConfigError(msg)
    return {name: described.kinds.get(name) or kind_of(table, name) for name in names}


def _field(table: Table, name: str, kind: str, described: Description, notes: list[str]) -> NDArray[Any]:
    if kind != "continuous":
        return table.text(name)
    blank = pc.equal(pc.utf8_trim_whitespace(table.strings(name)), "").to_numpy(zero_copy_only=False)
    if described.blank_numbers == "refuse" or not blank.any() or blank.all():
        return table.numbers(name, owner="user_id").astype(np.float32)
    numbers = table.only(~blank).numbers(name, owner="user_id")
    notes.append(f"{table.file}: {int(blank.sum()):,} users without {name} are given the mean, {numbers.mean():.4g}")
    filled = np.full(len(blank), numbers.mean())
    filled[~blank] = numbers
    return filled.astype(np.float32)


def _items(table: Table | None, events: Table, described: Description) -> Known:
    if table is None:
        said = [name for name in (CATEGORIES, TITLE) if name in described.columns.model_fields_set and name in events]
        if not said:
            return Known(events.file, mentioned((events, "item_id")), {})
        table = _items_of_events(events, said)
    table = _once(table, "item_id", described)
    columns: Columns = {CATEGORIES: ("multivalent", table.text(CATEGORIES))} if CATEGORIES in table else {}
    if TITLE in table:
        columns[TITLE] = ("text", table.text(TITLE))
    return known(table, "item_id", columns)


def _items_of_events(events: Table, said: list[str]) -> Table:
    """What events say of their items, a row for each item."""
    there = pc.not_equal(events.strings("item_id"), "").to_numpy(zero_copy_only=False)
    named = events.only(there)
    columns = {named.real(name): named.column(name) for name in ("item_id", *said)}
    return replace(one_row_each(replace(named, columns=columns), "item_id", [CATEGORIES]), notes=())
