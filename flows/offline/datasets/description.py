"""What ``data.toml`` says of a folder of one's own data (docs/data.md)."""

import re
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from flows.offline.datasets.assemble import CATEGORIES, TITLE, without_middle
from flows.offline.datasets.delimited import SEPARATORS
from flows.offline.datasets.reading import MISSING, Written
from flows.offline.datasets.tables import Table
from flows.support.errors import ConfigError
from flows.support.text import read_toml

DESCRIPTION = "data.toml"
TableName = Literal["events", "users", "items"]


class Names(BaseModel):
    """What the columns are called in the files; of several names, in each table the first that it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    user_id: str | list[str] = "user_id"
    item_id: str | list[str] = "item_id"
    timestamp: str | list[str] = "timestamp"
    rating: str | list[str] = "rating"
    categories: str | list[str] = CATEGORIES
    title: str | list[str] = TITLE
    time_of_day: str = ""

    def of(self, table: Table) -> dict[str, str]:
        """What a table calls each."""
        called = {}
        for name in type(self).model_fields:
            if name == "time_of_day":  # it has no usual name
                continue
            said = getattr(self, name)
            names = [said] if isinstance(said, str) else said
            called[name] = next((each for each in names if each in table.columns), [*names, name][0])
        return called


class Files(BaseModel):
    """What the tables' files are called in the folder; empty finds them by their usual names.

    Of several files, or names with ``*``, the rows are taken one after another.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    events: str | list[str] = ""
    users: str | list[str] = ""
    items: str | list[str] = ""

    def of(self, table: str) -> list[str] | None:
        """What is said of a table; None if nothing is, and an empty list if there is none."""
        said = getattr(self, table)
        return ([said] if said else None) if isinstance(said, str) else said


class Join(BaseModel):
    """Where more is known of the rows of events, as of the lines of orders: a table with a row for each order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str | list[str]
    column: str = Field(min_length=1)


class Description(BaseModel):
    """What ``data.toml`` may say.

    Attributes:
        least_rating: an event is a click from this rating on, where events are rated.
        time_unit: of times that are numbers; when not said, their size tells s from ms.
        time_format: how times that are text are written, as for ``strptime``; empty for ISO 8601.
        timed: false for events without times.
        separator: what stands between the columns of CSV files; empty tells it from each first line.
        encoding: of CSV and JSON files that are not UTF-8; empty refuses them.
        missing: words that stand for no value.
        incomplete: what becomes of events without user, item or time.
        unlisted: what becomes of events whose user or item is not in its table; kept ones have no profile.
        repeated: what becomes of users or items that several rows of their table name.
        labels: what items end in that were clicked, where events list what was shown; the ending is left out.
        blank_numbers: what becomes of users whose continuous field is missing.
        names: of the columns of CSV files that have no line of names.
        files: what the tables' files are called.
        columns: what the columns are called.
        lists: by a column, what stands between the values in its cells; ``[]`` for lists as JSON or Python has them.
        long: of users or items, the column that names a field in each row, and the column that has its value.
        join: a table that says more of the events' rows, by a column that both have.
        filter: by a column of the events, the values of those that are taken; all others are left out.
        kinds: of user fields: categorical, multivalent, continuous, or ignore.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least_rating: float = Field(default=4.0, allow_inf_nan=False)
    time_unit: Literal["s", "ms", "us", "ns", "excel"] | None = None
    time_format: str = ""
    timed: bool = True
    separator: str = ""
    encoding: str = ""
    missing: list[str] = list(MISSING)
    incomplete: Literal["refuse", "leave out"] = "refuse"
    unlisted: Literal["refuse", "keep", "leave out"] = "refuse"
    repeated: Literal["refuse", "merge"] = "refuse"
    labels: str = ""
    blank_numbers: Literal["refuse", "mean"] = "refuse"
    names: dict[TableName, list[str]] = {}
    files: Files = Files()
    columns: Names = Names()
    lists: dict[str, str] = {}
    long: dict[Literal["users", "items"], tuple[str, str]] = {}
    join: Join | None = None
    filter: dict[str, list[str | int | float | bool] | str | int | float | bool] = {}
    kinds: dict[str, Literal["categorical", "multivalent", "continuous", "ignore"]] = {}

    def written(self, table: TableName) -> Written:
        """How a table's files are written."""
        return Written(self.separator, self.encoding, self.names.get(table, ()), self.missing)

    @field_validator("separator")
    @classmethod
    def _separates(cls, separator: str) -> str:
        if separator and separator not in SEPARATORS:
            msg = f"{separator!r} is none of {', '.join(map(repr, SEPARATORS))}"
            raise ValueError(msg)
        return separator

    @field_validator("lists")
    @classmethod
    def _separate(cls, lists: dict[str, str]) -> dict[str, str]:
        if "" in lists.values():
            msg = "what stands between the values in a cell cannot be empty"
            raise ValueError(msg)
        return lists

    @field_validator("names")
    @classmethod
    def _are_names(cls, names: dict[str, list[str]]) -> dict[str, list[str]]:
        for table, said in names.items():
            if "" in said or len(set(said)) < len(said):
                msg = f"each column of {table} needs a name of its own"
                raise ValueError(msg)
        return names

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


def describe(folder: Path) -> Description:
    """What the folder's ``data.toml`` says; everything has a default.

    Raises:
        ConfigError: naming the key that cannot be used.
    """
    path = folder / DESCRIPTION
    if not path.is_file():
        return Description()
    try:
        return Description.model_validate(read_toml(path))
    except ValidationError as error:
        wrongs = {".".join(str(part) for part in wrong["loc"]): wrong["msg"] for wrong in reversed(error.errors())}
        msg = "\n".join(without_middle(f"{path}: {key}: {words}") for key, words in reversed(wrongs.items()))
        raise ConfigError(msg) from None
    except (OSError, ValueError) as error:
        msg = without_middle(f"{path} cannot be read: {error}")
        raise ConfigError(msg) from error
