"""From a source's own tables to the common layout: ids are matched, ratings become clicks, clicks are put in order."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.config.limits import identifier_fault
from flows.offline.datasets.layout import Dataset, bad_identifiers, check, others
from flows.offline.datasets.tables import Table, as_text, different
from flows.offline.datasets.words import Text
from flows.support.errors import RalmError
from ralm.encoders.profiles import SEPARATOR
from ralm.features import Ints

_T = TypeVar("_T")
Columns = dict[str, tuple[str, NDArray[Any]]]
"""Kind and values of each field."""
CATEGORIES = "categories"
TITLE = "title"
_LONG = 600
_ORDER_SEED = 0
"""Fixes the order that clicks without times are put in."""


def without_middle(line: str) -> str:
    """A line of a message, without the middle where what it names is very long."""
    return line if len(line) <= _LONG else f"{line[: _LONG // 2]}...{line[-_LONG // 2 :]}"


class Problems:
    """Collects what is wrong, so that all is said at once.

    Attributes:
        lines: a line for each problem.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def attempt(self, step: Callable[[], _T]) -> _T | None:
        """What a step returns; None if it found a problem."""
        try:
            return step()
        except RalmError as error:
            lines = [without_middle(line) for line in str(error).splitlines()]
            self.lines += [line for line in lines if line not in self.lines]
            return None

    def say(self) -> None:
        """Raise if there are problems.

        Raises:
            RalmError: a line for each.
        """
        if self.lines:
            raise RalmError("\n".join(self.lines))


@dataclass(frozen=True)
class Known:
    """The users or the items that a source knows, in any order.

    Attributes:
        source: where they are listed, for messages.
        ids: text[n].
        columns: their fields, each of n values; for items only ``categories`` and ``title``.
    """

    source: str
    ids: Text
    columns: Columns


def known(table: Table, name: str, columns: Columns) -> Known:
    """The users or items of a table that has a row for each.

    Args:
        table: the table.
        name: its column of ids.
        columns: what else is known of each row.

    Raises:
        RalmError: naming the row whose id cannot be used or comes twice.
    """
    ids = as_text(table.ids(name))
    problems = Problems()
    problems.attempt(lambda: _refuse_identifiers(table, name, ids))
    _, first = np.unique(ids, return_index=True)
    again = np.setdiff1d(np.arange(len(ids)), first)
    again = again[ids[again] != ""]
    if len(again):
        row = int(again[0])
        problems.lines.append(
            f"{table.place(row)}: {table.real(name)} {str(ids[row])!r} is there twice{others(len(again))}"
        )
    problems.say()
    return Known(table.file, ids, columns)


def mentioned(*columns: tuple[Table, str]) -> Text:
    """The ids that some columns mention, ascending, text[n]; the empty one is left out.

    Raises:
        RalmError: naming the row whose id cannot be used.
    """
    found = []
    for table, name in columns:
        ids = different(table.ids(name))
        if len(bad_identifiers(ids)):
            _refuse_identifiers(table, name, as_text(table.ids(name)))
        found.append(ids)
    ids = np.unique(np.concatenate(found))
    named: Text = ids[ids != ""]
    return named


def _refuse_identifiers(table: Table, name: str, ids: Text) -> None:
    """Refuse ids that the stream would refuse."""
    rows = bad_identifiers(ids)
    if len(rows):
        row = int(rows[0])
        fault = identifier_fault(str(ids[row]))
        msg = f"{table.place(row)}: {table.real(name)} {fault}{others(len(rows))}"
        raise RalmError(msg)


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
    problems = Problems()
    user = problems.attempt(lambda: _rows(events, "user_id", user_ids, f"users ({users.source})"))
    item = problems.attempt(lambda: _rows(events, "item_id", item_ids, f"items ({items.source})"))
    ratings = None if least_rating is None else problems.attempt(lambda: events.numbers("rating"))
    if user is None or item is None or problems.lines:
        raise RalmError("\n".join(problems.lines))
    clicks = np.arange(len(user))
    if ratings is not None and least_rating is not None:
        clicks = np.flatnonzero(ratings >= least_rating)
        if not len(clicks):
            most = f"its {len(ratings):,} ratings go from {ratings.min():g} to {ratings.max():g}"
            msg = (
                f"{name}: there are no clicks: {events.file} has no rating of {least_rating:g} or more: {most} "
                "(least_rating)"
            )
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


def grouped(ids: Text, pairs: Table, key: str, value: str, prefix: str = "") -> Text:
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


def join_values(rows: Ints, values: Text, count: int) -> Text:
    """Values as ``|``-joined text for each of ``count`` rows; ``rows`` is ascending and says whose each value is."""
    offsets = np.searchsorted(rows, np.arange(count + 1)).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.tolist(), pa.string()))
    return as_text(pc.binary_join(lists, SEPARATOR))


def both(left: Text, right: Text) -> Text:
    """Two columns of ``|``-joined values as one."""
    between = np.where((left != "") & (right != ""), SEPARATOR, "")
    return np.strings.add(np.strings.add(left, between), right)


def prefixed(prefix: str, numbers: Text) -> Text:
    """A prefix before each whole number that is not missing; ``7.0``, as pandas writes 7 to CSV among gaps, is 7."""
    whole = np.strings.replace(numbers, ".0", "")
    named: Text = np.where(whole == "", "", np.strings.add(prefix, whole))
    return named


def _rows(table: Table, name: str, ids: Text, among: str) -> Ints:
    """Where in ``ids`` each value of a column is."""
    strings = table.ids(name)
    rows: Ints = pc.index_in(strings, pa.array(ids.tolist(), pa.string())).fill_null(-1).to_numpy().astype(np.int64)
    strange = np.flatnonzero(rows < 0)
    if len(strange):
        row = int(strange[0])
        value = strings[row].as_py()
        wrong = f"names {value!r}, which is not among the {among}" if value else "is empty"
        msg = f"{table.place(row)}: {table.real(name)} {wrong}{others(len(strange))}{written_otherwise(value, ids)}"
        raise RalmError(msg)
    return rows


def written_otherwise(value: str, ids: Text) -> str:
    """What to add of an id that is unknown, where it is there but for how it is written."""
    bare = _bare(value)
    known = next((each for each in ids.tolist() if _bare(each) == bare), None) if bare else None
    return "" if known is None else f"; there is {known!r}, which is written otherwise: write both in one way"


def _bare(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    return (plain.removesuffix(".0").lstrip("0") or "0") if plain.replace(".", "").isdigit() else plain
