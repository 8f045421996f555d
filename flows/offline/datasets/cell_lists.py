"""Several values in one cell of text: how they are told apart, and as lists."""

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.offline.datasets.tables import Table, holds_lists
from ralm.encoders.profiles import SEPARATOR
from state.nesting import check_depth, json_of

BRACKETS = "[]"
"""What separates the values of a cell that is a list as JSON or Python writes it."""
_OF_IDS = (" ", ",", ";", SEPARATOR)
_OF_WORDS = (" > ", ";", ",")
_SAMPLE = 2000
_LEAST_SEVERAL = 0.2
"""Of the different cells of a column of lists, so many have several values."""
_MOSTLY = 0.95
_LONGEST_WORD = 40
_LABELLED = re.compile(r".+([-_:])([01])")
_HAS_DIGIT = re.compile(r"\d")
_NAMES = ("name", "title", "id")
"""What an object among the values of a cell is known by."""


def as_lists(strings: Any, separator: str) -> Any:
    """Cells as lists of text, without the empty values.

    Args:
        strings: an Arrow array of text.
        separator: what stands between the values, or `BRACKETS`.

    >>> as_lists(pa.array(["a, b", "", None, "c"]), ",").to_pylist()
    [['a', 'b'], [], [], ['c']]
    >>> as_lists(pa.array(["['x', 'y']", "[1, 2.5]", "[{'id': 3, 'name': 'z'}]", "[]"]), "[]").to_pylist()
    [['x', 'y'], ['1', '2.5'], ['z'], []]
    """
    encoded = strings.fill_null("").dictionary_encode()  # each distinct cell is split once
    cells = [_values(cell, separator) for cell in encoded.dictionary.to_pylist()]
    return pa.array(cells, pa.list_(pa.string())).take(encoded.indices)


def with_lists(table: Table, lists: dict[str, str]) -> Table:
    """A table whose cells of some columns are split into lists, by their separators."""
    columns = {
        name: as_lists(table.strings(name), lists[name]) if name in lists and not holds_lists(column) else column
        for name, column in table.columns.items()
    }
    return replace(table, columns=columns)


def separator_in(strings: Any, *, ids: bool) -> str | None:
    """What separates the values in the cells of a column; None if a cell is one value.

    Values that are lists come again and again in other cells. Of ids, that are codes with digits in them.

    >>> separator_in(pa.array(["N1 N2", "N2 N3", "N1 N3 N2", "N3"]), ids=True)
    ' '
    >>> separator_in(pa.array(["Drama, War", "War, Crime", "Drama, Crime", "War"]), ids=False)
    ','
    >>> separator_in(pa.array(["Blue Mug 1", "Blue Mug 2", "Red Mug 1"]), ids=True)
    """
    cells = [cell for cell in pc.unique(strings)[:_SAMPLE].to_pylist() if cell and cell.strip()]
    if not cells:
        return None
    if sum(cell.strip()[0] + cell.strip()[-1] == BRACKETS for cell in cells) >= _MOSTLY * len(cells):
        return BRACKETS
    return next((each for each in (_OF_IDS if ids else _OF_WORDS) if _separates(each, cells, ids=ids)), None)


def label_in(lists: Any) -> str:
    """What the values end in that were clicked, where each ends in ``-1`` or ``-0``; empty where they do not.

    >>> label_in(pa.array([["N1-0", "N2-1"], ["N3-0"]])), label_in(pa.array([["N1", "N2"]]))
    ('-1', '')
    """
    words = lists.flatten()[:_SAMPLE].to_pylist()
    found = [match for word in words if (match := _LABELLED.fullmatch(word))]
    if len(found) < max(1, len(words)) or {match[2] for match in found} != {"0", "1"}:
        return ""
    return f"{found[0][1]}1" if len({match[1] for match in found}) == 1 else ""


def _separates(separator: str, cells: list[str], *, ids: bool) -> bool:
    split = [[part.strip() for part in cell.strip().split(separator)] for cell in cells]
    parts = [part for cell in split for part in cell if part]
    several = sum(len(cell) > 1 for cell in split)
    if several < _LEAST_SEVERAL * len(cells) or len(set(parts)) * 2 > len(parts):
        return False
    if not ids:
        return len(set(parts)) * 2 <= len(cells) * 3 and all(len(part) <= _LONGEST_WORD for part in parts)
    codes = sum(bool(_HAS_DIGIT.search(part)) and " " not in part for part in parts)
    return codes >= _MOSTLY * len(parts) and len({len(cell) for cell in split}) > 1


def _values(cell: str, separator: str) -> list[str]:
    if separator != BRACKETS:
        return [_word(part) for part in cell.split(separator) if part.strip()]
    return [word for value in _listed(cell.strip()) if (word := _word(value))]


def _listed(cell: str) -> list[Any]:
    """The values of a list as JSON or Python writes it, or as one without quotes."""
    for read in (json_of, _python_of):
        try:
            found = read(cell)
        except (ValueError, SyntaxError, MemoryError):
            continue
        return list(one_by_one(found)) if isinstance(found, list | tuple | set) else [found]
    bare = cell[1:-1] if cell[:1] + cell[-1:] == BRACKETS else cell
    return [part.strip().strip("'\"") for part in bare.split(",")]


def one_by_one(found: Any) -> Iterator[Any]:
    """The values of a list, and of the lists within it."""
    for value in found:
        if isinstance(value, list | tuple | set):
            yield from one_by_one(value)
        else:
            yield value


def _python_of(cell: str) -> Any:
    check_depth(cell)
    return ast.literal_eval(cell)


def _word(value: Any) -> str:
    if isinstance(value, dict):
        value = next(
            (value[name] for name in _NAMES if name in value),
            json.dumps(value, ensure_ascii=False, default=str, skipkeys=True),
        )
    text = (
        value
        if isinstance(value, str)
        else ""
        if value is None
        else json.dumps(value, ensure_ascii=False, default=str, skipkeys=True)
    )
    return text.strip().replace(SEPARATOR, "/")
