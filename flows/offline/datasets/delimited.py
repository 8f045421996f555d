"""Text in columns: CSV as programs and people write it, and lines with any separator."""

import csv
import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from flows.offline.datasets.cell_lists import with_lists
from flows.offline.datasets.layout import others
from flows.offline.datasets.plain_rows import HEAD, as_columns
from flows.offline.datasets.roles import rank
from flows.offline.datasets.tables import Table, decoded, in_one, is_number, refuse_empty, refuse_twins
from flows.support.errors import RalmError
from flows.support.text import counted

SEPARATORS = (",", ";", "\t", "|", "\x01", "::")
"""What may separate the columns of one's own files; the fifth is Hive's."""
NAMELESS = "column_{}"
"""What a column without a name is called, by its place from 1."""
_TYPED = re.compile(r"(.+):(token|float|token_seq|float_seq)")
"""A name and what its column holds, as RecBole's files have it; of a ``seq``, several values with blanks between."""
_QUOTED = re.compile(r'"[^"]*"')
_ESCAPED = re.compile(r'\\"[^\s"]')
_PREAMBLE = re.compile(r'(#(?:[ =*-][^\n]*)?|[ \t]*|"?sep=(?P<separator>[^\n"])"?)\n')
_LOOKED_AT = 200
_LEAST_COLUMNS = 2
_MOST_TITLES = 12
_FEW = 0.2
"""In so many lines at most a separator is taken for part of the last column's text."""
_VALUES = (
    re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b.*"),  # a date
    re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE),
    re.compile(r"https?://.*"),
    re.compile(r"[^@\s]+@[^@\s]+\.\w+"),
    re.compile(r"(?=.*\d)[0-9a-f]{16,}", re.IGNORECASE),
)


class NoNamesError(RalmError):
    """A first line has values in place of names.

    Attributes:
        columns: how many there are.
    """

    def __init__(self, words: str, columns: int) -> None:
        super().__init__(words)
        self.columns = columns


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

    In one's own files (``quoted``) a quote within a value is doubled, or has a backslash before it; a line that has the
    names once more is left out, and so is a column without name and values, as a separator at each line's end makes.

    Args:
        file: its name, for messages.
        content: its bytes.
        names: of the columns; without them the first line has the names.
        separator: what stands between columns; empty tells it from the first line.
        encoding: of the text, unless it begins with a byte order mark.
        quoted: whether values may stand in double quotes.

    Raises:
        NoNamesError: when the first line has no names.
        RalmError: naming the file, the line and what is wrong with it.
    """
    text = decoded(file, content, encoding)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text, before = text.rstrip("\n"), 0
    if quoted:
        text, before, told = _without_preamble(text)
        separator = separator or told
    shaped = as_columns(text) if quoted and not separator else None
    text, separator = shaped or (text, separator)
    separator = separator or separator_of(text.partition("\n")[0])
    if len(separator) > 1:
        text, separator = text.replace(separator, "\x1f"), "\x1f"  # Arrow takes separators of one character
    first, named, apart = 1, names is not None, False
    several: dict[str, str] = {}
    if names is None:
        raw, text, first = _header(file, text, separator, before, quoted=quoted)
        names, several = _without_types([name.strip() for name in raw])
        apart = len(raw) > 1 and all(name.startswith(" ") for name in raw[1:])
        if quoted and names.count("") > 1:
            names = [name or NAMELESS.format(place) for place, name in enumerate(names, 1)]
        refuse_twins(file, names)
    first += before
    refuse_empty(file, len(text))
    escape = "\\" if quoted and _ESCAPED.search(text) else False
    body = _Body(file, text, separator, first, quoted=quoted, escape=escape)
    if not quoted:
        return body.table(names)
    table = body.table_of_width(list(names))
    if apart:  # a blank follows each separator
        columns = {name: pc.utf8_ltrim(column, " ") for name, column in table.columns.items()}
        table = Table(file, columns, table.first, table.unit)
    return with_lists(table if named else _without_names_again(table), several)


class _Body:
    """The rows below the names."""

    def __init__(self, file: str, text: str, separator: str, first: int, *, quoted: bool, escape: str | bool) -> None:
        self._file, self._text, self._first, self._quoted = file, text, first, quoted
        self._separator = separator
        self._options = pacsv.ParseOptions(
            delimiter=separator,
            quote_char='"' if quoted else False,
            escape_char=escape,
            newlines_in_values=quoted,
            ignore_empty_lines=False,
            invalid_row_handler=self._refuse,
        )
        self._wrong: list[Any] = []

    def _refuse(self, row: Any) -> str:
        self._wrong.append(row)
        return "error"

    def table_of_width(self, names: list[str]) -> Table:
        """The rows, where each line, or the line of names alone, may end with a separator too much."""
        try:
            return _without_nameless(self.table(names))
        except RalmError:
            more = self._wrong[0].actual_columns - len(names) if self._wrong else 0
            other = (
                [*names, ""] if more == 1 and "" not in names else names[:-1] if more == -1 and not names[-1] else []
            )
            table = self._table_if(other) if other else None
            if table is not None and _is_empty(table.columns.get("", pa.array([], pa.string()))):
                return _without_nameless(table)
            if (table := self._with_long_last(names)) is None:
                raise
            return table

    def _with_long_last(self, names: list[str]) -> Table | None:
        """The rows, where some have separators in the text of their last column, and nothing is quoted."""
        if '"' in self._text or len(names) < _LEAST_COLUMNS:
            return None
        rows = [line.split(self._separator, len(names) - 1) for line in self._text.split("\n")]
        longer = sum(self._separator in row[-1] for row in rows)
        worded = sum(any(sign.isalpha() for sign in row[-1]) for row in rows)
        if longer > _FEW * len(rows) or worded < (1 - _FEW) * len(rows) or any(len(row) < len(names) for row in rows):
            return None
        columns = {name: pa.array([row[place] for row in rows], pa.string()) for place, name in enumerate(names)}
        lines = counted(longer, "line has", "lines have")
        note = f"{self._file}: {lines} {self._separator!r} in {names[-1]}: taken as part of it"
        return Table(self._file, columns, self._first, "line", notes=(note,))

    def _table_if(self, names: list[str]) -> Table | None:
        try:
            return self.table(names)
        except RalmError:
            return None

    def table(self, names: Sequence[str]) -> Table:
        self._wrong.clear()
        try:
            found = pacsv.read_csv(
                io.BytesIO(self._text.encode()),
                # One thread, so that a bad line's number is known.
                read_options=pacsv.ReadOptions(use_threads=False, column_names=names),
                parse_options=self._options,
                convert_options=pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
        except pa.ArrowException as error:
            if self._wrong:
                row = self._wrong[0]
                line = row.number + self._first - 1
                msg = f"{self._file}, line {line}: {row.actual_columns} fields instead of {row.expected_columns}"
                raise RalmError(msg) from None
            msg = f"{self._file} cannot be read: {error}"
            raise RalmError(msg) from error
        # Where a value has line breaks in it, rows are not lines.
        broken = self._quoted and self._text.count("\n") + 1 != found.num_rows
        first, unit = (1, "row") if broken else (self._first, "line")
        return Table(self._file, {name: in_one(found[name]) for name in names}, first, unit)


def separator_of(line: str) -> str:
    """What separates the columns of a line: whichever of `SEPARATORS` it has most of.

    >>> separator_of("a;b;c"), separator_of("a"), separator_of('"x;y",b'), separator_of("1::2::3")
    (';', ',', ',', '::')
    """
    bare = _QUOTED.sub("", line)
    return max(SEPARATORS, key=bare.count)


def _without_preamble(text: str) -> tuple[str, int, str]:
    """Text without what programs write above the names, the number of those lines, and the separator if they say it."""
    lines, separator = 0, ""
    while (line := _PREAMBLE.match(text)) and line.end() < len(text):
        separator = line["separator"] or separator
        text, lines = text[line.end() :], lines + 1
    titles = _titles(text)
    text = text.split("\n", titles)[titles]
    return text, lines + titles, separator if separator in SEPARATORS else ""


def _titles(text: str) -> int:
    r"""How many first lines are a report's title, of one cell at most each, above rows of one width.

    >>> _titles("Sales\nof May,,\n\nuser,item,at\na,b,1\nc,d,2"), _titles("a,b,c\n1,2,3"), _titles("a\nb,c,d")
    (3, 0, 0)
    """
    lines = [_QUOTED.sub("x", line) for line in text.split("\n", _MOST_TITLES + 2)[: _MOST_TITLES + 2]]
    for separator in SEPARATORS:
        filled = [sum(bool(cell.strip()) for cell in line.split(separator)) for line in lines]
        place = next((place for place, count in enumerate(filled) if count > 1), 0)
        widths = [line.count(separator) for line in lines[place : place + 3]]
        if place and len(widths) == 3 and len(set(widths)) == 1 and widths[0] >= _LEAST_COLUMNS:
            return 0 if HEAD.fullmatch(lines[0].strip()) else place
    return 0


def _header(file: str, text: str, separator: str, before: int, *, quoted: bool) -> tuple[list[str], str, int]:
    """The names in the first line, which may have line breaks in quotes; the rest, and the number of its first line."""
    if not quoted:
        line, _, rest = text.partition("\n")
        names, lines = line.split(separator), 1
    else:
        reader = csv.reader(io.StringIO(text), delimiter=separator)
        try:
            names = next(reader, [])
        except csv.Error as error:
            msg = f"{file}, line {before + 1}: {error}"
            raise RalmError(msg) from None
        lines = max(1, reader.line_num)
        rest = text.split("\n", lines)[lines] if text.count("\n") >= lines else ""
        _refuse_values(file, names, _first_rows(reader))
    return names, rest, lines + 1


def _without_types(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Names without what RecBole says of their columns, and what separates the values of those that have several.

    >>> _without_types(["id:token", "title:token_seq", "class:token_seq"]), _without_types(["a:token", "b"])
    ((['id', 'title', 'class'], {'class': ' '}), (['a:token', 'b'], {}))
    """
    typed = [_TYPED.fullmatch(name) for name in names]
    found = [(match[1], match[2]) for match in typed if match]
    if len(found) < len(names):
        return names, {}
    lists = {name: " " for name, kind in found if kind.endswith("_seq") and rank(name, "title") not in (1, 2, 3, 4)}
    return [name for name, _ in found], lists


def _first_rows(reader: Any) -> list[list[str]]:
    try:
        return list(islice(reader, _LOOKED_AT))
    except csv.Error:
        return []


def _refuse_values(file: str, names: Sequence[str], rows: list[list[str]]) -> None:
    """Refuse a first line of values: its row would be lost, and no column found by its name."""
    if all(any(rank(name, role) in (1, 2) for name in names) for role in ("user_id", "item_id")):
        return
    rows = [row for row in rows if row != names]
    below = [[row[place] for row in rows if place < len(row)] for place in range(len(names))]
    if not any(_is_value(name, column) for name, column in zip(names, below, strict=True)):
        known = any(rank(name, role) in (1, 2) for name in names for role in ("user_id", "item_id"))
        if known or not any(is_number(name) for name in names):
            return
    shown = ", ".join(names[:5])
    msg = (
        f"{file}, line 1: these are values, and no names of columns ({shown}): put a line of names above them, such as "
        "user_id,item_id,timestamp, or say the names in data.toml, such as [names] events = "
        '["user_id", "item_id", "timestamp"]'
    )
    raise NoNamesError(msg, len(names))


def _is_value(name: str, below: list[str]) -> bool:
    """Whether a first line's cell is of the same kind as those below it: it comes again, or is a date as they are."""
    if not name or is_number(name):
        return False
    if name in below:
        return True
    form = next((form for form in _VALUES if form.fullmatch(name)), None)
    return form is not None and any(form.fullmatch(cell) for cell in below)


def _without_nameless(table: Table) -> Table:
    """The columns that have a name, or a value."""
    columns = {}
    for place, (name, column) in enumerate(table.columns.items(), 1):
        if name and name != NAMELESS.format(place):
            columns[name] = column
        elif not _is_empty(column):
            columns[NAMELESS.format(place)] = column
    return Table(table.file, columns or table.columns, table.first, table.unit)


def _is_empty(column: Any) -> bool:
    return bool(pc.all(pc.equal(column, ""), min_count=0).as_py())


def _without_names_again(table: Table) -> Table:
    """The rows but those that say the names once more, as files put one after another have them."""
    again = None
    for name, column in table.columns.items():
        same = pc.equal(pc.utf8_trim_whitespace(column), name)
        again = same if again is None else pc.and_(again, same)
    count = pc.sum(again).as_py() or 0
    if not count or count == len(table):
        return table
    where = table.place(pc.index(again, value=True).as_py())
    left = table.only(pc.invert(again).to_numpy(zero_copy_only=False))
    note = f"{where}: the names of the columns come again{others(count)}: left out"
    return Table(left.file, left.columns, left.first, left.unit, kept=left.kept, notes=(note,))
