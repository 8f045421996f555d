"""Builds the parts of one process: the seed side takes clicks to centroids, the score side takes requests to scores.

A builder opens what its side needs, and ``close`` of the side releases it; the diagrams only connect the parts.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from flows.config.fields import split_list
from flows.config.settings import Settings
from flows.engine.sink import KafkaSink
from flows.engine.source import IdleBackoff, KafkaSource, SourceOptions
from flows.engine.state_keys import worker_of
from flows.engine.steps import OperatorFactory
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.first_offset import FirstOffset, PartitionFacts, begin_with_group
from flows.kafka.outage_log import outage_log
from flows.kafka.topic_marks import TopicMarks, encode_mark
from flows.kafka.topic_watch import TopicWatch
from flows.kafka.topics import STORED, TopicNames
from flows.messages.batches import RawMessage
from flows.messages.brake import DeadLetterBrake
from flows.messages.decode import Decoder
from flows.messages.event_headers import EventHeaders
from flows.scoring.enricher import Enricher
from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import LiveIndex
from flows.seed_sets.first_positions import FirstPositions
from flows.seed_sets.partition_operators import PartitionOperators
from flows.seed_sets.repartition import SetRules, follow_partitions
from flows.seed_sets.state_facts import StateFacts
from flows.support.clock_watch import ClockWatch
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from flows.support.logs import get_logger
from flows.support.signals import StopFlag
from monitoring.health import Health
from state.bundle.bundle import Bundle
from state.directory import note_begun
from state.owner_lock import file_lock
from state.store.seed_store import StoreError

log = get_logger(__name__)


def is_mine(settings: Settings, partition: int) -> bool:
    """Whether this process has a partition's operator, and so its store."""
    processes, workers = len(split_list(settings.addresses)) or 1, settings.workers
    return worker_of(partition, processes * workers) // workers == (settings.process_id if processes > 1 else 0)


@dataclass(frozen=True)
class Runtime:
    """What all parts of a process share.

    Attributes:
        settings: the settings.
        bundle: the loaded bundle.
        health: updated with the index and each poll.
        state: what the state directory held when the process started.
        stopping: set when the flow is to drain.
        begun: set when a source is first asked for messages; in a cluster only once all processes have joined.
        clock: notices that the wall clock was set back.
        idle: when the sources rest.
        brakes: the brake of each kind of topic that has a source.
        watch: knows the topics that were there at the start, and what has become of them.
        marks: by what each partition that is read is known again.
        last_start: where the reading began at the last start, if that crashed.
    """

    settings: Settings
    bundle: Bundle
    health: Health
    state: StateFacts
    stopping: StopFlag
    begun: threading.Event = field(default_factory=threading.Event)
    clock: ClockWatch = field(default_factory=ClockWatch)
    idle: IdleBackoff = field(default_factory=IdleBackoff)
    brakes: dict[str, DeadLetterBrake] = field(default_factory=dict)
    watch: TopicWatch = field(default_factory=TopicWatch.blind)
    marks: TopicMarks = field(default_factory=TopicMarks)
    last_start: LastStart = field(default_factory=lambda: LastStart(None))

    def topic(self, kind: str) -> str:
        """The name of a kind of topic."""
        name: str = getattr(TopicNames.of(self.settings), kind)
        return name

    def consumer(self, kind: str) -> dict[str, Any]:
        """The client's settings of a consumer."""
        return consumer_config(self.settings, **{"client.id": f"ralm-{kind}"})

    def source(self, kind: str, poll: int, **more: Any) -> KafkaSource:
        """The source of a kind of topic.

        Args:
            kind: what the topic is in the contract.
            poll: maximum messages per poll.
            more: other fields of ``SourceOptions``.
        """
        polled = False

        def beat() -> None:
            nonlocal polled
            self.health.beat()
            if not polled:  # once: when the flow drains, the condition is not met any more
                polled = True
                self.begun.set()
                if kind == "requests":
                    self._note_requests_begun(source)
                if kind != "candidates":  # that topic is optional
                    self.health.set(f"polling_{kind}", True)

        may_read, brake = more.pop("open", lambda: True), self._brake(kind)

        def open_() -> bool:
            self.watch.check(kind)
            self.watch.check("centroids")
            return may_read() and brake.open()

        options = SourceOptions(
            kind,
            self.topic(kind),
            self.consumer(kind),
            poll,
            self._begin(kind),
            self._is_to_end,
            mark=partial(self._mark, kind),
            known=self._known(kind),
            may_shrink=self.settings.rebuild == "partial",
            mine=partial(is_mine, self.settings) if kind in STORED else lambda _: True,
            open=open_,
            beat=beat,
            alive=self.health.beat,
            last_start=self.last_start,
            idle=self.idle,
            last_error=lambda: outage_log.last_error,
            step_over=self.settings.step_over,
            skip_gone=kind not in STORED,
            **more,
        )
        source = KafkaSource(options)
        return source

    @cached_property
    def positions(self) -> FirstPositions:
        """Where clicks and candidates begin."""
        return FirstPositions(self.settings, self.state, self.topic("clicks"), self.marks)

    def _is_to_end(self) -> bool:
        """Whether the sources are to end: the flow drains, or is to begin anew since the clock was set back.

        Raises:
            RalmError: when the clock was set back in a cluster, whose other processes would not begin anew.
        """
        if self.clock.was_set_back() and self.settings.addresses:
            msg = (
                f"the wall clock was set back by {self.clock.set_back_by:.0f} s: no epoch would end until it is where "
                "it was. Start the processes of the cluster again: nothing is lost"
            )
            raise RalmError(msg)
        return self.stopping.is_set() or self.clock.was_set_back()

    def _begin(self, kind: str) -> FirstOffset:
        s, state = self.settings, self.state
        if kind in STORED:
            return lambda facts, p: self.positions.begin(kind, facts, p, self.watch.topic_id(kind))
        begun = bool(state.begun.get(kind))

        def begin(facts: PartitionFacts, partition: int) -> int:
            topic_id = self.watch.topic_id(kind)
            offset, mark = begin_with_group(facts, partition, start_from=s.start_from, begun=begun, topic_id=topic_id)
            self.marks.set(kind, partition, mark)
            return offset

        return begin

    def _mark(self, kind: str, partition: int, message: RawMessage | None) -> str:
        """Remember by what a partition is known again."""
        if message is not None:
            self.marks.note(kind, partition, message)
        mark, positions = self.marks.of(kind, partition), self.positions
        if kind != "clicks":
            return encode_mark(mark)
        return encode_mark(mark, positions.first_count, more=positions.has_more(partition))

    def _note_requests_begun(self, source: KafkaSource) -> None:
        state_dir = Path(self.settings.state_dir)
        try:
            with file_lock(state_dir / "partitions.lock"):
                note_begun(state_dir, "requests", source.partitions())
        except (OSError, StoreError) as error:
            raise RalmError(f"{state_dir} cannot be written: {error}") from error

    def _known(self, kind: str) -> int:
        """How many partitions of a topic the state knows."""
        is_known = kind == "clicks" or (kind == "candidates" and self.state.has_candidates)
        return self.state.partitions if is_known else 0

    def _brake(self, kind: str) -> DeadLetterBrake:
        def on_change() -> None:
            why = "; ".join(each.why for each in self.brakes.values() if each.why)
            self.health.set("dead_letter_brake", not why, why)

        brake = self.brakes[kind] = DeadLetterBrake(kind, self.topic(kind), self.settings, on_change)
        on_change()
        return brake

    def decoder(self) -> Decoder:
        """A decoder that tells the brakes of what is refused."""
        return Decoder(self.settings, on_batch=lambda raw, refused: self.brakes[raw.kind].count(raw, refused))

    def sink(self, kind: str, delivered: Callable[[int, RawMessage], None] | None = None) -> KafkaSink:
        """The sink of a kind of topic.

        Args:
            kind: what the topic is in the contract.
            delivered: called with the partition and each message that the broker has taken.
        """
        s = self.settings
        return KafkaSink(kind, self.topic(kind), producer_config(s), s.delivery_timeout, self.health.beat, delivered)


@dataclass(frozen=True)
class SeedSide:
    """The parts from clicks to centroids; ``operator`` makes a partition's operator, on a store of its own.

    ``prepare`` is called before the dataflow starts, ``settled`` once it has ended by itself, and ``close`` always.
    """

    decoder: Decoder
    clicks: KafkaSource
    candidates: KafkaSource
    operator: OperatorFactory
    centroids: KafkaSink
    dead_letters: KafkaSink
    prepare: Callable[[], None]
    settled: Callable[[], None]
    close: Callable[[], None]


@dataclass(frozen=True)
class ScoreSide:
    """The parts from requests to scores; the live index is loading already.

    ``prepare`` is called before the dataflow starts, ``settled`` once it has ended by itself, and ``close`` always.
    """

    decoder: Decoder
    requests: KafkaSource
    enricher: Enricher
    scores: KafkaSink
    dead_letters: KafkaSink
    prepare: Callable[[], None]
    settled: Callable[[], None]
    close: Callable[[], None]


def seed_side(runtime: Runtime) -> SeedSide:
    """Build the parts from clicks to centroids."""
    s, clicks_topic = runtime.settings, runtime.topic("clicks")
    partitions = PartitionOperators(s, runtime.bundle, runtime.state, runtime.watch, runtime.marks)
    optional = s.candidates == "clicked"
    candidates = runtime.source("candidates", s.poll_batch, optional=optional, partner=clicks_topic)

    def after(partition: int) -> bool:
        # Whoever fills a new store serves nothing, not even for a moment, that was taken down long ago.
        is_filled = runtime.state.is_filled(partition) and not runtime.positions.is_older(partition)
        return is_filled or candidates.was_at_end(partition)

    clicks = runtime.source("clicks", s.poll_batch, after=after)

    def prepare() -> None:
        # All that may be refused comes first: what is refused leaves everything as it was.
        mine, refused = {"clicks": clicks.partitions(), "candidates": candidates.partitions()}, list[str]()
        positions = runtime.positions
        positions.count = clicks.count
        positions.emitted, positions.emitted_count = partitions.emitted_up_to, partitions.first_count
        for kind, source in (("clicks", clicks), ("candidates", candidates)):
            looked_at = {*mine[kind], *positions.to_move()} & set(range(source.count))
            source.facts.expect(positions.held_marks(kind, {p: source.facts.bounds(p) for p in looked_at}))
            refused += positions.refusals(kind, source.facts, mine[kind], runtime.watch.topic_id(kind))
        if refused:
            raise RalmError("\n".join(dict.fromkeys(refused)))
        positions.see_that_stores_fit(clicks.facts, runtime.watch.topic_id("clicks"))
        positions.note_count_before(clicks.facts, mine["clicks"], runtime.watch.topic_id("clicks"))
        rules = SetRules(s.max_seeds, s.item_ttl)
        home = follow_partitions(Path(s.state_dir), clicks_topic, clicks.count, rules, s.partitioner)
        positions.fix(mine["clicks"])
        older = frozenset(filter(positions.is_older, mine["clicks"]))
        ends = {partition: clicks.facts.bounds(partition)[1] for partition in mine["clicks"]}
        grown = positions.first_count if positions.first_count < clicks.count else 0
        partitions.prepare(ends, home, older, grown)

    def settled() -> None:
        partitions.settled()
        clicks.settled()
        candidates.settled()

    def close() -> None:
        clicks.close()
        candidates.close()
        partitions.close()

    return SeedSide(
        runtime.decoder(),
        clicks=clicks,
        candidates=candidates,
        operator=partitions.operator,
        centroids=runtime.sink("centroids", partial(runtime.marks.note, "centroids")),
        dead_letters=runtime.sink("dead_letters"),
        prepare=prepare,
        settled=settled,
        close=close,
    )


def score_side(runtime: Runtime) -> ScoreSide:
    """Build the parts from requests to scores, and begin to load the live index."""
    s, bundle = runtime.settings, runtime.bundle
    index = LiveIndex(bundle.form, sketched=s.neighbours > 0)
    topic, consumer = runtime.topic("centroids"), runtime.consumer("index")
    grown, mark = partial(runtime.watch.partitions, "centroids"), partial(runtime.marks.note, "centroids")
    loader = IndexLoader(index, topic, consumer, bundle.version, bundle.form.dim, grown, mark, s.step_over)
    loader.note_in(runtime.last_start)

    def index_open() -> bool:
        if loader.failure is not None:
            msg = f"the live index cannot be kept: {loader.failure}"
            raise RalmError(msg) from loader.failure
        if index.loaded.is_set():
            runtime.health.set("index", True)
        return index.loaded.is_set()

    requests = runtime.source("requests", s.score_batch, open=index_open)

    def close() -> None:
        requests.close()
        loader.stop()

    loader.start()
    return ScoreSide(
        runtime.decoder(),
        requests=requests,
        enricher=Enricher(bundle, index, s, headers=EventHeaders.by_settings("scores", bundle.version, s)),
        scores=runtime.sink("scores"),
        dead_letters=runtime.sink("dead_letters"),
        prepare=lambda: None,
        settled=requests.settled,
        close=close,
    )
