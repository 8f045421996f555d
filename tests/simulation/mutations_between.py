"""Old faults of what lies between two lives of a store: it is lost, the model is another, or the topics grow."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Self
from unittest.mock import patch

import numpy as np

from flows.engine.source import PartitionReader
from flows.kafka import first_offset
from flows.kafka.first_offset import begin_with_group
from flows.seed_sets import repartition
from flows.seed_sets.emitted_before import EmissionNotes, EmittedBefore, at_home
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.keeper_state import OpenWork
from ralm.seed_set import FoldedSet, SeedSet, fold
from state.store import seed_store
from state.store.changes import Changes

from . import process
from .mutation import mutation

_NONE: Final = (list[str](), np.zeros(0, np.int64), np.zeros(0, np.int64))


@mutation("what was said elsewhere is the last to be forgotten")
def _() -> Iterator[Any]:
    """Its offset was that of another partition: what max_listings forgot depended on a restart."""
    yield patch.object(repartition, "said_before", lambda store: dict(store.candidates()))


@mutation("clicks from before a gap come back")
def _() -> Iterator[Any]:
    """Late, or read again, they were of the set that began anew after the gap."""
    yield patch.object(SeedSet, "since", lambda self, _: self)


@mutation("seeds from before a gap come with an item that moves")
def _() -> Iterator[Any]:
    """Where its other part had seen the gap, and had folded in already what showed it."""

    class AsItCame(SeedSet):
        def since(self, time: int) -> Self:
            del time
            return self

    def unseen(folded: Any, *args: Any) -> FoldedSet:
        found = fold([AsItCame(part.users, part.times) for part in folded], *args)
        return found._replace(seeds=SeedSet(found.seeds.users, found.seeds.times))

    yield patch.object(seed_store, "fold", unseen)


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


@mutation("what was said of an item before it moved is nobody's")
def _() -> Iterator[Any]:
    """Its new partition's store was lost, found no click of it, and left what the old one had said for ever."""
    yield patch.object(process, "EmissionNotes", lambda _: EmissionNotes())


@mutation("a store that is filled anew has what is at home elsewhere")
def _() -> Iterator[Any]:
    """It took back what other partitions served, and its centroids of old clicks took the place of theirs."""
    real = EmissionNotes.before

    def before(self: EmissionNotes, partition: int, clicks_end: int) -> EmittedBefore | None:
        found = real(self, partition, clicks_end)
        return found and replace(found, is_away=at_home)

    yield patch.object(EmissionNotes, "before", before)


@mutation("an older copy of a store passes for the one that was there")
def _() -> Iterator[Any]:
    """It knew nothing of what was said since: that stayed for ever, or was newer than all that the copy said."""
    yield patch.object(first_offset, "_is_older", lambda *_: False)


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
