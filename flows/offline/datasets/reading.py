"""Reads tables from files: Parquet and its like, JSON, CSV, folded or not, one file or several parts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.offline.datasets.column_files import FORMS, form_by_marks, read_columns
from flows.offline.datasets.delimited import parse
from flows.offline.datasets.json_rows import parse_json
from flows.offline.datasets.packed import unfolded, without_fold
from flows.offline.datasets.tables import Table, refuse_empty
from flows.support.errors import RalmError
from flows.support.text import encoding_of

_PART = re.compile(r"part-[\w-]+|\d{6}_\d+(_copy_\d+)?")
JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_OTHER = {
    b"PK\x03\x04": "a zip file or a workbook: unpack it, or save each sheet as CSV",
    b"SQLite format": "a database: export its tables as CSV",
    b"%PDF": "a PDF",
}
"""What files begin with that are no text."""
MISSING = ("NULL", "null", "\\N", "NaN", "nan", "<NA>", "#N/A", "N/A", "None")
"""What databases and programs write where there is no value."""


@dataclass(frozen=True)
class Written:
    """How a table's files are written.

    Attributes:
        separator: what stands between the columns of a CSV file; empty tells it from the first line.
        encoding: of text that is not UTF-8; empty refuses it.
        names: of the columns of a CSV file whose first line has none; empty takes them from the first line.
        missing: words that stand for no value.
    """

    separator: str = ""
    encoding: str = ""
    names: Sequence[str] = ()
    missing: Sequence[str] = ()


def read_table(path: Path, written: Written = Written()) -> Table:
    """Read a file of columns such as Parquet, JSON, or text in columns, folded or not, perhaps within an archive.

    Raises:
        RalmError: naming the file, and the line where there is one.
    """
    suffix, content = kept_as(path), content_of(path)
    refuse_empty(path.name, len(content))
    if form := form_by_marks(content) or (suffix if suffix in FORMS else ""):
        return without_marks(read_columns(path, content, form), written.missing)
    encoding = written.encoding if written.encoding and not _is_utf8(content) else "utf-8"
    if suffix in JSON_SUFFIXES:
        table = parse_json(path.name, content, encoding)
    else:
        names = written.names or None
        table = parse(path.name, content, names=names, separator=written.separator, encoding=encoding, quoted=True)
    return without_marks(table, written.missing)


def joined(parts: Sequence[Table]) -> Table:
    """Tables one after another, as one; a column that a part lacks is empty there."""
    if len(parts) == 1:
        return parts[0]
    names = list(dict.fromkeys(name for part in parts for name in part.columns))
    columns = {name: _one_after_another(parts, name) for name in names}
    notes = tuple(note for part in parts for note in part.notes)
    encoding = next((part.encoding for part in parts if part.encoding), "")
    file = f"{parts[0].file} and {len(parts) - 1:,} more"
    halves = {name: place for part in reversed(parts) for name, place in part.halves.items()}
    more: dict[str, Any] = {"encoding": encoding, "notes": notes, "parts": tuple(parts), "halves": halves}
    return Table(file, columns, parts[0].first, parts[0].unit, **more)


def _one_after_another(parts: Sequence[Table], name: str) -> Any:
    there = [part.columns[name] for part in parts if name in part.columns]
    kind = there[0].type
    if any(column.type != kind for column in there):  # whole numbers here, text or numbers with gaps there
        kind = pa.string()
    columns = [
        pa.nulls(len(part), kind)
        if name not in part.columns
        else part.columns[name]
        if kind == part.columns[name].type
        else part.strings(name)
        for part in parts
    ]
    whole = pa.concat_arrays(columns)
    return whole.fill_null("") if kind == pa.string() else whole


def kept_as(path: Path) -> str:
    """The suffix that says what a file holds, in lower case; ``.gz`` and the like say only how it is kept.

    Parts that Hive and Spark write without one are text, unless their first bytes tell otherwise.

    >>> kept_as(Path("events.csv.gz")), kept_as(Path("Events.JSONL")), kept_as(Path("000000_0"))
    ('.csv', '.jsonl', '.txt')
    """
    name = without_fold(path.name)
    return Path(name).suffix.lower() or (".txt" if _PART.fullmatch(name) else "")


def content_of(path: Path) -> bytes:
    """The bytes of a file, unfolded if it is folded.

    Raises:
        RalmError: when it cannot be read.
    """
    try:
        content = unfolded(path)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise RalmError(msg) from error
    other = next((what for mark, what in _OTHER.items() if content.startswith(mark)), None)
    if other:
        msg = f"{path.name} is {other}"
        raise RalmError(msg)
    return content


def without_marks(table: Table, missing: Sequence[str]) -> Table:
    """A table whose words for no value are no values."""
    if not missing:
        return table
    marks = pa.array(missing, pa.string())
    columns = {}
    for name, column in table.columns.items():
        if pa.types.is_string(column.type):
            found = pc.is_in(column, value_set=marks)
            columns[name] = pc.if_else(found, "", column) if pc.any(found).as_py() else column
        else:
            columns[name] = column
    return replace(table, columns=columns)


def _is_utf8(content: bytes) -> bool:
    if encoding_of(content) != "utf-8":
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True
