"""JSON as tables: an object for each row, what lies within an object or a list of them as columns of its own."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from flows.offline.datasets.cell_lists import one_by_one
from flows.offline.datasets.json_shapes import rows_of_value
from flows.offline.datasets.tables import Table, decoded, refuse_empty
from flows.support.errors import RalmError
from state.nesting import NestedTooDeepError, json_of

Value = str | list[str]
_LINE_END = re.compile(r"\r\n|\n|\r")
_ROW_OF_LIST = re.compile(r"\s*\[[^\n]*\]\s*\n\s*\[")
"""A list in the first line, and another one in the second."""
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
    """The values of a text, the line of each from 0, and whether they are one value's."""
    whole = rows_of_value(_one_value(text))
    if whole is not None:
        return whole, [0] * len(whole), True
    rows: list[int] = []
    objects: list[Any] = []
    are_lists = bool(_ROW_OF_LIST.match(text))
    is_list = text.lstrip().startswith("[") and not are_lists
    for number, piece in _pieces(text, is_one=is_list):
        try:
            found = _loaded(piece)
        except ValueError as error:
            msg = f"{file}, line {number + 1}: this is no JSON: {error}"
            raise RalmError(msg) from None
        several = found if is_list else (are_lists and rows_of_value([found])) or [found]
        rows += [number] * len(several)
        objects += several
    return objects, rows, is_list


def _one_value(text: str) -> Any:
    """The one value that a text is; None if it has a value in each line, or is no JSON."""
    first, _, rest = text.strip().partition("\n")
    if not first.startswith(("{", "[")) or (rest and first.rstrip().endswith(("}", "]"))):
        return None
    try:
        return _json(text)
    except ValueError:
        return None


def _pieces(text: str, *, is_one: bool) -> Iterator[tuple[int, str]]:
    """The values of a text, each with the number of its line from 0: of one line each, or of several."""
    # A text of JSON may hold what else Unicode takes for the end of a line.
    lines = [text] if is_one else _LINE_END.split(text)
    if len(lines) > 1 and lines[0].strip() == "{":
        begun = [number for number, line in enumerate(lines) if line.rstrip() == "{"]
        for start, end in zip(begun, [*begun[1:], len(lines)], strict=True):
            yield start, "\n".join(lines[start:end])
        return
    yield from ((number, line) for number, line in enumerate(lines) if line.strip())


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
