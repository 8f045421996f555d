"""One life of a process: the real source, decoder, operators and store, with the engine and the pool played."""

import zlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np

from flows.config.groups import MessageSettings, SeedSettings
from flows.engine.source import IdleBackoff, PartitionReader, SourceOptions
from flows.kafka.first_offset import begin_with_group
from flows.kafka.sent_centroids import deleted_offsets, sent_elsewhere
from flows.kafka.topic_marks import TopicMarks, encode_mark
from flows.kafka.topics import STORED
from flows.messages.batches import OutMessage
from flows.messages.codec import encode_centroids
from flows.messages.decode import Decoder
from flows.messages.event_headers import EventHeaders
from flows.messages.types import Centroids, Request
from flows.seed_sets import clustering
from flows.seed_sets.clustering import ClusteringJob, ClusteringPool, ClusteringResult
from flows.seed_sets.emitted_before import EmissionNotes, EmittedBefore
from flows.seed_sets.first_positions import FirstPositions
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.state_facts import StateFacts
from ralm.seed_set import SeedSet
from state.store.seed_store import SeedStore

from .disk import Disk
from .growth import follow, home, on_simulated_disks
from .world import Reader, World

DIM = 3


def digest(seeds: dict[int, int]) -> np.ndarray:
    """What stands for a set's centroids: numbers that another set has not, float32[3]."""
    crc = zlib.crc32(repr(sorted(seeds.items())).encode())
    return np.array([(crc & 0xFFFF) / 65536, (crc >> 16) / 65536, len(seeds)], np.float32)


class PlayedPool(ClusteringPool):
    """The pool in the same thread: jobs end when the schedule says, in any order, and some of them fail."""

    def __init__(self, model_version: str, min_seeds: int, rng: Random, told: "list[Clustered]", age: int = 0) -> None:
        self.model_version, self.slots, self._age = model_version, 3, age
        self.made_with = f"min_seeds={min_seeds}"
        self._headers = EventHeaders("centroids", model_version)
        self._min_seeds, self._rng, self._told = min_seeds, rng, told
        self._waiting: list[Any] = []
        self.failures = 0

    def submit(self, store: SeedStore, job: ClusteringJob) -> "Future[ClusteringResult]":
        entry = clustering._Entry(store, job, Future())
        self._waiting.append(entry)
        return entry.future

    def step(self, count: int) -> None:
        """End so many jobs."""
        for _ in range(min(count, len(self._waiting))):
            entry = self._waiting.pop(self._rng.randrange(len(self._waiting)))
            if entry.future.set_running_or_notify_cancel() and self._read(entry):
                self._do([entry], 0.0)

    def _start(self, store: SeedStore, item_id: str) -> None:
        """Afresh: the digest has no start."""

    def _cluster(self, work: list[Any]) -> None:
        (entry,) = work
        entry.outcome, entry.centroids = self._clustered(entry.store, entry.job, entry.seeds)

    def _clustered(
        self, store: SeedStore, job: ClusteringJob, seeds: SeedSet
    ) -> tuple[clustering.ClusteringOutcome, bytes | None]:
        given = dict(zip(seeds.users.tolist(), seeds.times.tolist(), strict=True))
        at = (store.meta.partition, store.position)
        self._told.append(Clustered(self._age, *at, job.item_id, job.window_end, given, store._capacity))
        if not job.served:
            return "unlisted", None
        if len(seeds) < self._min_seeds:
            return "too_few_seeds", None
        if self.failures:
            self.failures -= 1
            return "failed", None
        numbers = digest(given)
        message = Centroids.of(
            item_id=job.item_id,
            model_version=self.model_version,
            window_end=job.window_end,
            seeds=len(seeds),
            counts=np.array([len(seeds)]),
            centroids=numbers.reshape(1, DIM),
            global_=numbers,
            clicks_offset=job.clicks_offset,
        )
        return "emitted", encode_centroids(message)


def _answer(request: Request) -> OutMessage:
    """What stands for an answer."""
    return OutMessage(request.user_id.encode(), request.request_id.encode(), [])


@dataclass(frozen=True)
class Clustered:
    """What a job of the pool was given: an item's set as of a window's end, and of the clicks before an offset.

    ``age`` says how often the topic had grown, ``most`` of how many users a set was at most.
    """

    age: int
    partition: int
    position: int
    item: str
    until: int
    seeds: dict[int, int]
    most: int


@dataclass
class Part:
    """A partition of this process."""

    number: int
    store: SeedStore
    operator: SeedSetOperator
    clicks: PartitionReader
    candidates: PartitionReader
    requests: PartitionReader
    queue: list[Any]

    @property
    def sources(self) -> tuple[PartitionReader, ...]:
        """What is read of it."""
        return self.clicks, self.candidates, self.requests


class Process:
    """A process from its start to its crash.

    Args:
        world: the topics and the clock.
        disks: by partition.
        settings: of seeds and windows.
        model_version: the bundle's.
        min_seeds: fewest seeds of centroids.
        step: called between any two things that the process does; it may raise ``Crash``.
        counts: how many partitions the clicks topic had at each time.
    """

    def __init__(
        self,
        world: World,
        disks: list[Disk],
        settings: SeedSettings,
        pool: PlayedPool,
        step: Callable[[], None],
        counts: list[int],
    ) -> None:
        self._world, self._disks, self._settings, self.pool, self._step = world, disks, settings, pool, step
        self._decoder = Decoder(MessageSettings(), tell=False)
        self.last_idle: dict[int, int] = {}
        self._has_grown = len(set(counts)) > 1
        # As a process looks at its state when it starts.
        metas = {number: meta for number, disk in enumerate(disks) if (meta := disk.meta()) is not None}
        every = frozenset(range(len(disks)))
        self._state = StateFacts(counts[-1], metas, counts[0], {"clicks": every}, {})
        follow(disks, counts, settings)
        self._readers = {kind: Reader(world, kind) for kind in ("clicks", "candidates", "requests", "centroids")}
        self._marks = TopicMarks()
        self._positions = self._fixed(len(disks))
        centroids, ids = self._readers["centroids"], world.topics["centroids"].id
        bounds = len(world.topics["centroids"].logs)
        self._sent_elsewhere = sent_elsewhere(metas, centroids, bounds, ids)
        self._of_centroids = {"centroids_id": ids, "centroids_deleted": deleted_offsets(centroids, bounds)}
        self.parts = [self._open(number) for number in range(len(disks))]

    def _fixed(self, partitions: int) -> FirstPositions:
        """Where clicks and candidates begin, fixed in the stores, as before a dataflow starts."""
        given = SimpleNamespace(
            state_dir="/simulated", start_from="earliest", rebuild="partial", max_seeds=self._settings.max_seeds
        )
        positions = FirstPositions(given, self._state, "clicks", self._marks, partitions)  # type: ignore[arg-type]
        for kind in ("clicks", "candidates"):
            for number in range(partitions):
                positions.begin(kind, self._readers[kind], number, self._world.topics[kind].id)
        with on_simulated_disks(self._disks):
            positions.fix(list(range(partitions)))
        return positions

    def _open(self, number: int) -> Part:
        world, disk, readers = self._world, self._disks[number], self._readers
        store = disk.open(number, self._settings.max_seeds, self._settings.item_ttl)
        emitted: EmittedBefore | None = None
        if self._positions.is_older(number) or self._state.is_anew(number):
            partitions = len(self._disks)
            notes = EmissionNotes((lambda item: home(item, partitions)) if self._has_grown else None)
            notes.note(
                (record for log in world.topics["centroids"].logs for record in log if record is not None), 2**53
            )
            emitted = notes.before(number, readers["clicks"].bounds(number)[1])

        def topics() -> dict[str, Any]:
            return {f"{kind}_mark": self._marks.of(kind, number) for kind in STORED} | self._of_centroids

        emit_all = number in self._sent_elsewhere
        operator = SeedSetOperator(store, self.pool, self._settings, topics, emit_all=emit_all, emitted_before=emitted)
        rules = {"start_from": world.start_from, "begun": world.has_read_requests}
        requests_id = world.topics["requests"].id
        first, mark = begin_with_group(readers["requests"], number, topic_id=requests_id, **rules)
        self._marks.set("requests", number, mark)
        clicks, candidates = (
            self._positions.begin(kind, readers[kind], number, world.topics[kind].id) for kind in STORED
        )
        offsets = {"clicks": clicks, "candidates": candidates, "requests": first}
        sources = (self._source(kind, readers[kind], number, offset) for kind, offset in offsets.items())
        return Part(number, store, operator, *sources, [])

    def _source(self, kind: str, reader: Reader, number: int, offset: int) -> PartitionReader:
        rest = IdleBackoff(lambda _: None)
        options = SourceOptions(
            kind, kind, {}, 1000, lambda *_: offset, lambda: False, idle=rest, mark=partial(self._mark, kind)
        )
        return PartitionReader(options, reader, number)  # type: ignore[arg-type]

    def _mark(self, kind: str, partition: int, message: Any) -> str:
        if message is not None:
            self._marks.note(kind, partition, message)
        return encode_mark(self._marks.of(kind, partition))

    def poll(self, part: Part, kind: str) -> None:
        """The source hands a batch on; the operator may get it later."""
        source: PartitionReader = getattr(part, kind)
        self._world.has_read_requests |= kind == "requests"
        for raw in source.next_batch():
            decoded = getattr(self._decoder, kind)(raw)
            self._send("dead_letters", decoded.dead_letters)
            if kind == "requests":
                self._send("scores", [_answer(request) for request in decoded.good.requests])
                continue
            part.queue.append(decoded.good)
            if kind == "clicks" and raw.idle:
                self.last_idle[part.number] = raw.now
        self._step()

    def apply(self, part: Part) -> None:
        """The operator takes what waits."""
        batches, part.queue = part.queue, []
        if batches:
            self._send("centroids", part.operator.apply(batches))
            self._step()

    def collect(self, part: Part, jobs: int) -> None:
        """The pool ends jobs, and the operator is notified, if it wants to be."""
        self.pool.step(jobs)
        self._step()
        if part.operator.notify_at() is not None:
            self._send("centroids", part.operator.collect())
            self._step()

    def end_epoch(self) -> None:
        """As the engine ends an epoch."""
        self.snapshot()
        self.delivered()

    def snapshot(self) -> None:
        """The first half of an epoch's end: what is on its way arrives, and all are asked for a snapshot."""
        for part in self.parts:
            for source in part.sources:
                source.snapshot()
        for part in self.parts:
            self.apply(part)
            part.operator.snapshot()
            self._step()

    def delivered(self) -> None:
        """The second half: the sinks flush."""
        self._world.deliver()
        self._step()

    def drain(self) -> None:
        """As a process ends that was told to."""
        self.end_epoch()
        for part in self.parts:
            part.operator.settled()
            for source in part.sources:
                source._reader.commit(part.number, source.position, source.mark)
            part.store.close()

    def is_busy(self) -> bool:
        """Whether anything is still to be clustered or sent."""
        return bool(self.pool._waiting) or any(
            part.queue or part.operator.notify_at() is not None for part in self.parts
        )

    def _send(self, kind: str, messages: list[OutMessage]) -> None:
        self._world.waiting += [(kind, message) for message in messages]


__all__ = ["PlayedPool", "Process", "digest"]
