"""Files that have their columns' types with them: Parquet, ORC, and Arrow's own, which is Feather too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import feather, orc, parquet

from flows.offline.datasets.tables import Table, in_one, refuse_empty, refuse_twins
from flows.support.errors import RalmError

FORMS = (".parquet", ".pq", ".orc", ".feather", ".arrow")
"""Endings of such files; the first bytes tell more."""
_MARKS = {b"PAR1": ".parquet", b"ORC": ".orc", b"ARROW1": ".arrow", b"FEA1": ".feather"}
"""What such a file begins with, and has at its end once more."""
_READ: dict[str, tuple[str, Callable[[Any], Any]]] = {
    ".parquet": ("Parquet", parquet.read_table),
    ".pq": ("Parquet", parquet.read_table),
    ".orc": ("ORC", orc.read_table),
    ".feather": ("Feather", feather.read_table),
    ".arrow": ("Arrow", feather.read_table),
}
_CONTROL = r"[\x00-\x1f\x7f]"


def form_by_marks(content: bytes) -> str:
    """The ending of files that begin and end so; empty if it is none of `FORMS`."""
    return next((form for mark, form in _MARKS.items() if content.startswith(mark) and mark in content[-8:]), "")


def read_columns(path: Path, content: bytes, form: str) -> Table:
    """A table of a file's columns.

    What lies within a struct is a column of both names, ``user_id`` of ``user: {id}``, and so are the structs of a
    list, and maps, whose columns are lists; lists within lists are one list. Bytes that are no text are hexadecimal.

    Args:
        path: the file, for messages.
        content: its bytes.
        form: one of `FORMS`.

    Raises:
        RalmError: when it cannot be read, or has no rows.
    """
    what, read = _READ[form]
    try:
        found = read(pa.BufferReader(content))
    except (OSError, ValueError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as {what}: {error}"
        raise RalmError(msg) from error
    pairs = [pair for name in found.column_names for pair in _flat(name, in_one(found[name]))]
    refuse_twins(path.name, [name for name, _ in pairs])
    refuse_empty(path.name, found.num_rows)
    return Table(path.name, dict(pairs), 1, "row")


def _flat(name: str, column: Any) -> Iterator[tuple[str, Any]]:
    """A column as one or several without structs, each of lists of plain values or of plain values."""
    column = _plain(column)
    if pa.types.is_struct(column.type):
        for field, within in zip(column.type, column.flatten(), strict=True):
            yield from _flat(f"{name}_{field.name}", within)
        return
    if not pa.types.is_list(column.type):
        yield name, column
        return
    offsets, values = _parts_of(column)
    for within, flat in _flat(name, values):
        if pa.types.is_list(flat.type):
            inner, values_within = _parts_of(flat)
            yield within, pa.ListArray.from_arrays(inner.take(offsets), values_within)
        else:
            filled = flat.fill_null("") if pa.types.is_string(flat.type) and within != name else flat
            yield within, pa.ListArray.from_arrays(offsets, filled)


def _parts_of(lists: Any) -> tuple[Any, Any]:
    """Where the lists begin and end in their values, and these; what is missing is an empty list."""
    lengths = pc.fill_null(pc.list_value_length(lists), 0)
    ends = pc.cumulative_sum(lengths.cast(pa.int32()))
    return pa.concat_arrays([pa.array([0], pa.int32()), ends]), lists.flatten()


def _plain(column: Any) -> Any:
    """A column of the plainest type that has its values."""
    kind = column.type
    if isinstance(kind, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(column.storage)
    if pa.types.is_map(kind):
        return column.cast(pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)])))
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return column.cast(pa.list_(kind.value_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return _of_bytes(column)
    return column


def _of_bytes(column: Any) -> Any:
    """Bytes as text, if all are text; else hexadecimal."""
    try:
        text = column.cast(pa.binary()).cast(pa.string())
        if not pc.any(pc.match_substring_regex(text, _CONTROL)).as_py():
            return text
    except pa.ArrowInvalid:
        pass
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], pa.string())
