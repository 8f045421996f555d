"""Builds the parts of one process: the seed side takes clicks to centroids, the score side takes requests to scores.

A builder opens what its side needs, and ``close`` of the side releases it; the diagrams only connect the parts.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.engine.sink import KafkaSink
from flows.engine.source import IdleBackoff, KafkaSource, SourceOptions
from flows.engine.steps import OperatorFactory
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.range_reader import ReplayReader
from flows.kafka.topics import TopicNames
from flows.messages.batches import CandidateBatch, ClickBatch
from flows.messages.brake import DeadLetterBrake
from flows.messages.decode import Decoder
from flows.scoring.enricher import Enricher
from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import LiveIndex
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.keeper import Missed, SeedSetOperator
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.seed_sets.repartition import follow_partitions
from flows.support.errors import RalmError, StoppedError
from flows.support.logs import get_logger
from flows.support.signals import StopFlag
from monitoring.health import Health
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore

log = get_logger(__name__)


@dataclass(frozen=True)
class Runtime:
    """What all parts of a process share.

    Attributes:
        settings: the settings.
        bundle: the loaded bundle.
        health: updated with the index, the stores, and each poll.
        known_partitions: the Kafka partitions of each kind of topic that the recovery data knows.
        stopping: set when the flow is to drain.
        begun: set when a source is first asked for messages; in a cluster only once all processes have joined.
        idle: when the sources rest.
        brakes: the brake of each kind of topic that has a source.
    """

    settings: Settings
    bundle: Bundle
    health: Health
    known_partitions: Mapping[str, set[int]]
    stopping: StopFlag
    begun: threading.Event = field(default_factory=threading.Event)
    idle: IdleBackoff = field(default_factory=IdleBackoff)
    brakes: dict[str, DeadLetterBrake] = field(default_factory=dict)

    def topic(self, kind: str) -> str:
        """The name of a kind of topic."""
        name: str = getattr(TopicNames.of(self.settings), kind)
        return name

    def seeds_dir(self) -> Path:
        """The folder of the stores."""
        return Path(self.settings.state_dir) / "seeds"

    def consumer(self, kind: str) -> dict[str, Any]:
        """The client's settings of a consumer."""
        return {**consumer_config(self.settings), "client.id": f"ralm-{kind}"}

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
                if kind != "candidates":  # that topic is optional
                    self.health.set(f"polling_{kind}", True)

        may_read, brake = more.pop("open", lambda: True), self._brake(kind)
        # ``latest`` is for a very first start only; later, a partition without a position is a new one.
        first = kind != "candidates" and not self.known_partitions and not self.seeds_dir().exists()
        options = SourceOptions(
            kind,
            self.topic(kind),
            self.consumer(kind),
            poll,
            self.settings.start_from if first else "earliest",
            self.known_partitions.get(kind, set()),
            self.stopping.is_set,
            open=lambda: may_read() and brake.open(),
            beat=beat,
            idle=self.idle,
            **more,
        )
        return KafkaSource(options)

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

    def sink(self, kind: str) -> KafkaSink:
        """The sink of a kind of topic."""
        s = self.settings
        return KafkaSink(kind, self.topic(kind), producer_config(s), s.delivery_timeout, self.health.beat)


@dataclass(frozen=True)
class SeedSide:
    """The parts from clicks to centroids; ``operator`` makes a partition's operator, on a store of its own."""

    decoder: Decoder
    clicks: KafkaSource
    candidates: KafkaSource
    operator: OperatorFactory
    centroids: KafkaSink
    dead_letters: KafkaSink
    close: Callable[[], None]


@dataclass(frozen=True)
class ScoreSide:
    """The parts from requests to scores; the live index is loading already."""

    decoder: Decoder
    requests: KafkaSource
    enricher: Enricher
    scores: KafkaSink
    dead_letters: KafkaSink
    close: Callable[[], None]


def seed_side(runtime: Runtime) -> SeedSide:
    """Build the parts from clicks to centroids."""
    s, clicks_topic = runtime.settings, runtime.topic("clicks")
    pool, stores = ClusteringPool(runtime.bundle, s), list[SeedStore]()

    def follow(now: int) -> None:
        known = len(runtime.known_partitions.get("clicks", ()))
        follow_partitions(Path(s.state_dir), clicks_topic, known, now, s.max_seeds, s.partitioner)

    def operator(partition: int, state: OperatorSnapshot | None) -> SeedSetOperator:
        path = runtime.seeds_dir() / f"{partition:05d}"
        store = SeedStore.open(path, topic=clicks_topic, partition=partition, capacity=s.max_seeds)
        stores.append(store)
        if store.wal_truncated is not None:
            log.warning("the end of a store's log was dropped", partition=partition, why=store.wal_truncated)
        replay = ReplayReader(runtime.consumer("replay"), s.rebuild, lambda words: _wait_for_store(runtime, words))
        if state is None and store.position:
            replay.check(clicks_topic, partition, store.position)
        made = SeedSetOperator(store, pool, s, state, _missed(runtime, replay, store))
        runtime.health.set("stores", True)
        return made

    def close() -> None:
        pool.close()
        for store in stores:
            try:
                store.close()
            except Exception as error:  # rocksdict raises the bare class
                # What was written is synced, so nothing is lost; to raise would hide why the flow ends.
                log.warning("a store was not closed as it should be", partition=store.meta.partition, error=str(error))

    runtime.health.set("stores", True)  # until one must catch up
    optional = s.candidates == "clicked"
    return SeedSide(
        runtime.decoder(),
        clicks=runtime.source("clicks", s.poll_batch, counted=follow),
        candidates=runtime.source("candidates", s.poll_batch, optional=optional, partner=clicks_topic),
        operator=operator,
        centroids=runtime.sink("centroids"),
        dead_letters=runtime.sink("dead_letters"),
        close=close,
    )


def score_side(runtime: Runtime) -> ScoreSide:
    """Build the parts from requests to scores, and begin to load the live index."""
    s, bundle = runtime.settings, runtime.bundle
    index = LiveIndex(bundle.towers)
    topic, consumer = runtime.topic("centroids"), runtime.consumer("index")
    loader = IndexLoader(index, topic, consumer, bundle.version, bundle.towers)

    def index_open() -> bool:
        if loader.failure is not None:
            msg = f"the live index cannot be kept: {loader.failure}"
            raise RalmError(msg) from loader.failure
        if index.loaded.is_set():
            runtime.health.set("index", True)
        return index.loaded.is_set()

    loader.start()
    return ScoreSide(
        runtime.decoder(),
        requests=runtime.source("requests", s.score_batch, open=index_open),
        enricher=Enricher(bundle, index, s),
        scores=runtime.sink("scores"),
        dead_letters=runtime.sink("dead_letters"),
        close=loader.stop,
    )


def _missed(runtime: Runtime, replay: ReplayReader, store: SeedStore) -> Missed:
    """Reads the messages between a store and a snapshot again."""
    decoder, have = Decoder(runtime.settings, tell=False), store.meta

    def missed(state: OperatorSnapshot) -> tuple[Iterator[ClickBatch], Iterator[CandidateBatch]]:
        spans = {"clicks": (have.position, state.position), "candidates": (have.candidates, state.candidates)}
        clicks, listed = (replay.read(kind, runtime.topic(kind), have.partition, span) for kind, span in spans.items())
        return (decoder.clicks(raw).good for raw in clicks), (decoder.candidates(raw).good for raw in listed)

    return missed


def _wait_for_store(runtime: Runtime, words: str) -> None:
    """Stay alive and reachable while a store catches up, which holds the dataflow."""
    runtime.health.beat()
    runtime.health.set("stores", False, words)
    if runtime.stopping.is_set():
        msg = "stopped while a store was catching up; it goes on from there at the next start"
        raise StoppedError(msg)
