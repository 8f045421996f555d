"""One's own data: a folder with ``events``, and perhaps ``users`` and ``items``, as tables (docs/data.md).

Kinds of user fields that ``data.toml`` does not give are inferred from the values: lists, and text with ``|`` in any
row, are multivalent; other text, booleans and whole numbers of at most 10 different values (codes: a plan, a gender)
are categorical; other numbers are continuous.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flows.offline.datasets.assemble import (
    CATEGORIES,
    TITLE,
    Columns,
    Known,
    Problems,
    assemble,
    known,
    mentioned,
    without_middle,
)
from flows.offline.datasets.layout import Dataset
from flows.offline.datasets.source_files import OWN_SUFFIXES, table_file
from flows.offline.datasets.tables import Table, read_table
from flows.offline.datasets.times import times_ms
from flows.offline.datasets.words import among, as_words
from flows.support.errors import ConfigError, RalmError
from flows.support.text import read_text
from ralm.encoders.profiles import SEPARATOR

DESCRIPTION = "data.toml"
TABLES = ("events", "users", "items")
_TRUTHS = {"true": True, "yes": True, "t": True, "y": True, "false": False, "no": False, "f": False, "n": False}
MOST_CODES = 10
"""A field of whole numbers with more different values is continuous."""


class Names(BaseModel):
    """What the columns are called in the files; of several names, in each table the first that it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str | list[str] = "user_id"
    item_id: str | list[str] = "item_id"
    timestamp: str | list[str] = "timestamp"
    rating: str | list[str] = "rating"
    categories: str | list[str] = CATEGORIES
    title: str | list[str] = TITLE

    def of(self, table: Table) -> dict[str, str]:
        """What a table calls each."""
        called = {}
        for name in type(self).model_fields:
            said = getattr(self, name)
            names = [said] if isinstance(said, str) else said
            called[name] = next((each for each in names if each in table.columns), [*names, name][0])
        return called


class Files(BaseModel):
    """What the tables' files are called in the folder; empty finds them by their usual names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: str = ""
    users: str = ""
    items: str = ""


class Description(BaseModel):
    """What ``data.toml`` may say.

    Attributes:
        least_rating: an event is a click from this rating on, where events are rated.
        time_unit: of times that are numbers; when not said, their size tells s from ms.
        time_format: how times that are text are written, as for ``strptime``; empty for ISO 8601.
        timed: false for events without times.
        separator: what stands between the columns of CSV files; empty tells it from each first line.
        encoding: of CSV and JSON files that are not UTF-8; empty refuses them.
        files: what the tables' files are called.
        columns: what the columns are called.
        filter: by a column of the events, the values of those that are taken; all others are left out.
        kinds: of user fields: categorical, multivalent, continuous, or ignore.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_rating: float = Field(default=4.0, allow_inf_nan=False)
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    time_format: str = ""
    timed: bool = True
    separator: Literal["", ",", ";", "\t", "|"] = ""
    encoding: str = ""
    files: Files = Files()
    columns: Names = Names()
    filter: dict[str, list[str | int | float | bool] | str | int | float | bool] = {}
    kinds: dict[str, Literal["categorical", "multivalent", "continuous", "ignore"]] = {}

    @field_validator("time_format")
    @classmethod
    def _is_a_form(cls, form: str) -> str:
        try:
            datetime.strptime("", form)  # noqa: DTZ007 (only whether it is one)
        except (re.error, IndexError) as error:
            msg = f"{form!r} is no form of times: {error}"
            raise ValueError(msg) from None
        except ValueError as error:
            if "directive" in str(error) or "stray" in str(error):
                msg = f"{form!r} is no form of times: {error}"
                raise ValueError(msg) from None
        return form

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            b"a".decode(encoding or "utf-8", "replace")
        except (LookupError, ValueError):
            msg = f"{encoding!r} is no encoding of text that Python knows, such as cp1252"
            raise ValueError(msg) from None
        return encoding


def prepare_custom(name: str, folder: Path) -> Dataset:
    """Read the tables of a folder.

    Args:
        name: of the data set.
        folder: it holds ``events``, ``users`` and ``items`` (.parquet, .csv, .jsonl, ...; only events must be there).

    Raises:
        ConfigError: when there is no table of events, or ``data.toml`` cannot be used.
        RalmError: naming the file, the row and the field that is wrong, a line for each problem.
    """
    return prepare_described(name, folder, describe(folder))


def prepare_described(name: str, folder: Path, described: Description) -> Dataset:
    """Read the tables of a folder as a description has them; see ``prepare_custom``."""
    problems = Problems()
    tables = {table: problems.attempt(partial(_table, folder, table, described)) for table in TABLES}
    problems.say()
    events = tables["events"]
    if events is None:
        wanted = described.files.events or "events.parquet, events.csv or events.jsonl"
        msg = f"{name}: {folder} has no {wanted} (see docs/data.md)"
        raise ConfigError(msg)
    _check_against(described, [table for table in tables.values() if table], events)
    least_rating = described.least_rating if "rating" in events else None
    events = _filtered(events, described.filter)
    if least_rating is not None and is_boolean(events.column("rating")):
        events, least_rating = events.only(truths(events.column("rating"))), None
        if not len(events):
            msg = f"{name}: there are no clicks: {events.real('rating')} is true nowhere in {events.file}"
            raise RalmError(msg)
    users = problems.attempt(lambda: _users(tables["users"], events, described))
    items = problems.attempt(lambda: _items(tables["items"], events))
    times = problems.attempt(
        lambda: times_ms(events, "timestamp", described.time_unit, described.time_format) if described.timed else None
    )
    found = None
    if users is not None and items is not None:
        stand_in = np.zeros(len(events), np.int64) if times is None and described.timed else times
        found = problems.attempt(
            lambda: assemble(name, events, users=users, items=items, times=stand_in, least_rating=least_rating)
        )
    if found is None or problems.lines:
        raise RalmError("\n".join(problems.lines))
    return found


def is_boolean(column: Any) -> bool:
    """Whether a column says yes or no."""
    if pa.types.is_boolean(column.type):
        return True
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    words = {str(word).strip().lower() for word in pc.unique(column).to_pylist()[:9]}
    return bool(words) and words <= set(_TRUTHS) and "" not in words


def truths(column: Any) -> NDArray[np.bool_]:
    """A column that says yes or no, bool[n]."""
    if pa.types.is_boolean(column.type):
        said: NDArray[np.bool_] = column.fill_null(value=False).to_numpy(zero_copy_only=False)
        return said
    return np.array([_TRUTHS[str(word).strip().lower()] for word in column.to_pylist()], np.bool_)


def describe(folder: Path) -> Description:
    """What the folder's ``data.toml`` says; everything has a default.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description()
    try:
        return Description.model_validate(tomllib.loads(read_text(path)))
    except ValidationError as error:
        wrongs = {".".join(str(part) for part in wrong["loc"]): wrong["msg"] for wrong in reversed(error.errors())}
        msg = "\n".join(without_middle(f"{path}: {key}: {words}") for key, words in reversed(wrongs.items()))
        raise ConfigError(msg) from None
    except (OSError, ValueError, RecursionError) as error:
        msg = without_middle(f"{path} cannot be read: {error}")
        raise ConfigError(msg) from error


def kind_of(table: Table, name: str) -> str:
    """The kind of a user field, inferred from its values."""
    column = table.column(name)
    if pa.types.is_nested(column.type):
        return "multivalent"
    words = np.unique(table.text(name))
    words = words[words != ""]
    numbers = _as_numbers(words)
    if pa.types.is_boolean(column.type) or numbers is None:
        return "multivalent" if np.any(np.strings.find(words, SEPARATOR) >= 0) else "categorical"
    codes = bool((numbers == np.floor(numbers)).all()) and len(numbers) <= MOST_CODES
    return "categorical" if codes else "continuous"


def _check_against(described: Description, tables: list[Table], events: Table) -> None:
    """Refuse a description that speaks of what the tables have not: it would silently do nothing."""
    wrong = [
        f"{DESCRIPTION} calls the column {name} {getattr(described.columns, name)!r}, but no table has that"
        for name in described.columns.model_fields_set
        if not any(name in table for table in tables)
    ]
    rated = "rating" in events
    if "least_rating" in described.model_fields_set and not rated:
        wrong.append(f"{DESCRIPTION} says least_rating, but {events.file} has no column {events.real('rating')!r}")
    if "least_rating" in described.model_fields_set and rated and is_boolean(events.column("rating")):
        wrong.append(f"{DESCRIPTION} says least_rating, but {events.real('rating')!r} is true or false: leave it out")
    if not described.timed and "timestamp" in events:
        wrong.append(f"{DESCRIPTION} says timed = false, but {events.file} has times ({events.real('timestamp')})")
    if described.time_unit and described.time_format:
        wrong.append(f"{DESCRIPTION} says time_unit, of numbers, and time_format, of text: only one can count")
    wrong += [
        f"{DESCRIPTION} filters by {name!r}, but {events.file} has only {', '.join(events.columns)}"
        for name in described.filter
        if name not in events.columns
    ]
    if wrong:
        raise ConfigError("\n".join(map(without_middle, wrong)))


def _filtered(events: Table, wanted: Mapping[str, Any]) -> Table:
    """The events whose columns have one of the values that are wanted."""
    for column, values in wanted.items():
        words = [_word(value) for value in (values if isinstance(values, list) else [values])]
        left = events.only(among(events.text(column), as_words(words)))
        if not len(left):
            there = sorted(set(events.text(column).tolist()))
            shown = ", ".join(map(repr, there[:9])) + (", ..." if len(there) > 9 else "")
            msg = f"{events.file}: no event has {' or '.join(map(repr, words))} as its {column}; it has {shown}"
            raise RalmError(without_middle(msg))
        events = left
    return events


def _word(value: object) -> str:
    """A value of TOML as it stands in a column."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _as_numbers(words: Any) -> Any:
    """Words as numbers; None when there are no words, or one is not a number."""
    try:
        return words.astype(np.float64) if len(words) else None
    except ValueError:
        return None


def _table(folder: Path, name: str, described: Description) -> Table | None:
    said = getattr(described.files, name)
    path = folder / said if said else table_file(folder, name, OWN_SUFFIXES)
    if path is None:
        return None
    if not _is_file(path):
        msg = f"{DESCRIPTION} says that {name} are in {said}, but {folder} has no such file"
        raise RalmError(msg)
    table = read_table(path, described.separator, described.encoding)
    return replace(table, aliases=described.columns.of(table))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the system
        return False


def _users(table: Table | None, events: Table, described: Description) -> Known:
    if table is None:
        if described.kinds:
            msg = f"{DESCRIPTION} says the kind of {next(iter(described.kinds))!r}, but there is no table of users"
            raise ConfigError(msg)
        return Known(events.file, mentioned((events, "user_id")), {})
    names = [name for name in table.columns if name != table.real("user_id")]
    for name in described.kinds:
        if name not in names:
            msg = f"{DESCRIPTION} says the kind of {name!r}, but {table.file} has only {', '.join(names) or 'ids'}"
            raise ConfigError(msg)
    kinds = {name: described.kinds.get(name) or kind_of(table, name) for name in names}
    problems = Problems()
    fields: Columns = {}
    for name, kind in kinds.items():
        column = None if kind == "ignore" else problems.attempt(partial(_field, table, name, kind))
        if column is not None:
            fields[name] = (kind, column)
    users = problems.attempt(lambda: known(table, "user_id", fields))
    if users is None or problems.lines:
        raise RalmError("\n".join(problems.lines))
    return users


def _field(table: Table, name: str, kind: str) -> NDArray[Any]:
    if kind == "continuous":
        return table.numbers(name, owner="user_id").astype(np.float32)
    return table.text(name)


def _items(table: Table | None, events: Table) -> Known:
    if table is None:
        return Known(events.file, mentioned((events, "item_id")), {})
    columns: Columns = {CATEGORIES: ("multivalent", table.text(CATEGORIES))} if CATEGORIES in table else {}
    if TITLE in table:
        columns[TITLE] = ("text", table.text(TITLE))
    return known(table, "item_id", columns)
