"""Brings a partition's clicks and candidates into its store, and evicts items.

What it holds until ``write`` is one epoch at most. Everything it does follows from the messages in their order, so
that taking the same messages in again, from a crash or into a new store, gives the same seed sets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np

from flows.config.groups import SeedSettings
from flows.messages.batches import CandidateChange, ClickBatch
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.item_table import NEVER, ItemTable
from monitoring import metrics
from ralm.features import Ints
from ralm.seed_set import by_item
from state.store.seed_store import Changes, ItemRecord, SeedStore

EvictionReason: TypeAlias = Literal["idle", "retired", "expired", "over_capacity"]
"""Why an item is evicted: see ``monitoring.metrics.ITEM_ENDS``."""

_WEEK_MS = 7 * 86_400_000


@dataclass(frozen=True)
class ApplyResult:
    """What became of a batch of clicks.

    Attributes:
        numbers: items of the clicks that were taken, int64[n].
        times: their event times, int64[n], ms.
        replayed: clicks that the store had already.
        refused: clicks on items that are no candidates any more.
    """

    numbers: Ints
    times: Ints
    replayed: int
    refused: int


class SeedSetWriter:
    """The writing side of a partition's seed sets.

    Args:
        store: the partition's store.
        options: how seed sets are kept.

    Attributes:
        items: what is kept in memory of each item.
        registry: what the candidates topic says.
        position: the offset after the last click that was taken in.
        candidates: the same of the candidates topic.
        beside: asked at each write for what else is written: arguments of ``SeedStore.write``.
    """

    def __init__(self, store: SeedStore, options: SeedSettings) -> None:
        self._store = store
        self._options = options
        self.items = ItemTable()
        for item_id, record in store.items():
            number = self.items.number(item_id)
            self.items.last_click[number], self.items.seeds[number] = record.last_click, record.seeds
        self.registry = CandidateRegistry(
            store.candidates(),
            only_listed=options.candidates == "listed",
            remember=options.item_ttl or _WEEK_MS,
        )
        self.position = store.position
        self.candidates = store.meta.candidates
        self.beside: Callable[[], dict[str, Any]] = dict
        self._buffer: list[tuple[Ints, np.ndarray[tuple[int], np.dtype[np.uint64]], Ints]] = []
        self._changes = Changes()

    def apply_clicks(self, batch: ClickBatch, now: int) -> ApplyResult:
        """Apply clicks, but for those before ``position``: what they led to is in the store too.

        Args:
            batch: the clicks.
            now: event time that decides which items have expired, ms.
        """
        first = int(np.searchsorted(batch.offsets, self.position))
        new = batch.rows(first, len(batch.offsets))
        taken = np.ones(len(new.offsets), bool)
        floors = self.registry.ignore_before(new.item_ids, now)
        if floors is not None:
            taken = new.times > floors[new.items]
        numbers, times = self._numbers(new, taken)[taken], new.times[taken]
        if len(numbers):
            self._buffer.append((numbers, new.users[taken], times))
        self.position = max(self.position, batch.next_offset)
        self.items.click(numbers, times)
        return ApplyResult(numbers, times, first, int((~taken).sum()))

    def apply_candidate(self, change: CandidateChange) -> bool:
        """Apply a message of the candidates topic unless the store has it; returns whether it was new."""
        if change.offset < self.candidates:
            return False
        self._changes.candidates[change.item_id] = self.registry.apply(change)
        self.candidates = change.offset + 1
        return True

    def evictable(self, closed: int) -> dict[str, EvictionReason]:
        """The items to evict when windows until ``closed`` (ms) have closed, each with the reason."""
        items, options = self.items, self._options
        found: dict[str, EvictionReason] = {
            item: "retired" if self.registry.is_retired(item) else "expired"
            for item in self.registry.expired(closed)
            if item in items
        }
        if options.item_ttl:
            found |= dict.fromkeys(self._idle_items(closed - options.item_ttl), "idle")
        over_capacity = len(items) - len(found) - options.max_items
        if over_capacity > 0:
            idle = (item for item in self._idle_items(NEVER) if item not in found)
            found |= dict.fromkeys(islice(idle, over_capacity), "over_capacity")
        return found

    def _idle_items(self, before: int) -> Iterator[str]:
        """Items without a click since ``before`` (ms) that are not listed, longest idle first."""
        return (item for item in self.items.idle_since(before) if not self.registry.is_listed(item))

    def evict(self, items: dict[str, EvictionReason]) -> None:
        """Remove items: seeds, record and centroids."""
        if not items:
            return
        self.write()  # what was clicked before is deleted with the rest; what comes after stays
        for item_id, reason in items.items():
            self.items.forget(item_id)
            metrics.ITEMS_ENDED.labels(reason).inc()
        self._changes.retired += items

    def forget_candidates(self, closed: int) -> None:
        """Forget what the candidates topic said of items that went long ago."""
        self._changes.candidates.update(dict.fromkeys(self.registry.forget(closed)))

    def clustered(self, item_id: str, seeds: int, centroids: bytes | None) -> None:
        """Note what came of an item's clustering."""
        number = self.items.number(item_id)
        self.items.seeds[number] = seeds
        self._changes.items[item_id] = ItemRecord(int(self.items.last_click[number]), seeds)
        if centroids is not None:
            self._changes.centroids[item_id] = centroids

    def ack_tombstones(self, item_ids: list[str]) -> None:
        """Note that the tombstones of evicted items have been delivered."""
        self._changes.acked += item_ids

    def write(self) -> None:
        """Bring the store up to the last message that was taken in, with what ``beside`` says."""
        changes, self._changes = self._changes, Changes()
        if self._buffer:
            numbers, users, times = (np.concatenate(column) for column in zip(*self._buffer, strict=True))
            self._buffer.clear()
            for number, seeds in by_item(numbers, users, times, self._options.max_seeds):
                item_id = self.items.name(number)
                changes.seeds.append((item_id, seeds))
                last, count = int(self.items.last_click[number]), int(self.items.seeds[number])
                changes.items[item_id] = ItemRecord(last, count)
        more = {"position": self.position, "candidates": self.candidates, **self.beside()}
        before = {**vars(self._store.meta), "work": self._store.work}
        if changes or any(before[name] != value for name, value in more.items()):
            with metrics.STORE_WRITE_SECONDS.time():
                self._store.write(changes, **more)

    def _numbers(self, batch: ClickBatch, taken: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> Ints:
        """The item number of each click: known ones, and new ones for items with a click that is taken."""
        known = self.items.find(batch.item_ids)
        missing = np.flatnonzero(known < 0)
        if len(missing):
            wanted = np.zeros(len(known), bool)
            wanted[batch.items[taken]] = True
            for place in missing[wanted[missing]].tolist():
                known[place] = self.items.number(batch.item_ids[place])
        numbers: Ints = known[batch.items]
        return numbers
