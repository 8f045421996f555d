"""Looks at the tables of a folder: what each column holds, and what it seems to be."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.offline.datasets.custom import is_boolean, kind_of
from flows.offline.datasets.tables import JSON_SUFFIXES, NotInEncodingError, Table, kept_as, read_table
from flows.support.errors import RalmError

Type: TypeAlias = Literal["whole number", "number", "true or false", "time", "list", "text"]
TABLE_SUFFIXES = (".parquet", ".csv", ".tsv", ".txt", *JSON_SUFFIXES)
"""Of the files that may be tables; ``.gz`` may follow."""
_WORDS = {
    "user_id": "user|customer|member|visitor|account|client|person|people|shopper|subscriber|reader|viewer|uid|buyer",
    "item_id": "item|product|sku|article|movie|film|content|book|isbn|song|track|video|post|news|asin|business|offer|"
    "goods|iid|listing|recipe|game|app",
    "timestamp": "timestamp|datetime|time|ts|date|when|created|createdat|at|unixtime",
    "rating": "rating|stars|score|rate|vote",
    "event": "event|eventtype|action|behavior|behaviour|interaction|activity|type",
    "categories": "categories|category|genres|genre|tags|topics|topic|department|section",
    "title": "title|name|headline|label",
}
OTHER_ENCODING = "cp1252"
"""What text that is not UTF-8 most likely is: as Windows and its programs write in the west."""
_ID = re.compile(r"(id|no|nr|number|key|code)s?$")
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
    """

    file: str
    name: str
    type: Type
    rows: int
    distinct: int
    missing: int
    longest: int

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
    """A table and what its columns hold, in their order."""

    path: Path
    table: Table
    columns: dict[str, ColumnFacts]

    def first_like(self, role: str) -> str | None:
        """The column whose name is likest to what a role is called; None if none is."""
        ranked = sorted((rank, place, name) for place, name in enumerate(self.columns) if (rank := _rank(name, role)))
        return ranked[0][2] if ranked else None


def look_at(folder: Path) -> tuple[list[Look], dict[str, list[str]]]:
    """The tables of a folder, and by file what is wrong with those that cannot be read."""
    looks, problems = [], {}
    for path in sorted(folder.iterdir()):
        if kept_as(path) not in TABLE_SUFFIXES or not path.is_file():
            continue
        try:
            table = _read(path)
            looks.append(Look(path, table, {name: _facts(table, name) for name in table.columns}))
        except RalmError as error:
            problems[path.name] = str(error).splitlines()
    return looks, problems


def _read(path: Path) -> Table:
    try:
        return read_table(path)
    except NotInEncodingError:
        return replace(read_table(path, encoding=OTHER_ENCODING), encoding=OTHER_ENCODING)


def _facts(table: Table, name: str) -> ColumnFacts:
    column = table.column(name)
    texts = table.strings(name)
    there = texts.filter(pc.not_equal(pc.utf8_trim_whitespace(texts), ""))
    lengths = pc.utf8_length(there)
    return ColumnFacts(
        table.file,
        name,
        _type(table, name, column, there),
        len(texts),
        pc.count_distinct(there).as_py(),
        len(texts) - len(there),
        pc.max(lengths).as_py() or 0,
    )


def _type(table: Table, name: str, column: Any, there: Any) -> Type:
    if pa.types.is_nested(column.type) or kind_of(table, name) == "multivalent":
        return "list"
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        return "time"
    if is_boolean(column):
        return "true or false"
    try:
        numbers = there.cast(pa.float64()).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return "time" if _is_time(there) else "text"
    if not len(numbers):
        return "text"
    return "whole number" if bool((numbers == np.floor(numbers)).all()) else "number"


def _is_time(there: Any) -> bool:
    for zone in (None, "UTC"):
        try:
            there.cast(pa.timestamp("ns", zone))
        except pa.ArrowInvalid:
            continue
        return len(there) > 0
    return False


def _rank(name: str, role: str) -> int:
    """How well a column's name fits a role: 1 is best, 0 does not.

    >>> [_rank(name, "user_id") for name in ("user_id", "CustomerNo", "order_customer", "useful")]
    [1, 2, 4, 0]
    """
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+", name)
    words = [part.lower() for part in parts]
    wanted = _WORDS[role].split("|")
    whole = "".join(words)
    if whole in (role.replace("_", ""), wanted[0]):
        return 1
    if whole in wanted or _ID.sub("", whole) in wanted:
        return 2
    if role.endswith("_id") and not _ID.search(whole):
        return 4 if words and words[-1] in wanted else 0
    return 3 if any(word in wanted for word in words) else 0


def is_free_text(facts: ColumnFacts) -> bool:
    """Whether a text is for people to read."""
    return facts.type == "text" and facts.longest > _LONG
