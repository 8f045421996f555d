"""From a source's own tables to the common layout: ids are matched, ratings become clicks, clicks are put in order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.offline.datasets.layout import SEPARATOR, Dataset, check
from flows.offline.datasets.tables import Table, as_text
from flows.support.errors import RalmError
from ralm.features import Ints

Columns = dict[str, tuple[str, NDArray[Any]]]
"""Kind and values of each field."""
CATEGORIES = "categories"
TITLE = "title"
_ORDER_SEED = 0
"""Fixes the order that clicks without times are put in."""


@dataclass(frozen=True)
class Known:
    """The users or the items that a source knows, in any order.

    Attributes:
        source: where they are listed, for messages.
        ids: text[n].
        columns: their fields, each of n values; for items only ``categories`` and ``title``.
    """

    source: str
    ids: NDArray[np.str_]
    columns: Columns


def known(table: Table, name: str, columns: Columns) -> Known:
    """The users or items of a table that has a row for each.

    Args:
        table: the table.
        name: its column of ids.
        columns: what else is known of each row.

    Raises:
        RalmError: naming the row whose id is empty or comes twice.
    """
    ids = table.text(name)
    empty = np.flatnonzero(ids == "")
    if len(empty):
        msg = f"{table.place(int(empty[0]))}: {table.real(name)} is empty"
        raise RalmError(msg)
    _, first = np.unique(ids, return_index=True)
    again = np.setdiff1d(np.arange(len(ids)), first)
    if len(again):
        row = int(again[0])
        msg = f"{table.place(row)}: {table.real(name)} {str(ids[row])!r} is there twice"
        raise RalmError(msg)
    return Known(table.file, ids, columns)


def mentioned(*columns: tuple[Table, str]) -> NDArray[np.str_]:
    """The ids that some columns mention, ascending, text[n]; the empty one is left out."""
    ids = np.unique(np.concatenate([np.unique(table.text(name)) for table, name in columns]))
    named: NDArray[np.str_] = ids[ids != ""]
    return named


def assemble(
    name: str,
    events: Table,
    *,
    users: Known,
    items: Known,
    times: Ints | None,
    least_rating: float | None,
) -> Dataset:
    """Put a data set together.

    Args:
        name: of the data set.
        events: columns ``user_id``, ``item_id`` and, where there is a least rating, ``rating``.
        users: every user, with the fields.
        items: every item, with ``categories`` where there are any.
        times: of each event, int64[n], ms; None makes the clicks untimed, in a random order that is always the same.
        least_rating: an event is a click from this rating on; None makes every event a click.

    Raises:
        RalmError: naming the file, the row and the field that is wrong.
    """
    user_order, item_order = np.argsort(users.ids), np.argsort(items.ids)
    user_ids, item_ids = users.ids[user_order], items.ids[item_order]
    user = _rows(events, "user_id", user_ids, f"users ({users.source})")
    item = _rows(events, "item_id", item_ids, f"items ({items.source})")
    clicks = np.arange(len(user))
    if least_rating is not None:
        clicks = np.flatnonzero(events.numbers("rating") >= least_rating)
    if not len(clicks):
        msg = f"{name}: there are no clicks: {events.file} has no rating of {least_rating:g} or more"
        raise RalmError(msg)
    if times is None:
        clicks = clicks[np.lexsort((item[clicks], user[clicks]))]  # whatever the order in the file
        clicks = np.random.default_rng(_ORDER_SEED).permutation(clicks)
    else:
        clicks = clicks[np.lexsort((item[clicks], user[clicks], times[clicks]))]
    categories = items.columns[CATEGORIES][1] if CATEGORIES in items.columns else np.full(len(item_ids), "")
    return check(
        Dataset(
            name,
            user_ids[user[clicks]],
            item_ids[item[clicks]],
            np.arange(len(clicks)) if times is None else times[clicks],
            user_ids,
            {field: (kind, column[user_order]) for field, (kind, column) in users.columns.items()},
            item_ids,
            categories[item_order],
            timed=times is not None,
            titles=items.columns[TITLE][1][item_order] if TITLE in items.columns else None,
        )
    )


def grouped(ids: NDArray[np.str_], pairs: Table, key: str, value: str, prefix: str = "") -> NDArray[np.str_]:
    """The values that pairs give to each id, joined by ``|``; empty where there is none.

    Args:
        ids: text[n], ascending.
        pairs: a table with a row for each value.
        key: its column of ids.
        value: its column of values.
        prefix: put before each value.

    Returns:
        text[n].

    Raises:
        RalmError: naming the row whose id is unknown.
    """
    rows = _rows(pairs, key, ids, "ids")
    order = np.argsort(rows, kind="stable")
    values = np.strings.add(prefix, pairs.text(value)[order])
    return join_values(rows[order], values, len(ids))


def join_values(rows: Ints, values: NDArray[np.str_], count: int) -> NDArray[np.str_]:
    """Values as ``|``-joined text for each of ``count`` rows; ``rows`` is ascending and says whose each value is."""
    offsets = np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.tolist(), pa.string()))
    return as_text(pc.binary_join(lists, SEPARATOR))


def both(left: NDArray[np.str_], right: NDArray[np.str_]) -> NDArray[np.str_]:
    """Two columns of ``|``-joined values as one."""
    between = np.where((left != "") & (right != ""), SEPARATOR, "")
    return np.strings.add(np.strings.add(left, between), right)


def prefixed(prefix: str, numbers: NDArray[np.str_]) -> NDArray[np.str_]:
    """A prefix before each whole number that is not missing; ``7.0``, as pandas writes 7 to CSV among gaps, is 7."""
    whole = np.strings.replace(numbers, ".0", "")
    named: NDArray[np.str_] = np.where(whole == "", "", np.strings.add(prefix, whole))
    return named


def _rows(table: Table, name: str, ids: NDArray[np.str_], among: str) -> Ints:
    """Where in ``ids`` each value of a column is."""
    strings = table.strings(name)
    rows: Ints = pc.index_in(strings, pa.array(ids.tolist(), pa.string())).fill_null(-1).to_numpy().astype(np.int64)
    strange = np.flatnonzero(rows < 0)
    if len(strange):
        row = int(strange[0])
        value = strings[row].as_py()
        wrong = f"names {value!r}, which is not among the {among}" if value else "is empty"
        msg = f"{table.place(row)}: {table.real(name)} {wrong}"
        raise RalmError(msg)
    return rows
