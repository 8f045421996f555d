"""Tables as their sources have them (Parquet, CSV, plain text), in columns; errors say which file, row and field.

Needs pyarrow (of the extra ``train``); what serves does not import this module.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flows.offline.datasets.layout import SEPARATOR
from flows.support.errors import RalmError


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes:
        file: its name, for messages.
        columns: Arrow arrays by name; all are text when they come from text.
        first: number of the first row in messages.
        unit: what rows are called in messages.
        aliases: real names of columns that are asked for by another.
    """

    file: str
    columns: dict[str, Any]
    first: int
    unit: str = "line"
    aliases: dict[str, str] = field(default_factory=dict)

    def real(self, name: str) -> str:
        """What the file itself calls a column."""
        return self.aliases.get(name, name)

    def place(self, row: int) -> str:
        """Where a row (from 0) is, for messages."""
        return f"{self.file}, {self.unit} {row + self.first}"

    def __contains__(self, name: str) -> bool:
        return self.real(name) in self.columns

    def column(self, name: str) -> Any:
        """A column as an Arrow array.

        Raises:
            RalmError: when there is none.
        """
        if name not in self:
            msg = f"{self.file} has no column {self.real(name)!r}; it has {', '.join(self.columns)}"
            raise RalmError(msg)
        return self.columns[self.real(name)]

    def strings(self, name: str) -> Any:
        """A column as Arrow strings; what is missing is empty, lists are joined by ``|``.

        Raises:
            RalmError: when there is no such column, or a list holds what cannot be joined.
        """
        column = self.column(name)
        if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
            column = self._joined(name, column)
        elif pa.types.is_floating(column.type):
            column = _without_fraction(column)
        try:
            return column.cast(pa.string()).fill_null("")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            msg = f"{self.file}: column {self.real(name)!r} cannot be read as text: {error}"
            raise RalmError(msg) from error

    def text(self, name: str) -> NDArray[np.str_]:
        """A column as text[n]; what is missing is empty, lists are joined by ``|``.

        Raises:
            RalmError: as for `strings`.
        """
        return as_text(self.strings(name))

    def numbers(self, name: str, owner: str | None = None) -> NDArray[np.float64]:
        """A column as finite numbers, float64[n].

        Args:
            name: of the column.
            owner: the column that says whose the numbers are, for messages.

        Raises:
            RalmError: naming the row that is missing, is no number, or is not finite.
        """
        column = self.column(name)
        try:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                column = pc.utf8_trim_whitespace(column)
            numbers: NDArray[np.float64] = column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            self._refuse_number(name, owner, next(r for r, value in enumerate(column) if not _is_number(value)))
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            self._refuse_number(name, owner, int(wrong[0]))
        return numbers

    def _refuse_number(self, name: str, owner: str | None, row: int) -> NoReturn:
        whose = f"field {self.real(name)!r} of user {str(self.text(owner)[row])!r}" if owner else self.real(name)
        value = self.column(name)[row].as_py()
        shown = "missing" if value in (None, "") else f"{value if _is_number(value) else repr(value)}, not a number"
        msg = f"{self.place(row)}: {whose} is {shown}"
        raise RalmError(msg)

    def _joined(self, name: str, lists: Any) -> Any:
        words = lists.cast(pa.list_(pa.string()))
        flat = words.flatten()
        wrong = pc.fill_null(pc.match_substring(flat, SEPARATOR), fill_value=True)
        if pc.any(wrong).as_py():
            place = pc.index(wrong, value=True).as_py()
            row, value = pc.list_parent_indices(words)[place].as_py(), flat[place].as_py()
            msg = (
                f"{self.place(row)}: {self.real(name)} holds {value!r}; values must be there and without {SEPARATOR!r}"
            )
            raise RalmError(msg)
        return pc.binary_join(words, SEPARATOR)


def read_table(path: Path) -> Table:
    """Read a Parquet file, or a CSV file (UTF-8) whose first line names the columns.

    Raises:
        RalmError: naming the file, and the line where there is one.
    """
    if path.suffix != ".parquet":
        return parse(path.name, content_of(path), quoted=True)
    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        msg = f"{path} cannot be read as Parquet: {error}"
        raise RalmError(msg) from error
    _refuse_empty(path.name, found.num_rows)
    return Table(path.name, {name: _in_one(found[name]) for name in found.column_names}, 1, "row")


def content_of(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        RalmError: when it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise RalmError(msg) from error


def parse(
    file: str,
    content: bytes,
    *,
    names: Sequence[str] | None = None,
    separator: str = ",",
    encoding: str = "utf-8-sig",
    quoted: bool = False,
) -> Table:
    """Read text in columns.

    Args:
        file: its name, for messages.
        content: its bytes.
        names: of the columns; without them the first line has the names.
        separator: what stands between columns.
        encoding: of the text.
        quoted: whether values may stand in double quotes.

    Raises:
        RalmError: naming the file, the line and what is wrong with it.
    """
    text = _decoded(file, content, encoding).rstrip("\r\n")
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"  # Arrow takes separators of one character
    header = names is None
    if names is None:
        names = next(csv.reader([text.partition("\n")[0].rstrip("\r")], delimiter=separator), [])
        _refuse_twins(file, names)
    _refuse_empty(file, len(text) if not header else text.count("\n"))
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        found = pacsv.read_csv(
            io.BytesIO(text.encode()),
            # One thread, so that a bad line's number is known.
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names, skip_rows=int(header)),
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowInvalid as error:
        if wrong:
            row = wrong[0]
            msg = f"{file}, line {row.number}: {row.actual_columns} fields instead of {row.expected_columns}"
            raise RalmError(msg) from None
        msg = f"{file} cannot be read: {error}"
        raise RalmError(msg) from error
    return Table(file, {name: _in_one(found[name]) for name in names}, 1 + int(header))


def as_text(strings: Any) -> NDArray[np.str_]:
    """Arrow strings as text[n]."""
    encoded = strings.dictionary_encode()  # each distinct value is converted once
    words = np.array(encoded.dictionary.to_pylist(), dtype=np.str_)
    text: NDArray[np.str_] = words[encoded.indices.to_numpy(zero_copy_only=False)]
    return text


def _in_one(column: Any) -> Any:
    """A column's chunks as one array; categories (pandas) as what they stand for."""
    array = column.combine_chunks()
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _without_fraction(column: Any) -> Any:
    """Whole numbers without ``.0``: pandas keeps integers with gaps as floats."""
    column = pc.if_else(pc.is_nan(column), None, column)
    try:
        return column.cast(pa.int64())
    except pa.ArrowInvalid:
        return column


def _decoded(file: str, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"{file}, line {line}: this is not {encoding.removesuffix('-sig').upper()}; save it as that"
        raise RalmError(msg) from None


def _refuse_empty(file: str, rows: int) -> None:
    if not rows:
        msg = f"{file} has no rows"
        raise RalmError(msg)


def _refuse_twins(file: str, names: Sequence[str]) -> None:
    twins = [name for name in names if names.count(name) > 1]
    if twins:
        msg = f"{file} has two columns of the name {twins[0]!r}"
        raise RalmError(msg)


def _is_number(value: Any) -> bool:
    plain = value.as_py() if isinstance(value, pa.Scalar) else value
    try:
        pa.scalar(plain).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True
