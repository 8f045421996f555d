"""Tables as their sources have them (Parquet, CSV, plain text), in columns; errors say which file, row and field.

Needs pyarrow (of the extra ``train``); what serves does not import this module.
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from flows.offline.datasets.layout import others
from flows.offline.datasets.words import Text, as_words
from flows.support.errors import RalmError
from flows.support.text import encoding_of
from ralm.encoders.profiles import SEPARATOR
from ralm.features import Ints

SEPARATORS = (",", ";", "\t", "|")
"""What may separate the columns of one's own CSV files."""
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Attributes:
        file: its name, for messages.
        columns: Arrow arrays by name; all are text when they come from text.
        first: number of the first row in messages.
        unit: what rows are called in messages.
        aliases: real names of columns that are asked for by another.
        kept: the numbers, from 0, of the rows that are left of the file; None if all are.
    """

    file: str
    columns: dict[str, Any]
    first: int
    unit: str = "line"
    aliases: dict[str, str] = field(default_factory=dict)
    kept: Ints | None = None

    def real(self, name: str) -> str:
        """What the file itself calls a column."""
        return self.aliases.get(name, name)

    def place(self, row: int) -> str:
        """Where a row (from 0) is, for messages."""
        number = row if self.kept is None else int(self.kept[row])
        return f"{self.file}, {self.unit} {number + self.first}"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def only(self, rows: NDArray[np.bool_]) -> "Table":
        """The rows of a mask, bool[n]; they keep their numbers."""
        kept = np.arange(len(self)) if self.kept is None else self.kept
        columns = {name: column.filter(pa.array(rows)) for name, column in self.columns.items()}
        return replace(self, columns=columns, kept=kept[rows])

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

    def text(self, name: str) -> Text:
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
            # Of whole numbers float64 has 53 bits; nanoseconds since 1970 have more, and lose what is below them.
            cast = column.cast(pa.float64(), safe=not pa.types.is_integer(column.type))
            numbers: NDArray[np.float64] = cast.fill_null(np.nan).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            wrong = np.array([row for row, value in enumerate(column) if not _is_number(value)])
            self._refuse_number(name, owner, wrong)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            self._refuse_number(name, owner, wrong)
        return numbers

    def _refuse_number(self, name: str, owner: str | None, wrong: Ints) -> NoReturn:
        row = int(wrong[0])
        whose = f"field {self.real(name)!r} of user {str(self.text(owner)[row])!r}" if owner else self.real(name)
        value = self.column(name)[row].as_py()
        shown = "missing" if value in (None, "") else f"{value if _is_number(value) else repr(value)}, not a number"
        msg = f"{self.place(row)}: {whose} is {shown}{others(len(wrong))}"
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


def read_table(path: Path, separator: str = "") -> Table:
    """Read a Parquet file, or a CSV file (UTF-8) whose first line names the columns.

    Args:
        path: of the file.
        separator: what stands between the columns of a CSV file; empty tells it from the first line.

    Raises:
        RalmError: naming the file, and the line where there is one.
    """
    if path.suffix != ".parquet":
        return parse(path.name, content_of(path), separator=separator, quoted=True)
    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as Parquet: {error}"
        raise RalmError(msg) from error
    _refuse_twins(path.name, found.column_names)
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
    encoding: str = "utf-8",
    quoted: bool = False,
) -> Table:
    """Read text in columns; lines may end with LF, CR LF or CR.

    Args:
        file: its name, for messages.
        content: its bytes.
        names: of the columns; without them the first line has the names.
        separator: what stands between columns; empty tells it from the first line.
        encoding: of the text, unless it begins with a byte order mark.
        quoted: whether values may stand in double quotes.

    Raises:
        RalmError: naming the file, the line and what is wrong with it.
    """
    text = _decoded(file, content, encoding)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.rstrip("\n")
    if not separator:
        separator = separator_of(text.partition("\n")[0])
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"  # Arrow takes separators of one character
    first = 1
    if names is None:
        names, text, first = _header(file, text, separator, quoted=quoted)
    _refuse_empty(file, len(text))
    wrong: list[Any] = []

    def refuse(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        found = pacsv.read_csv(
            io.BytesIO(text.encode()),
            # One thread, so that a bad line's number is known.
            read_options=pacsv.ReadOptions(use_threads=False, column_names=names),
            parse_options=pacsv.ParseOptions(
                delimiter=separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
                invalid_row_handler=refuse,
            ),
            convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
    except pa.ArrowException as error:
        if wrong:
            row = wrong[0]
            line = row.number + first - 1
            msg = f"{file}, line {line}: {row.actual_columns} fields instead of {row.expected_columns}"
            raise RalmError(msg) from None
        msg = f"{file} cannot be read: {error}"
        raise RalmError(msg) from error
    # Where a value has line breaks in it, rows are not lines.
    broken = quoted and text.count("\n") + 1 != found.num_rows
    return Table(
        file, {name: _in_one(found[name]) for name in names}, 1 if broken else first, "row" if broken else "line"
    )


def separator_of(line: str) -> str:
    """What separates the columns of a line: comma, semicolon, tab or ``|``, whichever it has most of.

    >>> separator_of("a;b;c"), separator_of("a"), separator_of('"x;y",b')
    (';', ',', ',')
    """
    bare = _QUOTED.sub("", line)
    return max(SEPARATORS, key=bare.count)


def _header(file: str, text: str, separator: str, *, quoted: bool) -> tuple[list[str], str, int]:
    """The names in the first line, which may have line breaks in quotes; the rest, and the number of its first line."""
    if not quoted:
        line, _, rest = text.partition("\n")
        names, lines = line.split(separator), 1
    else:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        try:
            names = next(reader, [])
        except csv.Error as error:
            msg = f"{file}, line 1: {error}"
            raise RalmError(msg) from None
        lines = max(1, reader.line_num)
        rest = text.split("\n", lines)[lines] if text.count("\n") >= lines else ""
    names = [name.strip() for name in names]
    _refuse_twins(file, names)
    return names, rest, lines + 1


def as_text(strings: Any) -> Text:
    """Arrow strings as text[n]."""
    encoded = strings.dictionary_encode()  # each distinct value is converted once
    text: Text = as_words(encoded.dictionary.to_pylist())[encoded.indices.to_numpy(zero_copy_only=False)]
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
    """The text of a file; a byte order mark says its encoding and is left out.

    Raises:
        RalmError: naming the line that is in another encoding.
    """
    encoding = encoding_of(content, encoding) if encoding == "utf-8" else encoding
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
