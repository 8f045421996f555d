"""JSON as tables: an object for each row, what lies within an object or a list of them as columns of its own."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from flows.offline.datasets.cell_lists import one_by_one
from flows.offline.datasets.tables import Table, decoded, refuse_empty
from flows.support.errors import RalmError
from state.nesting import NestedTooDeepError, json_of

Value = str | list[str]
_LINE_END = re.compile(r"\r\n|\n|\r")
_MOST_AROUND = 5
"""So much stands in an answer beside its rows; an object of more is a row itself."""
_EXACT = 2**53
"""Up to here a float has each whole number."""


def parse_json(file: str, content: bytes, encoding: str = "utf-8") -> Table:
    """Read JSON lines, an object each, or one array of objects.

    Objects as Python prints them, ``{'user': 'u1'}``, are taken for JSON. Columns are text, as those of CSV: numbers
    as they stand, but that 7.0 is 7, ``true`` and ``false``, and null as what is missing; where any value is a list,
    they are lists. What an object within an object has is a column of both names, ``user_id`` of ``{"user": {"id":
    1}}``, and so is what the objects of a list have, ``items_sku`` of ``{"items": [{"sku": "a"}, {"sku": "b"}]}``, a
    list. The wrappers of MongoDB, ``{"$oid": ...}``, are left out.

    Args:
        file: its name, for messages.
        content: its bytes.
        encoding: of the text, unless it begins with a byte order mark.

    Raises:
        RalmError: naming the file, the line and what is wrong with it.
    """
    objects, rows, whole = _objects(file, decoded(file, content, encoding))
    refuse_empty(file, len(objects))
    columns: dict[str, list[Value]] = {}
    halves: dict[str, str] = {}
    for place, found in enumerate(objects):
        where = f"{file}, {'row' if whole else 'line'} {(place if whole else rows[place]) + 1}"
        if not isinstance(found, dict):
            msg = f"{where}: this is no object"
            raise RalmError(msg)
        for key, said in _flat(found):
            name, value = _whole(key), _whole(said) if isinstance(said, str) else list(map(_whole, said))
            if value != said:
                halves.setdefault(name, where)
            columns.setdefault(name, []).extend([""] * (place + 1 - len(columns[name])))
            columns[name][place] = value
    for column in columns.values():
        column.extend([""] * (len(objects) - len(column)))
    refuse_empty(file, len(columns))
    kept = None if whole or rows == list(range(len(rows))) else np.array(rows)
    arrays = {name: _array(column) for name, column in columns.items()}
    return Table(file, arrays, 1, "row" if whole else "line", kept=kept, halves=halves)


def _whole(text: str) -> str:
    """A text in which half of a pair of surrogates, which is no text, is a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _objects(file: str, text: str) -> tuple[list[Any], list[int], bool]:
    """The values of a text, the line of each from 0, and whether they are one array."""
    wrapped = _rows_within(text)
    if wrapped is not None:
        return wrapped, [0] * len(wrapped), True
    rows: list[int] = []
    objects: list[Any] = []
    whole = text.lstrip().startswith("[")
    # A text of JSON may hold what else Unicode takes for the end of a line.
    for number, line in enumerate([text] if whole else _LINE_END.split(text)):
        if not line.strip():
            continue
        try:
            found = _loaded(line)
        except ValueError as error:
            msg = f"{file}, line {number + 1}: this is no JSON: {error}"
            raise RalmError(msg) from None
        rows += [number] * (len(found) if whole else 1)
        objects += found if whole else [found]
    return objects, rows, whole


def _json(text: str) -> Any:
    return json_of(text, parse_float=_number, parse_constant=lambda _: None)


def _loaded(text: str) -> Any:
    """A value of JSON, or an object as Python prints it, ``{'user': 'u1'}``."""
    try:
        return _json(text)
    except NestedTooDeepError:
        raise
    except ValueError:
        if not text.startswith(("{'", '{"', "{u'")):
            raise
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError):
            found = None
        if not isinstance(found, dict):
            raise
        return _json(json.dumps(found, default=str, skipkeys=True))


def _rows_within(text: str) -> list[Any] | None:
    """The one list of objects in an object that spans lines, as programs answer; None if the text is not that."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith("{") or (rest and first.endswith("}")):
        return None
    try:
        found = _json(text)
    except ValueError:
        return None
    lists = [value for value in found.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return lists[0] if len(lists) == 1 and len(found) <= _MOST_AROUND and len(lists[0]) > 1 else None


def _array(column: list[Value]) -> Any:
    if not any(isinstance(value, list) for value in column):
        return pa.array(column, pa.string())
    lists = [value if isinstance(value, list) else [value] if value else [] for value in column]
    return pa.array(lists, pa.list_(pa.string()))


def _flat(found: dict[str, Any], before: str = "") -> Iterator[tuple[str, Value]]:
    for name, value in found.items():
        bare = _unwrapped(value)
        if isinstance(bare, dict):
            yield from _flat(bare, f"{before}{name}_")
        elif isinstance(bare, list) and bare and all(isinstance(each, dict) for each in bare):
            yield from _spread(bare, f"{before}{name}_")
        elif isinstance(bare, list) and not any(isinstance(each, dict) for each in one_by_one(bare)):
            words = [word for each in one_by_one(bare) if (word := _word(each))]
            is_flat = not any(isinstance(each, list) for each in bare)
            yield before + name, words if is_flat else list(dict.fromkeys(words))
        else:
            yield before + name, _word(bare)


def _spread(found: list[dict[str, Any]], before: str) -> Iterator[tuple[str, Value]]:
    """A list of objects as a list for each of their names; one that lacks it has an empty text there."""
    rows = [dict(_flat(each)) for each in found]
    for name in dict.fromkeys(name for row in rows for name in row):
        words = [row.get(name, "") for row in rows]
        yield before + name, [word if isinstance(word, str) else json.dumps(word, ensure_ascii=False) for word in words]


def _unwrapped(value: Any) -> Any:
    while isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        value = next(iter(value.values()))
    return value


def _number(text: str) -> str:
    """A number with a point or an exponent; a whole one, such as 7.0 or 1e5, in the digits of whole numbers."""
    value = float(text)
    return str(int(value)) if value.is_integer() and abs(value) < _EXACT else text


def _word(value: Any) -> str:
    """A value of JSON as it would stand in CSV."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
