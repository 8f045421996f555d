"""Events of other shapes than a row for each: items in lists, orders beside their lines, day and time apart."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc

from flows.offline.datasets.assemble import without_middle
from flows.offline.datasets.tables import Table, holds_lists
from flows.support.errors import RalmError


def one_item_each(events: Table) -> Table:
    """An event for each item, where the items of events are lists; lists beside them of the same lengths go along.

    An event on no item is none.
    """
    if "item_id" not in events or not holds_lists(events.column("item_id")):
        return events
    items = events.column("item_id")
    lengths = pc.list_value_length(items).fill_null(0)
    rows = pc.list_parent_indices(items)
    columns = {}
    for name, column in events.columns.items():
        along = holds_lists(column) and pc.list_value_length(column).fill_null(0).equals(lengths)
        columns[name] = column.flatten() if along else column.take(rows)
    counts = lengths.to_numpy(zero_copy_only=False)
    several, none = int(np.sum(counts > 1)), int(np.sum(counts == 0))
    kept = np.arange(len(events)) if events.kept is None else events.kept
    notes = list(events.notes)
    if several:
        notes.append(f"{events.file}: {several:,} events name several items, and are one click on each")
    if none:
        notes.append(f"{events.file}: {none:,} events name no item, and are no clicks")
    return replace(events, columns=columns, kept=kept[rows.to_numpy()], notes=tuple(notes))


def labelled(events: Table, label: str) -> Table:
    """The events whose item ends in a label, without it: of what was shown, what was clicked.

    Raises:
        RalmError: when none does.
    """
    if not label:
        return events
    clicked = events.only(pc.ends_with(events.strings("item_id"), label).to_numpy(zero_copy_only=False))
    if not len(clicked):
        msg = f"{events.file}: no {events.real('item_id')} ends in {label!r} (labels), so that there are no clicks"
        raise RalmError(msg)
    items = pc.utf8_slice_codeunits(clicked.strings("item_id"), 0, stop=-len(label))
    words = f"of {len(events):,} items shown {len(clicked):,} were clicked ({label}): the others are no clicks"
    notes = tuple(note for note in clicked.notes if "name several items" not in note)
    return replace(
        clicked,
        columns={**clicked.columns, events.real("item_id"): items},
        notes=(*notes, f"{events.file}: {words}"),
    )


def looked_up(events: Table, other: Table, column: str) -> Table:
    """Events with the columns of the row of another table that has the same value in a column.

    Raises:
        RalmError: naming what is not there, or the value that several rows have.
    """
    for table in (events, other):
        if column not in table.columns:
            msg = f"data.toml joins by {column!r}, but {table.file} has only {without_middle(', '.join(table.columns))}"
            raise RalmError(msg)
    keys = _keys(other, column)
    if pc.count_distinct(keys).as_py() < len(keys):
        counts = pc.value_counts(keys)
        again = counts.field("values").filter(pc.greater(counts.field("counts"), 1))[0].as_py()
        msg = f"{other.file}: {column} {again!r} is there twice, so that it cannot be told which row an event is of"
        raise RalmError(msg)
    rows = pc.index_in(_keys(events, column), keys)
    more = {name: values.take(rows) for name, values in other.columns.items() if name not in events.columns}
    notes = events.notes
    if rows.null_count:
        notes = (*notes, f"{events.file}: {rows.null_count:,} events have a {column} that is not in {other.file}")
    if rows.null_count == len(rows):
        msg = f"no {column} of {events.file} is in {other.file}"
        raise RalmError(msg)
    return replace(events, columns={**events.columns, **more}, notes=(*notes, *other.notes))


def with_clock(events: Table, clock: str) -> Table:
    """Events whose day and time of day are one column.

    Raises:
        RalmError: when there is no such column.
    """
    if not clock:
        return events
    if clock not in events.columns:
        there = without_middle(", ".join(events.columns))
        msg = f"data.toml says that times of day are in {clock!r}, but {events.file} has only {there}"
        raise RalmError(msg)
    day = pc.utf8_trim_whitespace(events.strings("timestamp"))
    day = pc.replace_substring_regex(day, r"[T ]0{1,2}:00(:00(\.0+)?)?$", "")  # midnight, as programs write a day
    moment = pc.binary_join_element_wise(day, pc.utf8_trim_whitespace(events.strings(clock)), " ")
    moment = pc.if_else(pc.equal(day, ""), "", moment)
    return replace(events, columns={**events.columns, events.real("timestamp"): moment})


def _keys(table: Table, column: str) -> Any:
    return replace(table, aliases={}).ids(column)
