"""Tables as their sources have them (Parquet, CSV, plain text), in columns; errors say which file, row and field.

Needs pyarrow (of the extra ``train``); what serves does not import this module.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.offline.datasets.layout import others
from flows.offline.datasets.words import Text, as_words
from flows.support.errors import RalmError
from flows.support.text import encoding_of
from ralm.encoders.profiles import SEPARATOR
from ralm.features import Ints


class NotInEncodingError(RalmError):
    """Text is in another encoding than it should be."""


class NoRowsError(RalmError):
    """A file has nothing in it, or names of columns alone."""


_MOST_NAMES = 400
"""Characters of the names of all columns in a message."""
_SHOWN = 200
"""Characters of a value in a message."""
_WITH_SIGN = r"^(?:[$€£¥]\s*[+-]?[\d.,]+|[+-]?[\d.,]+\s*[$€£¥%])$"
_COMMA_DECIMALS = r"^[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?$"
_POINT_DECIMALS = r"^[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d+)?$"


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
        notes: what a person should know of how it was read.
        parts: the tables of its files, one after another, where it has several.
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
    notes: tuple[str, ...] = ()
    parts: tuple["Table", ...] = ()
    halves: dict[str, str] = field(default_factory=dict)

    def real(self, name: str) -> str:
        """What the file itself calls a column."""
        return self.aliases.get(name, name)

    def place(self, row: int) -> str:
        """Where a row (from 0) is, for messages."""
        number = row if self.kept is None else int(self.kept[row])
        for part in self.parts:
            if number < len(part):
                return part.place(number)
            number -= len(part)
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
            there = ", ".join(self.columns)
            there = there if len(there) <= _MOST_NAMES else f"{there[:_MOST_NAMES]}..."
            msg = f"{self.file} has no column {self.real(name)[:_SHOWN]!r}; it has {there}"
            raise RalmError(msg)
        return self.columns[self.real(name)]

    def strings(self, name: str) -> Any:
        """A column as Arrow strings; what is missing is empty, lists are joined by ``|``.

        Raises:
            RalmError: when there is no such column, or a list holds what cannot be joined.
        """
        column = self.column(name)
        if holds_lists(column):
            column = self._joined(name, column)
        elif pa.types.is_floating(column.type):
            column = _without_fraction(column)
        try:
            return column.cast(pa.string()).fill_null("")
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            msg = f"{self.file}: column {self.real(name)!r} cannot be read as text: {error}"
            raise RalmError(msg) from error

    def ids(self, name: str) -> Any:
        """A column of ids as Arrow strings; where all are whole numbers, without the ``.0`` that pandas adds.

        Raises:
            RalmError: as for `strings`; and where an id is no text, as messages are refused too.
        """
        if half := self.halves.get(self.real(name)):
            msg = f"{half}: {self.real(name)} holds half of a pair of surrogates, which is no text"
            raise RalmError(msg)
        ids = self.strings(name)
        there = ids.filter(pc.not_equal(ids, ""))
        if len(there) and pc.all(pc.match_substring_regex(there, r"^-?\d+(\.0+)?$")).as_py():
            ids = pc.replace_substring_regex(ids, r"\.0+$", "")
        return ids

    def text(self, name: str) -> Text:
        """A column as text[n]; what is missing is empty, lists are joined by ``|``.

        Raises:
            RalmError: as for `strings`.
        """
        return as_text(self.strings(name))

    def distinct(self, name: str) -> Text:
        """The different values of a column, ascending text[k]; what is missing is empty.

        Raises:
            RalmError: as for `strings`.
        """
        return different(self.strings(name))

    def pairs(self, name: str, other: str) -> int:
        """How many different pairs of values two columns have, of rows that have both.

        Raises:
            RalmError: as for `strings`.
        """
        first, second = self.strings(name), self.strings(other)
        there = pc.and_(pc.not_equal(first, ""), pc.not_equal(second, ""))
        codes = [pc.dictionary_encode(each.filter(there)).indices.to_numpy() for each in (first, second)]
        return len(np.unique(codes[0].astype(np.int64) * (len(self) + 1) + codes[1]))

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
                column = with_points(pc.utf8_trim_whitespace(column))
            # Of whole numbers float64 has 53 bits; nanoseconds since 1970 have more, and lose what is below them.
            cast = column.cast(pa.float64(), safe=not pa.types.is_integer(column.type))
            numbers: NDArray[np.float64] = cast.fill_null(np.nan).to_numpy(zero_copy_only=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            wrong = np.array([row for row, value in enumerate(column) if not is_number(value)])
            self._refuse_number(name, owner, wrong)
        wrong = np.flatnonzero(~np.isfinite(numbers))
        if len(wrong):
            self._refuse_number(name, owner, wrong)
        return numbers

    def _refuse_number(self, name: str, owner: str | None, wrong: Ints) -> NoReturn:
        row = int(wrong[0])
        whose = f"field {self.real(name)!r} of user {str(self.text(owner)[row])!r}" if owner else self.real(name)
        value = self.column(name)[row].as_py()
        value = value[:_SHOWN] if isinstance(value, str) else value
        shown = "missing" if value in (None, "") else f"{value if is_number(value) else repr(value)}, not a number"
        msg = f"{self.place(row)}: {whose} is {shown}{others(len(wrong))}"
        raise RalmError(msg)

    def _joined(self, name: str, lists: Any) -> Any:
        try:
            words = lists.cast(pa.list_(pa.string()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            msg = f"{self.file}: column {self.real(name)!r} cannot be read as text: {error}"
            raise RalmError(msg) from error
        flat = words.flatten()
        wrong = pc.fill_null(pc.match_substring(flat, SEPARATOR), fill_value=True)
        if pc.any(wrong).as_py():
            place = pc.index(wrong, value=True).as_py()
            row, value = pc.list_parent_indices(words)[place].as_py(), flat[place].as_py()
            msg = (
                f"{self.place(row)}: {self.real(name)} holds {value!r}; values must be there and without {SEPARATOR!r}"
            )
            raise RalmError(msg)
        return pc.binary_join(_without_blanks(words), SEPARATOR)


def as_text(strings: Any) -> Text:
    """Arrow strings as text[n]."""
    encoded = strings.dictionary_encode()  # each distinct value is converted once
    text: Text = as_words(encoded.dictionary.to_pylist())[encoded.indices.to_numpy(zero_copy_only=False)]
    return text


def different(strings: Any) -> Text:
    """The different values of Arrow strings, ascending, text[k]."""
    words: Text = np.sort(as_words(pc.unique(strings).to_pylist()))
    return words


def in_one(column: Any) -> Any:
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


def _without_blanks(lists: Any) -> Any:
    """Lists of text without the empty ones."""
    flat, parents = lists.flatten(), pc.list_parent_indices(lists).to_numpy()
    there = pc.not_equal(flat, "").to_numpy(zero_copy_only=False)
    offsets = np.searchsorted(parents[there], np.arange(len(lists) + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), flat.filter(pa.array(there)))


def with_points(column: Any) -> Any:
    """Numbers with a point before their decimals, nothing between thousands, and no sign of money or per cent.

    Such signs are left out where all have one.
    A comma stands before the decimals where all of the column fit that and some tell, as 4,5 or 1.234,50 does; it
    separates thousands where some have a point after it, as 1,234.50. Of 1,234 alone nothing is known: it stays.
    """
    there = column.filter(pc.not_equal(column, ""))
    if len(there) and pc.all(pc.match_substring_regex(there, _WITH_SIGN)).as_py():
        column = pc.replace_substring_regex(column, r"[$€£¥%\s]", "")
        there = column.filter(pc.not_equal(column, ""))
    if not pc.any(pc.match_substring(column, ",")).as_py():
        return column

    def fits(form: str, telling: str) -> bool:
        all_fit = pc.all(pc.match_substring_regex(there, form)).as_py()
        return bool(all_fit and pc.any(pc.match_substring_regex(there, telling)).as_py())

    if fits(_COMMA_DECIMALS, r",(\d{1,2}|\d{4,})$|\.\d+,"):
        return pc.replace_substring(pc.replace_substring(column, ".", ""), ",", ".")
    if fits(_POINT_DECIMALS, r",\d+[.,]"):
        return pc.replace_substring(column, ",", "")
    return column


def decoded(file: str, content: bytes, encoding: str) -> str:
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


def refuse_empty(file: str, rows: int) -> None:
    """Refuse a file without rows."""
    if not rows:
        msg = f"{file} has no rows"
        raise NoRowsError(msg)


def refuse_twins(file: str, names: Sequence[str]) -> None:
    """Refuse two columns of one name."""
    twins = [name for name in names if names.count(name) > 1]
    if twins:
        msg = f"{file} has two columns of the name {twins[0]!r}"
        raise RalmError(msg)


def is_number(value: Any) -> bool:
    """Whether Arrow takes a value for a number."""
    plain = value.as_py() if isinstance(value, pa.Scalar) else value
    try:
        pa.scalar(plain).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def holds_lists(column: Any) -> bool:
    """Whether the values of an Arrow array are lists."""
    return bool(pa.types.is_list(column.type) or pa.types.is_large_list(column.type))
