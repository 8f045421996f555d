"""Brings a partition's clicks and candidates into its store, and drops items.

What it holds until ``write`` is one epoch at most. What is kept follows from the clicks in the order of their offsets
and from nothing else, so that taking the same clicks in again, from a crash or into a new store, gives the same seed
sets; the candidates topic decides only what is served.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any

import numpy as np

from flows.config.groups import SeedSettings
from flows.messages.batches import CandidateChange, ClickBatch
from flows.seed_sets.candidates import CandidateRegistry, ItemEnd
from flows.seed_sets.emitted_before import Emitted, at_home
from flows.seed_sets.item_table import ItemTable
from flows.seed_sets.windows import WindowClock
from flows.support.logs import get_logger
from monitoring import metrics
from ralm.features import Ints
from ralm.seed_set import Users, WindowClicks, by_group
from state.store.seed_store import Changes, ItemRecord, SeedStore

log = get_logger(__name__)

_DROPPED_SHARE = 64
"""Over capacity, a 64th of the items goes at once: to find the one that is idle for longest takes a look at all."""


@dataclass
class ApplyResult:
    """What became of a batch of clicks.

    Attributes:
        applied: clicks that were taken.
        replayed: clicks that the store had already.
        late: of those that were taken, those whose window had closed.
        dropped: items that had to go for new ones.
    """

    applied: int = 0
    replayed: int = 0
    late: int = 0
    dropped: list[str] = field(default_factory=list)


class SeedSetWriter:
    """The writing side of a partition's seed sets.

    Args:
        store: the partition's store.
        options: how seed sets are kept.
        is_away: whether an item is another partition's now: its seeds wait here until they move there.

    Attributes:
        items: what is kept in memory of each item.
        registry: what the candidates topic says.
        position: the offset after the last click that was taken in.
        candidates: the same of the candidates topic.
        emitted_before: what the centroids topic holds of items that are not known yet.
        dropped_until: the greatest ``ItemTable.emitted`` of all items that were dropped, ms. What is said of one after
            that is as of no earlier, and as of later once it is born again, though idleness was ahead of the clicks.
        beside: asked at each write for what else is written: arguments of ``SeedStore.write``.
        on_new: called with each item whose first click has come.
    """

    def __init__(self, store: SeedStore, options: SeedSettings, is_away: Callable[[str], bool] = at_home) -> None:
        self._store = store
        self.is_away = is_away
        self._options = options
        self._retention = (
            options.item_ttl and options.seeds_retention and max(options.item_ttl, options.seeds_retention)
        )
        self._buffer: list[tuple[Ints, Users, Ints, Ints]] = []  # item, user, time, place in _windows
        self._windows: dict[tuple[int, int], int] = {}  # those of the buffer, as (closes, window): its place
        self._changes = Changes()
        self._warned = False
        self.registry = CandidateRegistry(store.candidates(), options.max_listings)
        self._changes.candidates.update(dict.fromkeys(self.registry.forget()))
        self.emitted_before: Mapping[str, Emitted] = {}
        self.dropped_until = 0
        self.items = ItemTable()
        for item_id, record in store.items():
            number = self._new(item_id)
            self.items.last_click[number], self.items.seeds[number] = record.last_click, record.seeds
            self.items.emitted[number], self.items.withdrawn[number] = record.emitted, record.withdrawn
            self.items.unsure[number] = record.unsure
        self.position = store.position
        self.candidates = store.meta.candidates
        self.beside: Callable[[], dict[str, Any]] = dict
        self.on_new: Callable[[str], None] = lambda _: None

    def say_later(self, said: Mapping[str, Emitted]) -> None:
        """Have what is said next of known items be as of later than what the centroids topic holds of them."""
        for item_id in [item for item in said if item in self.items]:
            number = self.items.number(item_id)
            self.items.emitted[number] = max(said[item_id].window_end + 1, int(self.items.emitted[number]))
            self.items.unsure[number] = True
            self.changed([number])

    def apply_clicks(self, batch: ClickBatch, clock: WindowClock) -> ApplyResult:
        """Apply clicks, but for those before ``position``: what they led to is in the store too.

        Args:
            batch: the clicks, none of which closes a window.
            clock: says in which window each is folded in.
        """
        result = ApplyResult(replayed=int(np.searchsorted(batch.offsets, self.position)))
        rest = batch.rows(result.replayed, len(batch.offsets))
        while len(rest.offsets):
            known = self.items.find(rest.item_ids)
            room = self._room(rest, known)
            if not room:
                result.dropped += self._make_room()
                continue
            part = rest.rows(0, room)
            result.late += self._apply(part, known if part is rest else self.items.find(part.item_ids), clock)
            result.applied += room
            rest = rest.rows(room, len(rest.offsets))
        self.position = max(self.position, batch.next_offset)
        return result

    def apply_candidate(self, change: CandidateChange) -> bool:
        """Apply a message of the candidates topic unless the store has it; returns whether it was new."""
        if change.offset < self.candidates:
            return False
        found = self.registry.apply(change)
        if len(found) > 1 and not self._warned:
            self._warned = True
            log.warning(
                "the candidates topic names more items than max_listings: what it says of the oldest is forgotten",
                partition=self._store.meta.partition,
                max_listings=self._options.max_listings,
            )
        self._changes.candidates.update(found)
        for item_id in found:
            if item_id in self.items:
                self.items.expires_at[self.items.number(item_id)] = self.registry.expires_at(item_id)
        self.candidates = change.offset + 1
        return True

    def forgettable(self, closed: int) -> list[str]:
        """The items whose seeds are forgotten when windows until ``closed`` (ms) have closed."""
        return self.items.idle_since(closed - self._retention) if self._retention else []

    def drop(self, item_ids: Iterable[str], reason: ItemEnd) -> None:
        """Drop items: seeds, record and centroids; their tombstones are due, but for those that are away."""
        item_ids = list(item_ids)
        if not item_ids:
            return
        numbers = self.items.find(item_ids)
        # What was clicked before goes with the rest; what comes after stays.
        stays = [~np.isin(part[0], numbers) for part in self._buffer]
        self._buffer = [
            (items[kept], users[kept], times[kept], places[kept])
            for (items, users, times, places), kept in zip(self._buffer, stays, strict=True)
            if kept.any()
        ]
        self.dropped_until = max(self.dropped_until, int(self.items.emitted[numbers].max()))
        for item_id in item_ids:
            self.items.forget(item_id)
            self._changes.centroids.pop(item_id, None)
        metrics.ITEMS_ENDED.labels(reason).inc(len(item_ids))
        for item_id in item_ids:  # of one that is away no tombstone is due
            (self._changes.moved if self.is_away(item_id) else self._changes.evicted).append(item_id)

    def withdraw(self, item_ids: Iterable[str]) -> None:
        """Note that items are served no more: their centroids go, until their tombstones are delivered."""
        for item_id in item_ids:
            self._changes.centroids.pop(item_id, None)
            self._changes.withdrawn.append(item_id)

    def clustered(self, item_id: str, seeds: int, centroids: bytes | None) -> None:
        """Note what came of an item's clustering."""
        number = self.items.number(item_id)
        self.items.seeds[number] = seeds
        self.changed([number])
        if centroids is not None:
            self._changes.centroids[item_id] = centroids

    def changed(self, numbers: list[int]) -> None:
        """Note that the records of items are to be written."""
        self.items.changed[numbers] = True

    def ack_tombstones(self, item_ids: list[str]) -> None:
        """Note that the tombstones of dropped and withdrawn items have been delivered."""
        self._changes.acked += item_ids

    def write(self) -> None:
        """Bring the store up to the last message that was taken in, with what ``beside`` says."""
        changes, self._changes = self._changes, Changes()
        if self._buffer:
            changes.windows = self._window_clicks()
        changes.items = self._records()
        more = {"position": self.position, "candidates": self.candidates, **self.beside()}
        before = {**vars(self._store.meta), "work": self._store.work}
        if changes or any(before[name] != value for name, value in more.items()):
            with metrics.STORE_WRITE_SECONDS.time():
                self._store.write(changes, **more)

    def _records(self) -> dict[str, ItemRecord]:
        """The records that have changed, by item."""
        items = self.items
        numbers = np.flatnonzero(items.changed)
        items.changed[numbers] = False
        columns = (items.last_click, items.seeds, items.emitted, items.withdrawn, items.unsure)
        rows = zip(*(column[numbers].tolist() for column in columns), strict=True)
        return dict(zip(map(items.name, numbers.tolist()), starmap(ItemRecord, rows), strict=True))

    def _window_clicks(self) -> list[tuple[str, WindowClicks]]:
        """What is buffered, by item and window."""
        items, users, times, places = (np.concatenate(column) for column in zip(*self._buffer, strict=True))
        windows, self._windows = list(self._windows), {}
        self._buffer.clear()
        found = []
        for group, first, seeds in by_group(items * len(windows) + places, users, times, self._options.max_seeds):
            number, place = divmod(group, len(windows))
            found.append((self.items.name(number), WindowClicks(*windows[place], first, seeds)))
        return found

    def _apply(self, batch: ClickBatch, known: Ints, clock: WindowClock) -> int:
        """Take clicks for which there is room; returns how many are late.

        Args:
            batch: the clicks.
            known: numbers of the batch's items, -1 of new ones.
            clock: says in which window each is folded in.
        """
        for place in np.flatnonzero(known < 0).tolist():
            self.on_new(batch.item_ids[place])
            known[place] = self._new(batch.item_ids[place], clock.closed)
        numbers, windows = known[batch.items], clock.own_ends(batch.times)
        closes, late = clock.closing(windows)
        self._buffer.append((numbers, batch.users, batch.times, self._places(closes, windows)))
        self.items.click(numbers, batch.times)
        self.items.mark(numbers, closes)
        self.items.changed[known] = True
        return late

    def _places(self, closes: Ints, windows: Ints) -> Ints:
        """The place of each click's window in ``_windows``; when it closes follows from the window."""
        first, where = np.unique(windows, return_index=True, return_inverse=True)[1:]
        pairs = zip(closes[first].tolist(), windows[first].tolist(), strict=True)
        return np.array([self._windows.setdefault(pair, len(self._windows)) for pair in pairs], np.int64)[where]

    def _new(self, item_id: str, closed: int = 0) -> int:
        """A number for an item that has none, with what the topics of candidates and of centroids say.

        Args:
            item_id: the item.
            closed: end of the last closed window, ms.
        """
        number, emitted = self.items.number(item_id), self.emitted_before.get(item_id)
        self.items.expires_at[number] = self.registry.expires_at(item_id)
        self.items.away[number] = self.is_away(item_id)
        if self.dropped_until > closed:  # it may be one of those
            self.items.emitted[number] = self.dropped_until + 1
        if emitted is not None:
            self.items.emitted[number] = max(emitted.window_end + 1, int(self.items.emitted[number]))
            self.items.unsure[number] = True
        return number

    def _room(self, batch: ClickBatch, known: Ints) -> int:
        """How many of the clicks can be taken before an item must go for a new one; ``known`` as in ``_apply``."""
        new = np.flatnonzero(known < 0)
        # There are more where max_items was lowered, or items came from other partitions: the next new one has them go.
        room = max(0, self._options.max_items - len(self.items))
        if len(new) <= room:
            return len(batch.offsets)
        # Where each new item is clicked first.
        items, rows = np.unique(batch.items, return_index=True)
        first = np.sort(rows[np.isin(items, new)])
        return int(first[room])

    def _make_room(self) -> list[str]:
        most = self._options.max_items
        surplus = max(0, len(self.items) - most)
        found = self.items.longest_idle(surplus + max(1, most // _DROPPED_SHARE))
        self.drop(found, "over_capacity")
        return found
