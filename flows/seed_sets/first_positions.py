"""Where this process begins to read the topics that its stores are filled from; fixed in a store before any is read."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.kafka.first_offset import (
    Beginning,
    BeginRules,
    PartitionFacts,
    begin_with_store,
    had_at_first,
    lost_without_store,
    refuse_another,
)
from flows.kafka.topic_marks import TopicMarks, is_within
from flows.seed_sets.keeper_state import ForNewOffsets, said_before
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from state.directory import BEFORE, forget_moved, note_begun, note_partition_count, store_path
from state.owner_lock import file_lock
from state.store.meta import NO_MARK, NOTHING_SETTLED
from state.store.seed_store import Changes, SeedStore, StoreError


@dataclass
class FirstPositions:
    """Decides where the partitions of clicks and candidates begin, each once.

    What is decided for the first time, or other than a store has it, is written to the store at once: ``--start-from
    latest`` holds for the first start only, however soon a crash comes after it.

    Attributes:
        settings: the settings.
        state: what the state directory held when the process started.
        topic: the clicks topic.
        marks: of what was read; those of the stores are added.
        count: how many partitions the clicks topic has; 0 where that is not known.
        emitted: says the greatest offset of a partition's clicks that was emitted of, 0 where that is not known.
        emitted_count: says how many partitions the clicks topic had at first, as what was emitted says; 0 where it does
            not.
    """

    settings: Settings
    state: StateFacts
    topic: str
    marks: TopicMarks = field(default_factory=TopicMarks)
    count: int = 0
    emitted: Callable[[int], int] = lambda _: 0
    emitted_count: Callable[[], int] = lambda: 0
    _had_at_first: int = 0
    _decided: dict[tuple[str, int], Beginning] = field(default_factory=dict)

    def begin(self, kind: str, facts: PartitionFacts, partition: int, topic_id: str) -> int:
        """The offset at which a partition of ``clicks`` or ``candidates`` begins.

        Raises:
            RalmError: when messages that the store lacks are gone, or the topic is not the one that it was filled from.
        """
        if (kind, partition) not in self._decided:
            self._decided[kind, partition] = self._decide(kind, facts, partition, topic_id)
        return self._decided[kind, partition].offset

    def is_older(self, partition: int) -> bool:
        """Whether a partition's store is an older copy of itself, as from a backup: more was read and said since."""
        decided = (self._decided.get((kind, partition)) for kind in ("clicks", "candidates"))
        return any(each.older for each in decided if each is not None)

    def has_more(self, partition: int) -> bool:
        """Whether a partition's store has clicks, too, of a topic that was there before."""
        decided = self._decided.get(("clicks", partition))
        return partition in self.state.begun.get(BEFORE, ()) or (decided is not None and decided.more)

    def to_move(self) -> list[int]:
        """The stores that items may be moved out of or into, since there are more or fewer partitions than before."""
        return sorted(self.state.stores) if self.count and self.count != self.state.partitions else []

    def see_that_stores_fit(self, facts: PartitionFacts, topic_id: str) -> None:
        """See that all stores that items are moved between, those of other processes too, are of the topic.

        Raises:
            RalmError: when one is not, and ``rebuild`` does not say that this is known.
        """
        for partition in self.to_move():
            held = self.state.held("clicks", partition)
            if held is not None and partition < self.count:
                refuse_another(facts, partition, held, self._rules("clicks", partition, topic_id))

    @property
    def first_count(self) -> int:
        """How many partitions the clicks topic had at first, as it is noted here; 0 where the topic is not looked at.

        It is committed beside the clicks' offsets, for whoever comes without this directory.
        """
        state = self.state
        return min(state.first_count or state.partitions or self._had_at_first or self.count, self.count)

    def note_count_before(self, facts: PartitionFacts, partitions: list[int], topic_id: str) -> None:
        """Note how many partitions the topic had at first, as others know where this directory knows nothing.

        The group does, or else what was emitted.

        Then items whose clicks lie in two partitions are brought home at the next start.

        Raises:
            RalmError: when it cannot be noted.
        """
        if self.state.partitions:
            return
        known = {had_at_first(facts, partition, topic_id) for partition in partitions} - {0} or {self.emitted_count()}
        if fewer := {count for count in known if 0 < count < self.count}:
            self._had_at_first = min(fewer)
            with self._noting() as state_dir:
                note_partition_count(state_dir, self._had_at_first)

    def refusals(self, kind: str, facts: PartitionFacts, partitions: list[int], topic_id: str) -> list[str]:
        """Decide of several partitions; returns why each that is refused is, since one setting accepts them all."""
        refused = []
        for partition in partitions:
            try:
                self.begin(kind, facts, partition, topic_id)
            except RalmError as error:
                refused.append(str(error))
        return refused

    def lost(self, facts: PartitionFacts, partitions: list[int], topic_id: str) -> list[str]:
        """Why each store of these that is not here cannot be made whole of the clicks topic; changes nothing.

        Raises:
            RalmError: when the broker does not say.
        """
        missing = [partition for partition in partitions if partition not in self.state.stores]
        said = [lost_without_store(facts, each, self._rules("clicks", each, topic_id)) for each in missing]
        return [text for text in said if text]

    def fix(self, partitions: list[int]) -> None:
        """Write to the stores what was decided.

        Raises:
            RalmError: when a store, or the note of it, cannot be written.
        """
        with self._noting() as state_dir:
            note_begun(state_dir, BEFORE, filter(self.has_more, partitions))
            for partition in partitions:
                self._fix(state_dir, partition)
            note_begun(state_dir, "clicks", partitions)

    def held_marks(self, kind: str, bounds: Mapping[int, tuple[int, int]]) -> dict[int, int]:
        """The offsets of the messages by which stores know a topic again, of those that it may have, by partition."""
        marks = {p: held.mark for p in bounds if (held := self.state.held(kind, p)) is not None}
        return {partition: mark.offset for partition, mark in marks.items() if is_within(mark, bounds[partition])}

    @contextmanager
    def _noting(self) -> Iterator[Path]:
        """Keep others from noting something meanwhile, and say in words what goes wrong."""
        state_dir = Path(self.settings.state_dir)
        try:
            with file_lock(state_dir / "partitions.lock"):
                yield state_dir
        except StoreError as error:
            raise RalmError(str(error)) from error
        except OSError as error:
            msg = f"{state_dir} cannot be written: {error}. Once that is fixed, start again: nothing is lost."
            raise RalmError(msg) from error

    def _decide(self, kind: str, facts: PartitionFacts, partition: int, topic_id: str) -> Beginning:
        if another := self.state.of_another(self.topic, partition):
            raise RalmError(another)
        held, rules = self.state.held(kind, partition), self._rules(kind, partition, topic_id)
        decided = begin_with_store(facts, partition, held, rules)
        if kind == "clicks" and not decided.anew and self.state.lacks_moved(partition):
            lacks = (
                f"{facts.topic}[{partition}]: the store is a copy from before the topic had grown, and lacks the items "
                "that were moved to it then. Put a newer store of the partition in its place, if there is one; else "
                "start once with --rebuild partial: those items begin anew with the clicks since."
            )
            if rules.rebuild != "partial":
                raise RalmError(lacks)
            decided = decided._replace(older=True)
        same = NO_MARK if held is None or decided.anew else held.mark
        if not is_within(same, facts.bounds(partition)):
            same = NO_MARK._replace(topic_id=same.topic_id)
        self.marks.set(kind, partition, same._replace(topic_id=topic_id or same.topic_id))
        return decided

    def _rules(self, kind: str, partition: int, topic_id: str) -> BeginRules:
        s, state = self.settings, self.state
        # ``latest`` is for a very first start only; later, a partition without a position is a new one.
        latest = kind == "clicks" and s.start_from == "latest" and state.is_first(partition)
        return BeginRules(
            "latest" if latest else "earliest",
            s.rebuild,
            lost=state.was_lost(partition),
            emitted=self.emitted,
            emitted_count=self.emitted_count,
            compacted=kind == "candidates",
            grown=state.has_grown,
            topic_id=topic_id,
            fewer=0 < self.count < state.partitions,
            count=self.count if kind == "clicks" else 0,
            more=kind == "clicks" and partition in state.begun.get(BEFORE, ()),
        )

    def _fix(self, state_dir: Path, partition: int) -> None:
        clicks, candidates = (self._decided.get((kind, partition)) for kind in ("clicks", "candidates"))
        begun = self.state.held("clicks", partition) is not None
        changed: dict[str, Any] = {}
        changes, position = Changes(), None
        if clicks is not None and clicks.anew:
            forget_moved(state_dir, [partition])
            position = clicks.offset
            changed |= {"resume": clicks.offset, "clicks_mark": self.marks.of("clicks", partition)}
        if candidates is not None and candidates.anew and begun:
            resume = {"candidates": candidates.offset, "resume_candidates": NOTHING_SETTLED}
            changed |= {**resume, "candidates_mark": self.marks.of("candidates", partition)}
        if self.is_older(partition):
            changed["replaces"] = True
        if not changed:
            return
        path, capacity = store_path(state_dir, partition), self.settings.max_seeds
        with closing(SeedStore.open(path, topic=self.topic, partition=partition, capacity=capacity)) as store:
            if "candidates" in changed:
                changes.candidates.update(said_before(store))
            if position is not None and begun:
                kept = ForNewOffsets.of(store)
                changes.items.update(kept.records)
                changed |= {} if kept.work is None else {"work": kept.work.encode()}
            store.write(changes, position=store.position if position is None else position, **changed)
