"""Old faults, put back one by one: each must be found, or the simulation would not find the next of its kind.

Each is a fault that this project has had, as small as it can be said now.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from flows.engine.source import PartitionReader
from flows.kafka.first_offset import begin_with_group
from flows.messages.batches import ClickBatch
from flows.messages.emission_order import EmissionOrder
from flows.scoring.index_updates import NewestEmissions
from flows.seed_sets import repartition
from flows.seed_sets.candidates import CandidateRegistry
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.emitted_before import EmissionNotes, EmittedBefore
from flows.seed_sets.intake import SeedSetWriter
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.keeper_state import OpenWork
from flows.seed_sets.tombstones import Tombstones
from flows.seed_sets.windows import WindowClock
from ralm.seed_set import SeedSet, WindowClicks
from state.store.changes import Changes
from state.store.layout import RETIRED

from . import process

Mutation = Callable[[], AbstractContextManager[None]]
_NONE: Final = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))
MUTATIONS: Final[dict[str, Mutation]] = {}


def mutation(name: str) -> Callable[[Callable[[], Iterator[Any]]], None]:
    """Register a fault; its function yields patches."""

    def register(patches: Callable[[], Iterator[Any]]) -> None:
        @contextmanager
        def put_back() -> Iterator[None]:
            from contextlib import ExitStack  # noqa: PLC0415

            with ExitStack() as stack:
                for each in patches():
                    stack.enter_context(each)
                yield

        MUTATIONS[name] = put_back

    return register


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


@mutation("a new store has caught up at once")
def _() -> Iterator[Any]:
    """By a wall clock that was slow it had, and then said less than the lost one."""
    real = EmissionNotes.before

    def before(self: EmissionNotes, partition: int, clicks_end: int) -> EmittedBefore | None:
        del clicks_end
        return real(self, partition, 0)

    yield patch.object(EmissionNotes, "before", before)


@mutation("what a partial rebuild does not find is served for ever")
def _() -> Iterator[Any]:
    """Centroids of items whose clicks had expired stayed in their topic."""
    yield patch.object(EmittedBefore, "live", lambda *_: [])


@mutation("a new store knows of no older models")
def _() -> Iterator[Any]:
    """What it did not find, and their older centroids, stayed in the topic for ever."""
    real = EmissionNotes.before

    def before(self: EmissionNotes, partition: int, clicks_end: int) -> EmittedBefore | None:
        found = real(self, partition, clicks_end)
        return found and replace(found, models=())

    yield patch.object(EmissionNotes, "before", before)


@mutation("a model has centroids before its store knows of it")
def _() -> Iterator[Any]:
    """Those of a process that was killed in its first epoch stayed for ever, once another model ran."""
    real = SeedSetOperator.__init__

    def init(self: SeedSetOperator, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        self._unwritten = False

    yield patch.object(SeedSetOperator, "__init__", init)


@mutation("an item that moves is said as of no later")
def _() -> Iterator[Any]:
    """Offsets begin anew in the partition to which an item moves: what it said of old windows was passed over."""
    real = repartition._both
    yield patch.object(repartition, "_both", lambda *records: replace(real(*records), emitted=0))


@mutation("an item's tombstone stays behind when it moves")
def _() -> Iterator[Any]:
    """What was taken down, and not yet delivered when the topic grew, was served for ever."""
    yield patch.object(repartition, "Changes", lambda **changes: Changes(**{**changes, "withdrawn": []}))


@mutation("what is to be done of an item stays behind when it moves")
def _() -> Iterator[Any]:
    """It was clustered as of its last click, without late ones that are folded in after it."""
    real = OpenWork.handed_over

    def handed_over(self: OpenWork, items: list[str], other: OpenWork | None) -> OpenWork:
        return real(replace(self, dirty=_NONE, pending={}), items, other)

    yield patch.object(OpenWork, "handed_over", handed_over)


@mutation("a partition that waits has no clock to take over")
def _() -> Iterator[Any]:
    """One that had been read, and had no clicks, began anew with items whose windows were closed."""
    real = OpenWork.handed_over

    def handed_over(self: OpenWork, items: list[str], other: OpenWork | None) -> OpenWork:
        found = real(self, items, other)
        return found if other is None else replace(found, newest=other.newest, closed=other.closed, heard=other.heard)

    yield patch.object(OpenWork, "handed_over", handed_over)


@mutation("a partition that takes items over begins with the time of their clicks")
def _() -> Iterator[Any]:
    """A click of a fast clock was evidence there, which it was not where it came."""
    real = OpenWork.handed_over

    def handed_over(self: OpenWork, items: list[str], other: OpenWork | None) -> OpenWork:
        return real(
            self if other and other.newest else replace(self, newest=self.newest and self.newest + 5000), items, other
        )

    yield patch.object(OpenWork, "handed_over", handed_over)


@mutation("clicks from before a gap come back")
def _() -> Iterator[Any]:
    """Late, or read again, they were of the set that began anew after the gap."""
    yield patch.object(SeedSet, "since", lambda self, _: self)


@mutation("requests are resumed where they were read")
def _() -> Iterator[Any]:
    """Requests whose answers were on their way at a crash were never answered."""
    real = PartitionReader.snapshot

    def snapshot(self: PartitionReader) -> None:
        real(self)
        self._reader.commit(self.partition, self.position, self.mark)

    yield patch.object(PartitionReader, "snapshot", snapshot)


@mutation("a partition of requests that is added begins at its end")
def _() -> Iterator[Any]:
    """With ``start_from = "latest"`` what came there before the restart was not answered."""
    real = begin_with_group

    def begin(facts: Any, partition: int, **rules: Any) -> Any:
        return real(facts, partition, **{**rules, "begun": False})

    yield patch.object(process, "begin_with_group", begin)


RARE: Final = {
    "a set that idleness found too small is not asked for again": "tests/flows/seed_sets/test_said_before.py",
    "an item that moves is said as of no later": "tests/flows/seed_sets/test_repartition.py",
}
"""Faults that no schedule has found yet as schedules are drawn now, and the tests that see them."""

FOUND: Final = Path(__file__).with_name("found.json")
"""Of each fault the first schedule that finds it, as ``python -m tests.simulation --mutations`` has searched it."""


def found() -> dict[str, int]:
    """What is noted in ``FOUND``."""
    noted: dict[str, int] = json.loads(FOUND.read_text()) if FOUND.exists() else {}
    return noted


def note(name: str, number: int) -> None:
    """Note the first schedule that finds a fault; faults that are no more go."""
    kept = {each: at for each, at in {**found(), name: number}.items() if each in MUTATIONS}
    FOUND.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def found_by(name: str, numbers: range, play: Callable[[int], Any]) -> int | None:
    """The first schedule that finds a fault, and nothing without it; None where none of them does."""
    for number in numbers:
        with MUTATIONS[name]():
            wrong = play(number).wrong
        if wrong and not play(number).wrong:
            return number
    return None


__all__ = ["FOUND", "MUTATIONS", "RARE", "found", "found_by", "note"]
