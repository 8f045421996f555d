"""Tables as their sources have them (Parquet, CSV, plain text), in columns; errors say which file, row and field.

Needs pyarrow (of the extra ``train``); what serves does not import this module.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
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


class NotInEncodingError(RalmError):
    """Text is in another encoding than it should be."""


JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
SEPARATORS = (",", ";", "\t", "|")
"""What may separate the columns of one's own CSV files."""
_LINE_END = re.compile(r"\r\n|\n|\r")
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
        encoding: of its text, where that is not UTF-8.
        halves: by the real names of columns the first place of a text with half of a pair of surrogates in it, which
            is read as a question mark.
    """

    file: str
    columns: dict[str, Any]
    first: int
    unit: str = "line"
    aliases: dict[str, str] = field(default_factory=dict)
    kept: Ints | None = None
    encoding: str = ""
    halves: dict[str, str] = field(default_factory=dict)

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

    def ids(self, name: str) -> Any:
        """A column of ids as Arrow strings; where all are whole numbers with ``.0``, as pandas writes them, without it.

        Raises:
            RalmError: as for `strings`; and where an id is no text, as messages are refused too.
        """
        if half := self.halves.get(self.real(name)):
            msg = f"{half}: {self.real(name)} holds half of a pair of surrogates, which is no text"
            raise RalmError(msg)
        ids = self.strings(name)
        there = ids.filter(pc.not_equal(ids, ""))
        if len(there) and pc.all(pc.match_substring_regex(there, r"^-?\d+\.0+$")).as_py():
            ids = pc.replace_substring_regex(ids, r"\.0+$", "")
        return ids

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
                column = _with_points(pc.utf8_trim_whitespace(column))
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


def read_table(path: Path, separator: str = "", encoding: str = "") -> Table:
    """Read a Parquet file, JSON lines, or a CSV file whose first line names the columns; text perhaps as ``.gz``.

    Args:
        path: of the file.
        separator: what stands between the columns of a CSV file; empty tells it from the first line.
        encoding: of text that is not UTF-8; empty refuses it.

    Raises:
        RalmError: naming the file, and the line where there is one.
    """
    suffix = kept_as(path)
    if suffix != ".parquet":
        content = content_of(path)
        encoding = encoding if encoding and not _is_utf8(content) else "utf-8"
        if suffix in JSON_SUFFIXES:
            return parse_json(path.name, content, encoding)
        return parse(path.name, content, separator=separator, encoding=encoding, quoted=True)
    try:
        found = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        msg = f"{path} cannot be read as Parquet: {error}"
        raise RalmError(msg) from error
    _refuse_twins(path.name, found.column_names)
    _refuse_empty(path.name, found.num_rows)
    return Table(path.name, {name: _in_one(found[name]) for name in found.column_names}, 1, "row")


def kept_as(path: Path) -> str:
    """The suffix that says what a file holds, in lower case; ``.gz`` says only how it is kept.

    >>> kept_as(Path("events.csv.gz")), kept_as(Path("Events.JSONL"))
    ('.csv', '.jsonl')
    """
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def content_of(path: Path) -> bytes:
    """The bytes of a file, unfolded if it is one of gzip.

    Raises:
        RalmError: when it cannot be read.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix.lower() == ".gz" else content
    except gzip.BadGzipFile as error:
        msg = f"{path} cannot be read: {error}"
        raise RalmError(msg) from error
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise RalmError(msg) from error
    except (EOFError, zlib.error) as error:
        msg = f"{path} cannot be read: it is damaged, or was cut off ({error})"
        raise RalmError(msg) from error


def parse_json(file: str, content: bytes, encoding: str = "utf-8") -> Table:
    """Read JSON lines, an object each, or one array of objects.

    All columns are text, as those of CSV: numbers as they stand, ``true``, ``false``; null is what is missing, as are
    ``NaN`` and ``Infinity``, which some programs write.
    What an object within an object has is a column of both names, ``user_id`` of ``{"user": {"id": 1}}``; the values of
    a list are joined by ``|``.

    Args:
        file: its name, for messages.
        content: its bytes.
        encoding: of the text, unless it begins with a byte order mark.

    Raises:
        RalmError: naming the file, the line and what is wrong with it.
    """
    rows, objects, whole = _objects(file, _decoded(file, content, encoding))
    _refuse_empty(file, len(objects))
    columns: dict[str, list[str]] = {}
    halves: dict[str, str] = {}
    for place, found in enumerate(objects):
        where = f"{file}, {'row' if whole else 'line'} {(place if whole else rows[place]) + 1}"
        if not isinstance(found, dict):
            msg = f"{where}: this is no object"
            raise RalmError(msg)
        for key, word in _flat(found):
            name, value = (text.encode("utf-8", "replace").decode() for text in (key, word))
            if value != word:
                halves.setdefault(name, where)
            columns.setdefault(name, []).extend([""] * (place + 1 - len(columns[name])))
            columns[name][place] = value
    for column in columns.values():
        column.extend([""] * (len(objects) - len(column)))
    _refuse_empty(file, len(columns))
    kept = None if whole or rows == list(range(len(rows))) else np.array(rows)
    arrays = {name: pa.array(column, pa.string()) for name, column in columns.items()}
    return Table(file, arrays, 1, "row" if whole else "line", kept=kept, halves=halves)


def _objects(file: str, text: str) -> tuple[list[int], list[Any], bool]:
    """What is in JSON lines, or in one array: the line of each, from 0, what it is, and whether it is one array."""
    rows: list[int] = []
    objects: list[Any] = []
    whole = text.lstrip().startswith("[")
    # A text of JSON may hold what else Unicode takes for the end of a line.
    for number, line in enumerate([text] if whole else _LINE_END.split(text)):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            msg = f"{file}, line {number + 1}: this is no JSON: {error}"
            raise RalmError(msg) from None
        rows += [number] * (len(found) if whole else 1)
        objects += found if whole else [found]
    return rows, objects, whole


def _flat(found: dict[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in found.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}_")
        elif isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
            yield before + name, SEPARATOR.join(word for each in value if (word := _word(each)))
        else:
            yield before + name, _word(value)


def _word(value: Any) -> str:
    """A value of JSON as it would stand in CSV."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


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
    _refuse_values(file, names)
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
    except ValueError as error:
        line = content.count(b"\n", 0, getattr(error, "start", 0)) + 1
        msg = (
            f"{file}, line {line}: this is not {encoding.removesuffix('-sig').upper()}; save it as that, or say "
            "encoding in data.toml"
        )
        raise NotInEncodingError(msg) from None


def _with_points(column: Any) -> Any:
    """Numbers whose decimals follow a comma, all of them, with a point in its place; no thousands are so separated."""
    commas = pc.match_substring(column, ",")
    if not pc.any(commas).as_py():
        return column
    decimals = pc.all(pc.match_substring_regex(column.filter(commas), r"^[+-]?\d+,(\d{1,2}|\d{4,})$")).as_py()
    return pc.replace_substring(column, ",", ".") if decimals else column


def _is_utf8(content: bytes) -> bool:
    if encoding_of(content) != "utf-8":
        return True
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _refuse_values(file: str, names: Sequence[str]) -> None:
    """Refuse a first line of values: its row would be lost, and no column found by its name."""
    if any(_is_number(name) for name in names) and not any(name.isidentifier() for name in names):
        msg = (
            f"{file}, line 1: these are values, and no names of columns ({', '.join(names[:5])}): put a line of names "
            "above them, such as user_id,item_id,timestamp"
        )
        raise RalmError(msg)


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
