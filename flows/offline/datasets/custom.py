"""One's own data: a folder with ``events``, and perhaps ``users`` and ``items``, as CSV or Parquet (docs/data.md).

Kinds of user fields that ``data.toml`` does not give are inferred from the values: lists, and text with ``|`` in any
row, are multivalent; other text, booleans and whole numbers of at most 10 different values (codes: a plan, a gender)
are categorical; other numbers are continuous.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.offline.datasets.assemble import CATEGORIES, Columns, Known, assemble, known, mentioned
from flows.offline.datasets.layout import SEPARATOR, Dataset
from flows.offline.datasets.source_files import table_file
from flows.offline.datasets.tables import Table, read_table
from flows.offline.datasets.times import times_ms
from flows.support.errors import ConfigError

DESCRIPTION = "data.toml"
MOST_CODES = 10
"""A field of whole numbers with more different values is continuous."""


class Names(BaseModel):
    """What the columns are called in the files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str = "user_id"
    item_id: str = "item_id"
    timestamp: str = "timestamp"
    rating: str = "rating"
    categories: str = CATEGORIES


class Description(BaseModel):
    """What ``data.toml`` may say.

    Attributes:
        least_rating: an event is a click from this rating on, where events are rated.
        time_unit: of times that are numbers; when not said, their size tells s from ms.
        timed: false for events without times.
        columns: what the columns are called.
        kinds: of user fields: categorical, multivalent, continuous, or ignore.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_rating: float = Field(default=4.0, allow_inf_nan=False)
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    timed: bool = True
    columns: Names = Names()
    kinds: dict[str, Literal["categorical", "multivalent", "continuous", "ignore"]] = {}


def prepare_custom(name: str, folder: Path) -> Dataset:
    """Read the tables of a folder.

    Args:
        name: of the data set.
        folder: it holds ``events``, ``users`` and ``items`` (.parquet or .csv; only events must be there).

    Raises:
        ConfigError: when there is no table of events, or ``data.toml`` cannot be used.
        RalmError: naming the file, the row and the field that is wrong.
    """
    described = describe(folder)
    tables = {table: _table(folder, table, described.columns) for table in ("events", "users", "items")}
    events = tables["events"]
    if events is None:
        msg = f"{name}: {folder} has no events.parquet or events.csv (see docs/data.md)"
        raise ConfigError(msg)
    _check_against(described, [table for table in tables.values() if table], events)
    return assemble(
        name,
        events,
        users=_users(tables["users"], events, described),
        items=_items(tables["items"], events),
        times=times_ms(events, "timestamp", described.time_unit) if described.timed else None,
        least_rating=described.least_rating if "rating" in events else None,
    )


def describe(folder: Path) -> Description:
    """What the folder's ``data.toml`` says; everything has a default.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description()
    try:
        return Description.model_validate(tomllib.loads(path.read_text()))
    except ValidationError as error:
        wrong = error.errors()[0]
        msg = f"{path}: {'.'.join(str(part) for part in wrong['loc'])}: {wrong['msg']}"
        raise ConfigError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{path} cannot be read: {error}"
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
    for name in described.columns.model_fields_set:
        if not any(name in table for table in tables):
            msg = f"{DESCRIPTION} calls the column {name} {getattr(described.columns, name)!r}, but no table has that"
            raise ConfigError(msg)
    if "least_rating" in described.model_fields_set and "rating" not in events:
        msg = f"{DESCRIPTION} says least_rating, but {events.file} has no column {events.real('rating')!r}"
        raise ConfigError(msg)
    if not described.timed and "timestamp" in events:
        msg = f"{DESCRIPTION} says timed = false, but {events.file} has times ({events.real('timestamp')})"
        raise ConfigError(msg)


def _as_numbers(words: Any) -> Any:
    """Words as numbers; None when there are no words, or one is not a number."""
    try:
        return words.astype(np.float64) if len(words) else None
    except ValueError:
        return None


def _table(folder: Path, name: str, names: Names) -> Table | None:
    path = table_file(folder, name)
    if path is None:
        return None
    table = read_table(path)
    return Table(table.file, table.columns, table.first, table.unit, names.model_dump())


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
    fields: Columns = {}
    for name, kind in kinds.items():
        if kind == "continuous":
            fields[name] = (kind, table.numbers(name, owner="user_id").astype(np.float32))
        elif kind != "ignore":
            fields[name] = (kind, table.text(name))
    return known(table, "user_id", fields)


def _items(table: Table | None, events: Table) -> Known:
    if table is None:
        return Known(events.file, mentioned((events, "item_id")), {})
    columns: Columns = {CATEGORIES: ("multivalent", table.text(CATEGORIES))} if CATEGORIES in table else {}
    return known(table, "item_id", columns)
