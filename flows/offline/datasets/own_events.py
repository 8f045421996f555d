"""The events of one's own data: which of them count, and what becomes of those that name no one, or strangers."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from flows.offline.datasets.assemble import Known, mentioned, without_middle
from flows.offline.datasets.description import Description
from flows.offline.datasets.tables import Table, as_text
from flows.offline.datasets.words import among, as_words
from flows.support.errors import RalmError

_KEYS = ("user_id", "item_id")


def filtered(events: Table, wanted: Mapping[str, Any]) -> Table:
    """The events whose columns have one of the values that are wanted.

    Raises:
        RalmError: when none has.
    """
    for column, values in wanted.items():
        words = [_word(value) for value in (values if isinstance(values, list) else [values])]
        said = replace(events, aliases={}) if column in events.columns else events
        left = events.only(among(said.text(column), as_words(words)))
        if not len(left):
            there = said.distinct(column).tolist()
            shown = ", ".join(map(repr, there[:9])) + (", ..." if len(there) > 9 else "")
            msg = f"{events.file}: no event has {' or '.join(map(repr, words))} as its {column}; it has {shown}"
            raise RalmError(without_middle(msg))
        events = left
    return events


def complete(events: Table, described: Description) -> Table:
    """The events, without those that lack user, item or time if these are left out."""
    if described.incomplete == "refuse":
        return events
    notes = list(events.notes)
    for name in _needed(events, described):
        lacking = _blank(events, name)
        if lacking.any():
            notes.append(f"{events.file}: {int(lacking.sum()):,} events without {events.real(name)} are left out")
            events = events.only(~lacking)
    if not len(events):
        msg = f"{events.file}: no event has user, item and time"
        raise RalmError(msg)
    return replace(events, notes=tuple(notes))


def listed(events: Table, key: str, listing: Known, described: Description) -> tuple[Table, Known]:
    """Events, and users or items, so that these have all that the events name, if ``unlisted`` says how.

    Raises:
        RalmError: naming the row whose id cannot be used.
    """
    if described.unlisted == "refuse":
        return events, listing
    ids = as_text(events.ids(key))
    strange = ~among(ids, listing.ids) & (ids != "")
    if not strange.any():
        return events, listing
    what = "users" if key == "user_id" else "items"
    if described.unlisted == "leave out":
        note = f"{events.file}: {int(strange.sum()):,} events of {what} that are not in {listing.source} are left out"
        left = events.only(~strange)
        if not len(left):
            msg = f"{events.file}: none of its {what} is in {listing.source}"
            raise RalmError(msg)
        return replace(left, notes=(*events.notes, note)), listing
    more = mentioned((events.only(strange), key))
    note = f"{len(more):,} {what} of {events.file} are not in {listing.source}, and have nothing known of them"
    columns = {name: (kind, _longer(column, len(more))) for name, (kind, column) in listing.columns.items()}
    longer = Known(listing.source, np.concatenate([listing.ids, more]), columns)
    return replace(events, notes=(*events.notes, note)), longer


def advice(events: Table, users: Known | None, items: Known | None, described: Description) -> Iterator[str]:
    """What to write in ``data.toml`` if events are not to be refused for what they lack."""
    if described.incomplete == "refuse":
        count = sum(int(_blank(events, name).sum()) for name in _needed(events, described))
        if count:
            yield f'say incomplete = "leave out" in data.toml to leave out events without user, item or time: {count:,}'
    if described.unlisted == "refuse" and any(
        listing is not None and _has_strangers(events, key, listing)
        for key, listing in zip(_KEYS, (users, items), strict=True)
    ):
        yield (
            'say unlisted = "keep" in data.toml to take users and items that are in no table as well, with nothing '
            'known of them, or "leave out" to leave out their events'
        )


def _has_strangers(events: Table, key: str, listing: Known) -> bool:
    ids = as_text(events.ids(key))
    return bool((~among(ids, listing.ids) & (ids != "")).any())


def _needed(events: Table, described: Description) -> list[str]:
    names = (*_KEYS, "timestamp") if described.timed else _KEYS
    return [name for name in names if name in events]


def _blank(events: Table, name: str) -> NDArray[np.bool_]:
    blank: NDArray[np.bool_] = pc.equal(pc.utf8_trim_whitespace(events.strings(name)), "").to_numpy(
        zero_copy_only=False
    )
    return blank


def _longer(column: NDArray[Any], count: int) -> NDArray[Any]:
    """A column with ``count`` more rows, of which nothing is known: of numbers, the mean."""
    if column.dtype.kind == "f":
        return np.concatenate([column, np.full(count, column.mean(), column.dtype)])
    return np.concatenate([as_words(column), as_words([""] * count)])


def _word(value: object) -> str:
    """A value of TOML as it stands in a column."""
    return str(value).lower() if isinstance(value, bool) else str(value)
