"""The common layout of a data set: three tables as columns, in a folder.

``events.npz`` (user, item, time), ``users.npz`` (id, fields), ``items.npz`` (id, categories), ``fields.json`` (what
kind each user field is, and whether the times are real). Strings are arrays of text, and values of a multivalent field
are joined by ``|``; nothing is pickled.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.support.errors import RalmError
from ralm.features import Interactions, Ints

SEPARATOR = "|"
FIELD_KINDS = ("categorical", "multivalent", "continuous")
LEAST_ITEMS = 2
_TAKEN = {"id", "file", "items", "categories"}
"""Names that a user field cannot have: of a column or an argument here, and of what clicks give as features."""


@dataclass(frozen=True)
class Dataset:
    """A data set of clicks.

    Attributes:
        name: its name.
        event_users: user of each click, text[n], in order of (time, user, item).
        event_items: item of each click, text[n].
        event_times: int64[n], ms since the epoch.
        user_ids: text[u], ascending.
        fields: of each user field its kind and its column: text[u], or float32[u] when continuous.
        item_ids: text[i], ascending.
        categories: text[i], joined by ``|``.
        timed: whether the times are real; when not, the clicks are in a random order, 1 ms apart.
        titles: what people call each item, text[i], empty where it has none; None without any.
    """

    name: str
    event_users: NDArray[np.str_]
    event_items: NDArray[np.str_]
    event_times: Ints
    user_ids: NDArray[np.str_]
    fields: dict[str, tuple[str, NDArray[Any]]]
    item_ids: NDArray[np.str_]
    categories: NDArray[np.str_]
    timed: bool = True
    titles: NDArray[np.str_] | None = None

    def fingerprint(self) -> str:
        """SHA-256 of everything that is learned from, hexadecimal."""
        digest = hashlib.sha256(self.name.encode())
        columns = [self.event_users, self.event_items, self.event_times, self.user_ids, self.item_ids, self.categories]
        for column in [*columns, *(column for _, column in self.fields.values())]:
            digest.update(np.ascontiguousarray(column).tobytes())
        digest.update(json.dumps({name: kind for name, (kind, _) in self.fields.items()}).encode())
        return digest.hexdigest()

    def time_at(self, share: float) -> int:
        """The time (ms) before which a share of the clicks lies.

        Raises:
            RalmError: when the data have no times, or too few of them: one side of the cut would be empty.
        """
        if not self.timed:
            msg = (
                f"{self.name}: its clicks have no times, so that they cannot be cut by time; "
                "hold out a share of each user's clicks, or items, instead"
            )
            raise RalmError(msg)
        place = int(len(self.event_times) * share)
        if not 0 < place < len(self.event_times):
            msg = f"{self.name}: cutting {len(self.event_times)} clicks at {share} leaves one side empty"
            raise RalmError(msg)
        cut = int(self.event_times[place])
        if cut == self.event_times[0]:
            same = int((self.event_times == cut).sum())
            msg = (
                f"{self.name}: the first {same:,} of {len(self.event_times):,} clicks have the same time, "
                f"{cut} ms since the epoch, so that the earliest {share:.0%} cannot be told from the rest: give the "
                "times at which they happened, or data without times"
            )
            raise RalmError(msg)
        return cut

    def interactions(self) -> Interactions:
        """The data as dense numbers: user u is ``user_ids[u]``, item i is ``item_ids[i]``."""
        users = np.searchsorted(self.user_ids, self.event_users)
        items = np.searchsorted(self.item_ids, self.event_items)
        order = np.lexsort((items, self.event_times, users))
        categorical, multivalent, continuous = {}, {}, []
        for name, (kind, column) in self.fields.items():
            if kind == "continuous":
                continuous.append(_normalised(column))
            elif kind == "categorical":
                categorical[name] = _codes(column)
            else:
                multivalent[name] = _ragged_codes(column)
        item_categories, category_count = _ragged_codes(self.categories)
        nothing = np.zeros((len(self.user_ids), 0), np.float32)
        return Interactions(
            users[order],
            items[order],
            self.event_times[order],
            categorical,
            multivalent,
            np.stack(continuous, axis=1) if continuous else nothing,
            item_categories,
            category_count,
        )


def check(dataset: Dataset) -> Dataset:
    """Refuse a data set that cannot be learned from.

    Raises:
        RalmError: naming the table, the row or the field.
    """
    if not len(dataset.event_times):
        msg = f"{dataset.name}: there are no clicks"
        raise RalmError(msg)
    if len(dataset.item_ids) < LEAST_ITEMS:
        msg = f"{dataset.name}: there is only one item; at least {LEAST_ITEMS} are needed to tell them apart"
        raise RalmError(msg)
    for table, known, named in (
        ("users", dataset.user_ids, dataset.event_users),
        ("items", dataset.item_ids, dataset.event_items),
    ):
        strange = np.flatnonzero(~np.isin(named, known))
        if len(strange):
            name = str(named[strange[0]])
            msg = f"{dataset.name}: event {strange[0]} names {name!r}, which is not among the {table}"
            raise RalmError(msg)
    for name in dataset.fields:
        _check_field(dataset, name)
    return dataset


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set in the common layout."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "events.npz", user=dataset.event_users, item=dataset.event_items, time=dataset.event_times)
    columns: dict[str, Any] = {name: column for name, (_, column) in dataset.fields.items()}
    np.savez(folder / "users.npz", id=dataset.user_ids, **columns)
    titles: dict[str, Any] = {} if dataset.titles is None else {"title": dataset.titles}
    np.savez(folder / "items.npz", id=dataset.item_ids, categories=dataset.categories, **titles)
    kinds = {name: kind for name, (kind, _) in dataset.fields.items()}
    described = {"name": dataset.name, "fields": kinds, "timed": dataset.timed}
    (folder / "fields.json").write_text(json.dumps(described, indent=2) + "\n")


def load(folder: Path) -> Dataset:
    """Read a data set in the common layout.

    Raises:
        RalmError: when a file or a column is missing, or it cannot be learned from.
    """
    try:
        described = json.loads((folder / "fields.json").read_text())
        tables = {}
        for table in ("events", "users", "items"):
            with np.load(folder / f"{table}.npz", allow_pickle=False) as columns:
                tables[table] = {name: columns[name] for name in columns.files}
        users = tables["users"]
        return check(
            Dataset(
                described["name"],
                tables["events"]["user"],
                tables["events"]["item"],
                tables["events"]["time"],
                users["id"],
                {name: (kind, users[name]) for name, kind in described["fields"].items()},
                tables["items"]["id"],
                tables["items"]["categories"],
                described.get("timed", True),
                tables["items"].get("title"),
            )
        )
    except (OSError, ValueError, KeyError) as error:
        msg = f"{folder} holds no data set in the common layout ({type(error).__name__}: {error}); run `ralm data`"
        raise RalmError(msg) from error


def _check_field(dataset: Dataset, name: str) -> None:
    kind, column = dataset.fields[name]
    if name in _TAKEN or not name or set(name) & set("./\\"):
        msg = f"{dataset.name}: a user field cannot be called {name!r}; rename that column"
        raise RalmError(msg)
    if kind not in FIELD_KINDS:
        msg = f"{dataset.name}: field {name!r} is of kind {kind!r}; it must be one of {', '.join(FIELD_KINDS)}"
        raise RalmError(msg)
    if kind == "continuous" and not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        msg = f"{dataset.name}: field {name!r} of user {str(dataset.user_ids[row])!r} is {column[row]}, not a number"
        raise RalmError(msg)


def _codes(column: NDArray[np.str_]) -> tuple[Ints, int]:
    """Codes 1 and up; 0 is for an empty value."""
    values = np.unique(column[column != ""])
    codes = np.where(column == "", 0, np.searchsorted(values, column) + 1)
    return codes.astype(np.int64), len(values) + 1


def _ragged_codes(column: NDArray[np.str_]) -> tuple[Ints, int]:
    """Codes of joined values, padded with 0."""
    values = np.array(SEPARATOR.join(column.tolist()).split(SEPARATOR))
    rows = np.repeat(np.arange(len(column)), np.strings.count(column, SEPARATOR) + 1)
    rows, values = rows[values != ""], values[values != ""]
    vocabulary, codes = np.unique(values, return_inverse=True)
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)  # among the row's own values
    padded = np.zeros((len(column), int(place.max(initial=0)) + 1), np.int64)
    padded[rows, place] = codes + 1
    return padded, len(vocabulary) + 1


def _normalised(column: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(column.min()), float(column.max())
    return ((column - low) / ((high - low) or 1.0)).astype(np.float32)
