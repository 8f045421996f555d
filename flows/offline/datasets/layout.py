"""The common layout of a data set: three tables as columns, in a folder.

``events.npz`` (user, item, time), ``users.npz`` (id, fields), ``items.npz`` (id, categories, title), ``fields.json``
(what kind each user field is, and whether the times are real). Values of a multivalent field are joined by ``|``;
nothing is pickled. Text has no common width, in memory as on the disk: one long value costs its own length, and not
that of every row.
"""

import errno
import hashlib
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from flows.config.limits import END_OF_DATA_TIME, MAX_IDENTIFIER_BYTES, identifier_fault
from flows.offline.datasets.folders import DESCRIBED
from flows.offline.datasets.words import Text, among, as_words, digestible, pack, places_in, unpack
from flows.support.errors import RalmError
from ralm.encoders.profiles import MOST_VALUES, SEPARATOR
from ralm.features import Interactions, Ints
from state.nesting import json_of

FIELD_KINDS = ("categorical", "multivalent", "continuous")
LEAST_ITEMS = 2
_UNREADABLE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    BadZipFile,
    zlib.error,
)
"""What comes of files that are damaged, or not ours."""
_SHOWN = 300
"""Characters of an error that may quote the file."""
_TAKEN = {"id", "file", "items", "categories"}
"""Names that a user field cannot have: of a column or an argument here, and of what clicks give as features."""


@dataclass(frozen=True)
class Dataset:
    """A data set of clicks; text of any dtype is taken.

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
        notes: what a person should know of how it was brought; not kept with it.
    """

    name: str
    event_users: Text
    event_items: Text
    event_times: Ints
    user_ids: Text
    fields: dict[str, tuple[str, NDArray[Any]]]
    item_ids: Text
    categories: Text
    timed: bool = True
    titles: Text | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("event_users", "event_items", "user_ids", "item_ids", "categories", "titles"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_words(getattr(self, name)))
        fields = {name: (kind, as_words(column)) for name, (kind, column) in self.fields.items()}
        object.__setattr__(self, "fields", fields)

    def fingerprint(self) -> str:
        """SHA-256 of everything that is learned from, hexadecimal."""
        digest = hashlib.sha256(self.name.encode())
        columns = [self.event_users, self.event_items, self.event_times, self.user_ids, self.item_ids, self.categories]
        for column in [*columns, *(column for _, column in self.fields.values())]:
            for part in digestible(column):
                digest.update(part)
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
                "times at which they happened, or say that there are none (timed = false in data.toml)"
            )
            raise RalmError(msg)
        return cut

    def interactions(self) -> Interactions:
        """The data as dense numbers: user u is ``user_ids[u]``, item i is ``item_ids[i]``."""
        users = places_in(self.user_ids, self.event_users)
        items = places_in(self.item_ids, self.event_items)
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
    """Refuse a data set that cannot be learned from, or whose clicks the stream would refuse.

    Raises:
        RalmError: naming the table, the row or the field, a line for each problem.
    """
    problems = list(_problems(dataset))
    if problems:
        raise RalmError("\n".join(problems))
    return dataset


def _problems(dataset: Dataset) -> Iterable[str]:
    name = dataset.name
    if not len(dataset.event_times):
        yield f"{name}: there are no clicks"
        return
    if len(dataset.item_ids) < LEAST_ITEMS:
        yield f"{name}: there is only one item; at least {LEAST_ITEMS} are needed to tell them apart"
    yield from _id_problems(name, "user", dataset.user_ids, dataset.event_users)
    yield from _id_problems(name, "item", dataset.item_ids, dataset.event_items)
    if dataset.timed:
        yield from (f"{name}: {words}" for words in time_faults(dataset.event_times))
    for field in dataset.fields:
        yield from _field_problems(dataset, field)
    wide = _widest(dataset.categories)
    if wide is not None:
        yield f"{name}: item {str(dataset.item_ids[wide[0]])!r} has {wide[1]:,} categories; the most is {MOST_VALUES}"


def _id_problems(name: str, what: str, known: Text, named: Text) -> Iterable[str]:
    rows = bad_identifiers(known)
    if len(rows):
        row = int(rows[0])
        yield f"{name}: the id of {what} {row} {identifier_fault(str(known[row]))}{others(len(rows))}"
    strange = np.flatnonzero(~among(named, known))
    if len(strange):
        named_so = str(named[strange[0]])
        yield f"{name}: event {strange[0]} names {named_so!r}, which is not among the {what}s{others(len(strange))}"


def bad_identifiers(ids: Text) -> Ints:
    """The rows whose identifier cannot be used, in messages as in tables, int64."""
    # A character has at most four bytes, so that few are looked at.
    doubtful = np.flatnonzero((np.strings.str_len(ids) * 4 > MAX_IDENTIFIER_BYTES) | (ids == ""))
    return np.array([row for row in doubtful.tolist() if identifier_fault(str(ids[row]))], np.int64)


def time_faults(times: Ints, place: Callable[[int], str] = "event {}".format) -> Iterable[str]:
    """What is wrong with event times, a sentence for each kind: before 1970, and from the year 2100 on.

    Args:
        times: int64[n], ms.
        place: says where a row is.
    """
    for rows, what in (
        (np.flatnonzero(times < 0), "before 1970"),
        (np.flatnonzero(times >= END_OF_DATA_TIME), "after 2099, as a date that stands for none is"),
    ):
        if len(rows):
            row = int(rows[0])
            yield f"{place(row)} is of {_day(int(times[row]))}, {what}{others(len(rows))}: leave such events out"


def others(count: int) -> str:
    """How many more have the same problem, for messages."""
    return f" (and {count - 1:,} more)" if count > 1 else ""


def _day(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return f"{ms} ms since 1970"


def save(dataset: Dataset, folder: Path) -> None:
    """Write a data set in the common layout.

    What it consists of is written last, so that a folder which was cut off, perhaps over an older one, holds none.

    Raises:
        OSError: when it cannot be written; names the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / DESCRIBED).unlink(missing_ok=True)
        _save_tables(dataset, folder)
        kinds = {name: kind for name, (kind, _) in dataset.fields.items()}
        described = {"name": dataset.name, "fields": kinds, "timed": dataset.timed}
        (folder / DESCRIBED).write_text(json.dumps(described, indent=2) + "\n")
    except OSError as error:
        error.filename = error.filename or str(folder)
        raise


def _save_tables(dataset: Dataset, folder: Path) -> None:
    users = places_in(dataset.user_ids, dataset.event_users)
    items = places_in(dataset.item_ids, dataset.event_items)
    np.savez(folder / "events.npz", user=users, item=items, time=dataset.event_times)
    columns = {name: column for name, (_, column) in dataset.fields.items()}
    np.savez(folder / "users.npz", **pack({"id": dataset.user_ids, **columns}))
    titles = {} if dataset.titles is None else {"title": dataset.titles}
    np.savez(folder / "items.npz", **pack({"id": dataset.item_ids, "categories": dataset.categories, **titles}))


def load(folder: Path) -> Dataset:
    """Read a data set in the common layout.

    Raises:
        OSError: when the system refuses to read it.
        RalmError: when a file or a column is missing, or it cannot be learned from.
    """
    try:
        described = json_of((folder / DESCRIBED).read_text())
        tables = {}
        for table in ("events", "users", "items"):
            with np.load(folder / f"{table}.npz", allow_pickle=False) as columns:
                tables[table] = unpack({name: columns[name] for name in columns.files})
        events, users, items = tables["events"], tables["users"], tables["items"]
        dataset = Dataset(
            described["name"],
            _named(events["user"], users["id"]),
            _named(events["item"], items["id"]),
            events["time"],
            users["id"],
            {name: (kind, users[name]) for name, kind in described["fields"].items()},
            items["id"],
            items["categories"],
            described.get("timed", True),
            items.get("title"),
        )
    except _UNREADABLE as error:
        # EINVAL is of a damaged archive that names a place before the file's beginning.
        if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT, errno.ENOTDIR, errno.EINVAL):
            raise  # of the system, not of the data
        why = f"{type(error).__name__}: {str(error)[:_SHOWN]}"
        msg = f"{folder} holds no data set in the common layout ({why}): bring one with `ralm data NAME`"
        raise RalmError(msg) from error
    return check(dataset)


def _named(rows: NDArray[Any], ids: Text) -> Text:
    """The ids that row numbers stand for; text, as older layouts have it, is left alone."""
    return ids[rows] if rows.dtype.kind == "i" else rows


def _field_problems(dataset: Dataset, name: str) -> Iterable[str]:
    kind, column = dataset.fields[name]
    if name in _TAKEN or not name or set(name) & set("./\\"):
        yield f"{dataset.name}: a user field cannot be called {name!r}; rename that column"
    if kind not in FIELD_KINDS:
        yield f"{dataset.name}: field {name!r} is of kind {kind!r}; it must be one of {', '.join(FIELD_KINDS)}"
    elif kind == "continuous" and not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        yield f"{dataset.name}: field {name!r} of user {str(dataset.user_ids[row])!r} is {column[row]}, not a number"
    elif kind == "multivalent" and (wide := _widest(column)) is not None:
        whose = repr(str(dataset.user_ids[wide[0]]))
        yield (
            f"{dataset.name}: field {name!r} of user {whose} has {wide[1]:,} values; the most is {MOST_VALUES}: keep "
            "those that tell most"
        )


def _widest(column: Text) -> tuple[int, int] | None:
    """The row with the most joined values and their number, if they are too many."""
    counts = np.strings.count(column, SEPARATOR) + 1
    row = int(counts.argmax()) if len(counts) else 0
    return (row, int(counts[row])) if len(counts) and counts[row] > MOST_VALUES else None


def _codes(column: Text) -> tuple[Ints, int]:
    """Codes 1 and up; 0 is for an empty value."""
    values, codes = np.unique(column, return_inverse=True)
    named = len(values) > 0 and values[0] == ""  # the empty value comes first
    return (codes + (0 if named else 1)).astype(np.int64), len(values) + (0 if named else 1)


def _ragged_codes(column: Text) -> tuple[Ints, int]:
    """Codes of joined values, padded with 0."""
    values = as_words(SEPARATOR.join(column.tolist()).split(SEPARATOR))
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
