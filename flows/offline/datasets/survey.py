"""Looks at the tables of a folder: what each column holds, and what it seems to be."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.offline.datasets.delimited import NAMELESS, NoNamesError
from flows.offline.datasets.encodings import encoding_like
from flows.offline.datasets.kinds import as_numbers, is_boolean
from flows.offline.datasets.own_files import parts_in, tables_below, tables_within, with_columns_of_path
from flows.offline.datasets.packed import archive_of, without_fold
from flows.offline.datasets.reading import MISSING, Written, content_of, joined, read_table, without_marks
from flows.offline.datasets.roles import EVENT_WORDS, NO_CLICK, VIEWS, rank
from flows.offline.datasets.tables import NoRowsError, NotInEncodingError, Table
from flows.support.errors import RalmError
from ralm.encoders.profiles import SEPARATOR

Type: TypeAlias = Literal["whole number", "number", "true or false", "time", "list", "text", "unreadable"]
LOOSE_MARKS = ("NA", "n/a", "-", "--", "?", ".", "unknown")
"""What stands for no value among numbers, and perhaps for itself among words (NA is a country too)."""
_SAMPLE = 200
_DIFFERENT_WORDS = 2
"""Of two files' names, one in each."""
_LEAST_START, _MANY = 3, 9
"""Names that have fewer first characters in common are said one by one, if they are not more."""
_SERIAL = re.compile(
    r"[\d\W_]+|(?<![a-z])(part|c\d+|[0-9a-f]{4,}|(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}"
    r"|train|test|valid|validation)(?![a-z])"
)
_ID_SHARE = 0.9
_LEAST_IDS = 20
"""So many different values, in so large a share of the rows, are identifiers or free text, and no field."""
_LONG = 60


@dataclass(frozen=True)
class ColumnFacts:
    """What a column holds.

    Attributes:
        file: the table's file.
        name: of the column.
        type: of its values.
        rows: how many there are.
        distinct: different values, without the missing.
        missing: rows without a value.
        longest: characters of the longest value.
        is_prose: whether values have blanks in them.
    """

    file: str
    name: str
    type: Type
    rows: int
    distinct: int
    missing: int
    longest: int
    is_prose: bool = False

    @property
    def is_unique(self) -> bool:
        """Whether each row has a value of its own."""
        return not self.missing and self.distinct == self.rows

    @property
    def is_identifying(self) -> bool:
        """Whether the values tell nearly each row from all others: an identifier in disguise, or free text."""
        return self.distinct >= _LEAST_IDS and self.distinct >= _ID_SHARE * (self.rows - self.missing)


@dataclass(frozen=True)
class Look:
    """A table and what its columns hold, in their order.

    Attributes:
        folder: that all lies in.
        paths: its files, or the folder of its parts.
        table: what they hold.
        columns: what each column holds.
        names: of the columns, where no first line has them.
        marks: of `LOOSE_MARKS`, those that stand for no value here.
        worded: columns of words, among which the marks may be words too.
    """

    folder: Path
    paths: tuple[Path, ...]
    table: Table
    columns: dict[str, ColumnFacts]
    names: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    worded: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The first of its files."""
        return self.paths[0]

    @property
    def called(self) -> str:
        """Its file, or the first of its files, for people."""
        return self.table.file

    @property
    def said(self) -> str | list[str]:
        """What ``[files]`` must say for it."""
        names = [path.relative_to(self.folder).as_posix() for path in self.paths]
        if len(names) == 1:
            return names[0]
        archive = archive_of(self.path)
        if archive is not None:
            return archive.relative_to(self.folder).as_posix() if [*self.paths] == tables_within(archive) else names
        pattern = _pattern_of(names)
        if not pattern or (len(pattern.partition("*")[0]) < _LEAST_START and len(names) < _MANY):
            return names
        found = {path for path in self.folder.glob(pattern) if not path.name.startswith((".", "_"))}
        return pattern if found == set(self.paths) else names

    def of(self, table: Table) -> "Look":
        """The same, of another table that was made of this one."""
        return replace(self, table=table, columns={name: _facts(table, name) for name in table.columns})

    def first_like(self, role: str) -> str | None:
        """The column whose name is likest to what a role is called; None if none is.

        One that has no value is none, and one that has few, or the same in all rows, gives way to others.
        """
        ranked = self.like(role)
        return ranked[0] if ranked else None

    def like(self, role: str) -> list[str]:
        """The columns whose names fit a role, the best first."""
        ranked = sorted(
            (facts.missing * 2 > facts.rows or facts.distinct == 1, found, place, name)
            for place, (name, facts) in enumerate(self.columns.items())
            if facts.distinct and (found := rank(name, role))
        )
        return [name for *_, name in ranked]


def _pattern_of(names: list[str]) -> str:
    """A pattern that fits some names, with a star in each part of their paths that differs; empty if none does."""
    parts = [name.split("/") for name in names]
    if len({len(each) for each in parts}) > 1:
        return ""
    stars = []
    for level in map(list, zip(*parts, strict=True)):
        start = _common_start(level)
        end = _common_start([name[len(start) :][::-1] for name in level])[::-1]
        stars.append(start if len(set(level)) == 1 else f"{start}*{end}")
    pattern = "/".join(stars)
    return "" if set(pattern) & set("?[") else pattern


def _common_start(names: list[str]) -> str:
    first, last = min(names), max(names)
    length = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]


def look_at(folder: Path) -> tuple[list[Look], dict[str, list[str]], list[str]]:
    """The tables of a folder, by file what is wrong with those that cannot be read, and what else is not used.

    Files of the same columns, whose names differ by numbers alone, are one table.
    """
    tables: dict[tuple[str, ...], list[tuple[Path, Table, tuple[str, ...]]]] = {}
    copies: list[str] = []
    empty: dict[str, list[str]] = {}
    paths, problems = tables_below(folder)
    count = Counter(path.name for path in paths)
    for path in paths:
        file = path.name if count[path.name] == 1 else path.relative_to(folder).as_posix()
        try:
            table, names = _read(path)
        except NoRowsError as error:
            empty[file] = [str(error)]
            continue
        except RalmError as error:
            problems[file] = str(error).splitlines()
            continue
        table = replace(table, file=file)
        alike = (_SERIAL.sub("", path.name.lower()), *sorted(table.columns))
        others = tables.setdefault(alike, [])
        same = next((other for other, rows, _ in others if _is_same(rows, table)), None)
        if same is None:
            others.append((path, table, names))
        else:
            where = [each.relative_to(folder).as_posix() for each in (path, same)]
            copies.append(f"{where[0]} has the same rows as {where[1]}, and is not used")
    looks = [_look(folder, found) for found in _together(list(tables.values()))]
    notes = [f"{line}, and is not used" for lines in empty.values() for line in lines]
    return (looks, problems, [*copies, *notes]) if looks else (looks, problems | empty, copies)


Found: TypeAlias = list[tuple[Path, Table, tuple[str, ...]]]
"""The files of one table, each with its rows and the names of its columns, where no first line has them."""


def _together(groups: list[Found]) -> list[Found]:
    """Tables of the same columns whose files differ by a word that is no kind of event, as of a town, as one."""
    whole: list[Found] = []
    for group in groups:
        other = next((each for each in whole if _are_one(each[0], group[0])), None)
        if other is None:
            whole.append([*group])
        else:
            other += group
    return whole


def _are_one(one: tuple[Path, Table, tuple[str, ...]], other: tuple[Path, Table, tuple[str, ...]]) -> bool:
    (path, table, names), (path_too, table_too, names_too) = one, other
    if names or names_too or set(table.columns) != set(table_too.columns):
        return False
    if not any(rank(name, role) in (1, 2) for name in table.columns for role in ("user_id", "item_id")):
        return False
    words, words_too = (re.split(r"[\W_]+", without_fold(each.name).lower())[:-1] for each in (path, path_too))
    differ = set(words) ^ set(words_too)
    is_alike = len(words) == len(words_too) > 1 and len(differ) == _DIFFERENT_WORDS
    said = any(known in word for word in differ for known in (*EVENT_WORDS, *VIEWS, *NO_CLICK))
    return is_alike and not said and not _is_within(table, table_too) and not _is_within(table_too, table)


def _is_within(table: Table, other: Table) -> bool:
    """Whether one table has most rows of another, as a sample is within the whole."""
    rows = [
        pc.binary_join_element_wise(*(each.strings(name) for name in sorted(table.columns)), "\x1f")
        for each in (table, other)
    ]
    return 2 * (pc.sum(pc.is_in(rows[1][:_SAMPLE], value_set=rows[0])).as_py() or 0) > min(_SAMPLE, len(other))


def _is_same(table: Table, other: Table) -> bool:
    """Whether a table is a copy, as of an archive that was unpacked beside itself."""
    return len(table) == len(other) and all(
        column.equals(other.columns[name]) for name, column in table.columns.items()
    )


def _look(folder: Path, found: list[tuple[Path, Table, tuple[str, ...]]]) -> Look:
    table = joined([table for _, table, _ in found])
    marks = _marks(table)
    paths = tuple(path for path, _, _ in found)
    there = {name: column for name, column in table.columns.items() if pa.types.is_string(column.type)}
    values = pa.array(marks, pa.string())
    lost = [name for name, column in there.items() if marks and pc.any(pc.is_in(column, value_set=values)).as_py()]
    whole = Look(folder, paths, table, {}, found[0][2], marks).of(without_marks(table, marks))
    return replace(whole, worded=tuple(name for name in lost if whole.columns[name].type == "text"))


def _read(path: Path) -> tuple[Table, tuple[str, ...]]:
    """A table, and the names of its columns if it has none."""
    if not path.is_dir():
        table, names = _read_file(path)
        return with_columns_of_path(table, path), names
    found, empty = [], None
    for part in parts_in(path):
        try:
            table, names = _read_file(part)
            found.append((with_columns_of_path(table, part), names))
        except NoRowsError as error:
            empty = error
    if not found:
        raise empty or NoRowsError(f"{path.name} has no rows")
    return replace(joined([table for table, _ in found]), file=path.name), found[0][1]


def _read_file(path: Path) -> tuple[Table, tuple[str, ...]]:
    written = Written(missing=MISSING)
    for _ in range(3):
        try:
            return replace(read_table(path, written), encoding=written.encoding), tuple(written.names)
        except NotInEncodingError:
            written = replace(written, encoding=encoding_like(content_of(path)))
        except NoNamesError as error:
            written = replace(written, names=[NAMELESS.format(place) for place in range(1, error.columns + 1)])
    return read_table(path, written), tuple(written.names)


def _marks(table: Table) -> tuple[str, ...]:
    """The words that stand for no value where all others are numbers."""
    marks: set[str] = set()
    for column in table.columns.values():
        if not pa.types.is_string(column.type):
            continue
        words = pc.unique(column)
        loose = set(words.filter(pc.is_in(words, value_set=pa.array(LOOSE_MARKS))).to_pylist())
        if loose:
            others = words.filter(pc.invert(pc.is_in(words, value_set=pa.array(["", *LOOSE_MARKS]))))
            marks |= loose if as_numbers(others) is not None else set()
    return tuple(sorted(marks))


def _facts(table: Table, name: str) -> ColumnFacts:
    try:
        texts = table.strings(name)
    except RalmError:  # bytes, maps, lists of what cannot be joined: it can be of no use
        return ColumnFacts(table.file, name, "unreadable", len(table), 0, len(table), 0)
    there = texts.filter(pc.not_equal(pc.utf8_trim_whitespace(texts), ""))
    distinct = pc.unique(there)
    return ColumnFacts(
        table.file,
        name,
        _type(table.column(name), distinct),
        len(texts),
        len(distinct),
        len(texts) - len(there),
        pc.max(pc.utf8_length(distinct)).as_py() or 0,
        bool(pc.any(pc.match_substring(distinct, " ")).as_py()),
    )


def _type(column: Any, distinct: Any) -> Type:
    if pa.types.is_nested(column.type):
        return "list"
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return "time"
    if is_boolean(column):
        return "true or false"
    numbers = as_numbers(distinct)
    if numbers is not None and np.isfinite(numbers).all():
        return "whole number" if bool((numbers == np.floor(numbers)).all()) else "number"
    if pc.any(pc.match_substring(distinct, SEPARATOR)).as_py():
        return "list"
    return "time" if _is_time(distinct[:_SAMPLE]) and _is_time(distinct) else "text"


def _is_time(texts: Any) -> bool:
    for zone in (None, "UTC"):
        try:
            texts.cast(pa.timestamp("ns", zone))
        except pa.ArrowInvalid:
            continue
        return len(texts) > 0
    return False


def is_free_text(facts: ColumnFacts) -> bool:
    """Whether a text is for people to read."""
    return facts.type == "text" and facts.longest > _LONG and facts.is_prose
