"""One value of JSON as rows: what programs answer, and how pandas and others write a whole table at once."""

from collections.abc import Callable
from typing import Any, TypeAlias

Rows: TypeAlias = list[dict[str, Any]]
_MOST_AROUND = 5
"""So much stands in an answer beside its rows; an object of more is a row itself."""
_MOST_COLUMNS = 1000
_NAME = "column_{}"
"""What the values of rows without names are called, by their places from 1."""


def rows_of_value(found: Any) -> Rows | None:
    """The rows that a value holds, in any of the shapes of `_SHAPES`; None if it is none of them.

    >>> (
    ...     rows_of_value({"total": 2, "data": [{"u": 1}, {"u": 2}]}),
    ...     rows_of_value({"u": {"0": 1, "1": 2}, "i": {"0": 3, "1": 4}}),
    ... )
    ([{'u': 1}, {'u': 2}], [{'u': 1, 'i': 3}, {'u': 2, 'i': 4}])
    >>> rows_of_value({"columns": ["u", "i"], "data": [[1, 3], [2, 4]]}), rows_of_value({"u": [1, 2], "i": [3, 4]})
    ([{'u': 1, 'i': 3}, {'u': 2, 'i': 4}], [{'u': 1, 'i': 3}, {'u': 2, 'i': 4}])
    >>> rows_of_value({"u1": ["a", "b"], "u2": ["a"], "u3": ["c"]})[1], rows_of_value([[1, 3], [2, 4]])[1]
    ({'column_1': 'u2', 'column_2': ['a']}, {'column_1': 2, 'column_2': 4})
    >>> rows_of_value({"hits": {"hits": [{"u": 1}, {"u": 2}]}}), rows_of_value({"user": 1, "items": [1, 2]})
    ([{'u': 1}, {'u': 2}], None)
    """
    return next((rows for shape in _SHAPES if (rows := shape(found)) is not None), None)


def _objects(found: Any) -> Rows | None:
    return found if isinstance(found, list) and found and isinstance(found[0], dict) else None


def _arrays(found: Any) -> Rows | None:
    if not isinstance(found, list) or not found or not all(isinstance(row, list) for row in found):
        return None
    return [{_NAME.format(place): value for place, value in enumerate(row, 1)} for row in found]


def _within(found: Any) -> Rows | None:
    """The one list of objects in an answer, perhaps an object deeper."""
    if not isinstance(found, dict) or len(found) > _MOST_AROUND:
        return None
    lists = [rows for value in found.values() if (rows := _objects(value)) and len(rows) > 1]
    if len(lists) == 1:
        return lists[0]
    deeper = [rows for value in found.values() if isinstance(value, dict) and (rows := _within(value))]
    return deeper[0] if len(deeper) == 1 and not lists else None


def _split(found: Any) -> Rows | None:
    """The names of the columns, and the values of each row, as pandas has it (``orient="split"``)."""
    if not isinstance(found, dict) or not isinstance(found.get("columns"), list):
        return None
    rows, names = found.get("data"), [str(name) for name in found["columns"]]
    if not isinstance(rows, list) or not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        return None
    return [dict(zip(names, row, strict=True)) for row in rows]


def _columns(found: Any) -> Rows | None:
    """The values of each column, by the names of the rows, as pandas has it, or as lists."""
    if not isinstance(found, dict) or not 1 < len(found) <= _MOST_COLUMNS:
        return None
    first, *rest = columns = list(found.values())
    if all(isinstance(column, dict) for column in columns) and len(first) > 1:
        if any(column.keys() != first.keys() for column in rest):
            return None
        return [{name: column[key] for name, column in found.items()} for key in first]
    if all(isinstance(column, list) for column in columns) and len(first) >= len(found):  # or see `_histories`
        if any(len(column) != len(first) for column in rest):
            return None
        return [dict(zip(found, row, strict=True)) for row in zip(*columns, strict=True)]
    return None


def _histories(found: Any) -> Rows | None:
    """The items of each user, by the user."""
    if not isinstance(found, dict) or len(found) <= 2 or not all(isinstance(value, list) for value in found.values()):
        return None
    return [{_NAME.format(1): key, _NAME.format(2): value} for key, value in found.items()]


_SHAPES: tuple[Callable[[Any], Rows | None], ...] = (_objects, _arrays, _within, _split, _columns, _histories)
