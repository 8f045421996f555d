"""Old faults, put back one by one: each must be found, or the simulation would not find the next of its kind.

Each is a fault that this project has had, as small as it can be said now. Those here are of what a partition does.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from flows.messages.batches import ClickBatch
from flows.messages.emission_order import EmissionOrder
from flows.scoring.index_updates import NewestEmissions
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.intake import SeedSetWriter
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.tombstones import Tombstones
from flows.seed_sets.windows import WindowClock
from ralm.seed_set import WindowClicks
from state.store.layout import RETIRED

from . import mutations_between
from .mutation import MUTATIONS, mutation

_NONE: Final = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))


@mutation("the watermark follows the producer's clock")
def _() -> Iterator[Any]:
    """A click of a clock that was fast closed the windows of all others."""
    yield patch.object(ClickBatch, "evidence", property(lambda self: self.times))


@mutation("a window asks a set that has only the newest clicks")
def _() -> Iterator[Any]:
    """Who clicked again after a window's end was no seed of it: what was hot was never clustered."""
    real = ClusteringPool._read

    def read(self: Any, entry: Any) -> bool:
        done = real(self, entry)
        seeds = entry.store.seeds(entry.job.item_id)
        before = seeds.times < entry.job.window_end
        entry.seeds = type(seeds)(seeds.users[before], seeds.times[before])
        return done

    yield patch.object(ClusteringPool, "_read", read)


@mutation("idleness is evidence")
def _() -> Iterator[Any]:
    """What the wall clock brought about on an idle partition closed windows for good, and a rebuild differed."""
    real = WindowClock.reach

    def reach(self: WindowClock, batch: Any) -> int | None:
        reached = real(self, batch)
        if reached is not None:
            self.closed = reached
        return reached

    yield patch.object(WindowClock, "reach", reach)


@mutation("candidates decide what is kept")
def _() -> Iterator[Any]:
    """Clicks on retired items were refused, by which topic was read first."""
    real = SeedSetWriter.apply_clicks

    def apply_clicks(self: SeedSetWriter, batch: ClickBatch, clock: WindowClock) -> Any:
        retired = [self.registry.expires_at(item) == RETIRED for item in batch.item_ids]
        taken = ~np.array(retired, bool)[batch.items] if len(batch.items) else np.zeros(0, bool)
        ids, items = np.unique(batch.items[taken], return_inverse=True)
        names = [batch.item_ids[place] for place in ids.tolist()]
        rows = (items, batch.users[taken], batch.times[taken], batch.offsets[taken])
        return real(self, ClickBatch(batch.partition, batch.next_offset, batch.idle, names, *rows), clock)

    yield patch.object(SeedSetWriter, "apply_clicks", apply_clicks)


@mutation("a takedown is forgotten")
def _() -> Iterator[Any]:
    """What a person had withdrawn came back after a while, if anyone still clicked it."""
    real = CandidateRegistry.forget

    def forget(self: CandidateRegistry) -> list[str]:
        old = [item for item, expires_at in self._expires_at.items() if expires_at == RETIRED][:-1]
        for item in old:
            del self._expires_at[item]
        return old + real(self)

    yield patch.object(CandidateRegistry, "forget", forget)


@mutation("listed items do not count for max_items")
def _() -> Iterator[Any]:
    """The bound did not hold."""

    def room(self: SeedSetWriter, batch: ClickBatch, known: Any) -> int:
        del self, known
        return len(batch.offsets)

    yield patch.object(SeedSetWriter, "_room", room)


@mutation("who has more items than max_items dies of a click")
def _() -> Iterator[Any]:
    """Of one on an item that it knew, once items had come from other partitions."""
    real = SeedSetWriter._room

    def room(self: SeedSetWriter, batch: ClickBatch, known: Any) -> int:
        if len(batch.offsets) and len(self.items) > self._options.max_items and (known >= 0).all():
            raise IndexError
        return real(self, batch, known)

    yield patch.object(SeedSetWriter, "_room", room)


@mutation("who goes for a new item depends on a crash")
def _() -> Iterator[Any]:
    """Items that were born later counted already when the store was ahead."""
    real = SeedSetWriter._make_room

    def make_room(self: SeedSetWriter) -> list[str]:
        if self.position < self._store.position + 3:
            return real(self)
        found = [self.items.name(int(np.flatnonzero(self.items.live)[-1]))]
        self.drop(found, "over_capacity")
        return found

    yield patch.object(SeedSetWriter, "_make_room", make_room)


@mutation("of an item's messages the last that is read counts")
def _() -> Iterator[Any]:
    """In a topic that had grown, old centroids and retired items came back, by which partition was read last."""

    def take(self: NewestEmissions, item_id: str, order: EmissionOrder) -> bool:
        self._live[item_id] = order
        return True

    yield patch.object(NewestEmissions, "take", take)


@mutation("reading is resumed at the store's position")
def _() -> Iterator[Any]:
    """Dead letters of the last epoch were lost at a crash."""
    real = SeedSetOperator._beside

    def beside(self: SeedSetOperator) -> dict[str, Any]:
        return {**real(self), "resume": self._writer.position, "resume_candidates": self._writer.candidates}

    yield patch.object(SeedSetOperator, "_beside", beside)


@mutation("what is unread counts as settled")
def _() -> Iterator[Any]:
    """After a crash two snapshots moved the resume position to that of the store, which was ahead."""
    real = SeedSetOperator.snapshot

    def snapshot(self: SeedSetOperator) -> None:
        real(self)
        self._reached = (self._writer.position, self._writer.candidates)

    yield patch.object(SeedSetOperator, "snapshot", snapshot)


@mutation("what was sent counts as delivered at once")
def _() -> Iterator[Any]:
    """Centroids that were on their way at a crash never came."""
    real = SeedSetOperator._beside

    def beside(self: SeedSetOperator) -> dict[str, Any]:
        self._sent, self._settling = {}, {}
        return real(self)

    yield patch.object(SeedSetOperator, "_beside", beside)


@mutation("a tombstone counts as delivered at once")
def _() -> Iterator[Any]:
    """Items that were gone were served for ever, if the crash came before the delivery."""
    real = Tombstones.delivered

    def delivered(self: Tombstones) -> list[str]:
        return real(self) + real(self)

    yield patch.object(Tombstones, "delivered", delivered)


@mutation("a tombstone is on its way before it is handed on")
def _() -> Iterator[Any]:
    """Two snapshots before the first message after a start, and it was forgotten before it was sent."""
    real = Tombstones.delivered

    def delivered(self: Tombstones) -> list[str]:
        self.sent_unacked()
        return real(self)

    yield patch.object(Tombstones, "delivered", delivered)


@mutation("of an item's tombstones the first that is delivered counts")
def _() -> Iterator[Any]:
    """One that was sent since was not sent again after a crash."""

    def delivered(self: Tombstones) -> list[str]:
        found, self._settling, self._sent = self._settling, self._sent, []
        self._models_settling, self._models_sent = self._models_sent, False
        return found

    yield patch.object(Tombstones, "delivered", delivered)


@mutation("what was sent before a crash is known to no store")
def _() -> Iterator[Any]:
    """Centroids that were delivered, and not noted, stayed where the next set was too small."""
    real = SeedSetOperator.__init__

    def init(self: SeedSetOperator, store: Any, *args: Any, **more: Any) -> None:
        real(self, store, *args, **more)
        for item, record in store.items():
            self._writer.items.unsure[self._writer.items.number(item)] = record.unsure

    yield patch.object(SeedSetOperator, "__init__", init)


@mutation("what awaits clustering is forgotten at a restart")
def _() -> Iterator[Any]:
    """The state said what was in it, and not what was to be done of it."""
    real = OpenWork.decode.__func__  # type: ignore[attr-defined]

    def decode(cls: type[OpenWork], data: bytes) -> OpenWork:
        work: OpenWork = real(cls, data)
        return replace(work, dirty=_NONE, pending={})

    yield patch.object(OpenWork, "decode", classmethod(decode))


@mutation("a new model clusters what is clicked, and no more")
def _() -> Iterator[Any]:
    """Items without clicks had no centroids of the new model."""
    real = SeedSetOperator._resume

    def resume(self: SeedSetOperator, work: Any) -> None:
        with patch.object(self._pool, "model_version", self._store.meta.model_version or self._pool.model_version):
            real(self, work)

    yield patch.object(SeedSetOperator, "_resume", resume)


@mutation("what is listed again waits for a click")
def _() -> Iterator[Any]:
    """An item that was listed again was not clustered from what was kept."""
    yield patch.object(SeedSetOperator, "_cluster_anew", lambda *_: None)


@mutation("a gap is seen by who is left")
def _() -> Iterator[Any]:
    """Where a window's first user clicked again, the gap before it was taken for a longer one, by the epochs' cuts."""
    real = WindowClicks.__init__

    def init(self: WindowClicks, closes: int, window: int, first: int, seeds: Any) -> None:
        del first
        real(self, closes, window, int(seeds.times.min()), seeds)

    yield patch.object(WindowClicks, "__init__", init)


@mutation("failed clusterings are forgotten")
def _() -> Iterator[Any]:
    """An item whose clustering failed had no centroids until its next click."""
    real = SeedSetOperator._finish

    def finish(self: SeedSetOperator, result: Any) -> Any:
        if result.outcome == "failed":
            self._pending.pop(result.job.item_id, None)
            return []
        return real(self, result)

    yield patch.object(SeedSetOperator, "_finish", finish)


@mutation("old models' centroids order a tombstone before them")
def _() -> Iterator[Any]:
    """A tombstone was said as of an earlier window than the centroids that it retired, and the item stayed."""
    real = SeedSetOperator._tombstone_headers

    def headers(self: SeedSetOperator, item_id: str) -> Any:
        items = self._writer.items
        if item_id in items:
            items.emitted[items.number(item_id)] = 0
        return real(self, item_id)

    yield patch.object(SeedSetOperator, "_tombstone_headers", headers)


@mutation("what was said of dropped items is forgotten")
def _() -> Iterator[Any]:
    """An item that was dropped twice at once got tombstones as of before its centroids, where idleness was ahead."""
    real = SeedSetWriter.drop

    def drop(self: SeedSetWriter, item_ids: Any, reason: Any) -> None:
        real(self, item_ids, reason)
        self.dropped_until = 0

    yield patch.object(SeedSetWriter, "drop", drop)


@mutation("a set that idleness found too small is not asked for again")
def _() -> Iterator[Any]:
    """Clicks of windows that an idle partition had reached were asked for as of their own end alone."""
    real = SeedSetOperator._finish

    def finish(self: SeedSetOperator, result: Any) -> Any:
        items, number = self._writer.items, self._writer.items.number(result.job.item_id)
        before, out = int(items.emitted[number]), real(self, result)
        if not out and result.outcome == "too_few_seeds":
            items.emitted[number] = before
        return out

    yield patch.object(SeedSetOperator, "_finish", finish)


__all__ = ["MUTATIONS", "mutations_between"]
