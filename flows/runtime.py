"""What the steps of a running flow share: the bundle, the stores, the pool, the live index, and how it all stops."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.engine.sink import KafkaSink
from flows.engine.source import IdleBackoff, KafkaSource, SourceOptions
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.range_reader import ReplayReader
from flows.kafka.topics import TopicNames
from flows.messages.batches import CandidateBatch, ClickBatch
from flows.messages.decode import DecodeLimits, Decoder
from flows.scoring.enricher import Enricher, EnrichOptions
from flows.scoring.index_loader import IndexLoader
from flows.scoring.live_index import LiveIndex
from flows.seed_sets.clustering import ClusteringOptions, ClusteringPool
from flows.seed_sets.keeper import SeedKeeper
from flows.seed_sets.keeper_state import KeeperOptions, KeeperState
from flows.seed_sets.repartition import follow_partitions
from flows.seed_sets.windows import WindowOptions
from flows.support.errors import RalmError, StoppedError
from flows.support.logs import get_logger
from flows.support.signals import StopFlag
from monitoring.health import Health
from state.bundle.bundle import Bundle
from state.store.seed_store import SeedStore

log = get_logger(__name__)


class Runtime:
    """Everything of one process; parts are made when a dataflow first asks for them.

    Args:
        settings: the settings.
        bundle: the loaded bundle.
        health: told of the bundle, the index, the stores, and each poll.
        known_partitions: the Kafka partitions of each kind of topic that the recovery data knows.
        stopping: set when the flow is to drain.
    """

    def __init__(
        self,
        settings: Settings,
        bundle: Bundle,
        health: Health,
        known_partitions: Mapping[str, set[int]],
        stopping: StopFlag,
    ) -> None:
        self.known_partitions = known_partitions
        self.settings = settings
        self.bundle = bundle
        self.health = health
        self.stopping = stopping
        self._topics = TopicNames.of(settings)
        self._stores: list[SeedStore] = []
        self._loader: IndexLoader | None = None
        self._polled: set[str] = set()
        self._idle = IdleBackoff()
        s = settings
        self._limits = DecodeLimits(s.max_message_bytes, s.max_future, s.dead_letter_max_bytes, s.max_candidates)

    @cached_property
    def decoder(self) -> Decoder:
        """Decodes clicks, candidates and requests."""
        return Decoder(self._limits)

    @cached_property
    def pool(self) -> ClusteringPool:
        """Where clustering runs."""
        s = self.settings
        options = ClusteringOptions(s.clusters, s.min_seeds, s.cluster_sample, s.rng_seed)
        return ClusteringPool(self.bundle, options, s.cluster_workers)

    @cached_property
    def enricher(self) -> Enricher:
        """Answers requests; with it the live index begins to load."""
        s = self.settings
        index = LiveIndex(self.bundle.towers)
        self._loader = IndexLoader(
            index, self._topics.centroids, self._consumer("index"), self.bundle.version, self.bundle.towers
        )
        self._loader.start()
        self._index = index
        options = EnrichOptions(s.top_k, s.max_top_k, s.score_batch, s.stale_after, s.request_timeout)
        return Enricher(self.bundle, index, options)

    def clicks(self) -> KafkaSource:
        """The source of clicks."""
        self.health.set("stores", True)  # until one must catch up
        return self._source("clicks", self._topics.clicks, self.settings.poll_batch)

    def candidates(self) -> KafkaSource:
        """The source of candidates; where all clicked items are candidates, the topic need not exist."""
        return self._source("candidates", self._topics.candidates, self.settings.poll_batch)

    def requests(self) -> KafkaSource:
        """The source of requests; it waits until the live index is loaded."""
        return self._source("requests", self._topics.requests, self.settings.score_batch, gated=True)

    def centroids(self) -> KafkaSink:
        """The sink of centroids."""
        return self._sink("centroids", self._topics.centroids)

    def scores(self) -> KafkaSink:
        """The sink of answers."""
        return self._sink("scores", self._topics.scores)

    def dead_letters(self) -> KafkaSink:
        """The sink of dead letters."""
        return self._sink("dead_letters", self._topics.dead_letters)

    def keeper(self, partition: int, state: KeeperState | None) -> SeedKeeper:
        """The keeper of a partition, on its own store, which catches up first if it is behind."""
        s = self.settings
        path = self._seeds_dir / f"{partition:05d}"
        store = SeedStore.open(path, topic=self._topics.clicks, partition=partition, capacity=s.max_seeds)
        self._stores.append(store)
        if store.torn is not None:
            log.warning("the end of a store's log was dropped", partition=partition, why=store.torn)
        replay = ReplayReader(self._consumer("replay"), s.rebuild, self._watch)
        decoder = Decoder(self._limits, tell=False)

        def missed(state: KeeperState) -> tuple[Iterator[ClickBatch], Iterator[CandidateBatch]]:
            have, topics = store.meta, self._topics
            clicks = replay.read("clicks", topics.clicks, partition, (have.position, state.position))
            listed = replay.read("candidates", topics.candidates, partition, (have.candidates, state.candidates))
            return (decoder.clicks(raw).good for raw in clicks), (decoder.candidates(raw).good for raw in listed)

        if state is None and store.position:
            replay.check(self._topics.clicks, partition, store.position)
        windows = WindowOptions(s.window, s.allowed_lateness, s.idle_after)
        options = KeeperOptions(s.max_seeds, s.item_ttl, windows, s.candidates, s.max_items)
        keeper = SeedKeeper(store, self.pool, options, state, missed)
        self.health.set("stores", True)
        return keeper

    @property
    def begun(self) -> bool:
        """Whether a source was asked for messages; in a cluster only once all processes have joined."""
        return bool(self._polled)

    def close(self) -> None:
        """Stop the threads and release the stores."""
        if self._loader is not None:
            self._loader.stop()
        if "pool" in self.__dict__:
            self.pool.close()
        for store in self._stores:
            try:
                store.close()
            except Exception as error:  # rocksdict raises the bare class
                # What was written is synced, so nothing is lost; to raise would hide why the flow ends.
                log.warning("a store was not closed as it should be", partition=store.meta.partition, error=str(error))

    @property
    def _seeds_dir(self) -> Path:
        return Path(self.settings.state_dir) / "seeds"

    def _follow_partitions(self, now: int) -> None:
        s, known = self.settings, len(self.known_partitions.get("clicks", ()))
        follow_partitions(Path(s.state_dir), self._topics.clicks, known, now, s.max_seeds, s.partitioner)

    def _watch(self, words: str) -> None:
        """Stay alive and reachable while a store catches up, which holds the dataflow."""
        self.health.beat()
        self.health.set("stores", False, words)
        if self.stopping.is_set():
            msg = "stopped while a store was catching up; it goes on from there at the next start"
            raise StoppedError(msg)

    def _index_open(self) -> bool:
        """Whether requests may be taken; raises what stopped the index."""
        loader = self._loader
        if loader is not None and loader.failure is not None:
            msg = f"the live index cannot be kept: {loader.failure}"
            raise RalmError(msg) from loader.failure
        loaded = loader is not None and self._index.loaded.is_set()
        if loaded and "index" not in self._polled:
            self._polled.add("index")
            self.health.set("index", True)
        return loaded

    def _source(self, kind: str, topic: str, poll: int, *, gated: bool = False) -> KafkaSource:
        def beat() -> None:
            self.health.beat()
            if kind not in self._polled and kind != "candidates":  # those are optional
                self._polled.add(kind)
                self.health.set(f"polling_{kind}", True)

        options = SourceOptions(
            kind,
            topic,
            self._consumer(kind),
            poll,
            self._start_from(kind),
            self.known_partitions.get(kind, set()),
            self.stopping.is_set,
            self._index_open if gated else lambda: True,
            beat,
            idle=self._idle,
            optional=kind == "candidates" and self.settings.candidates == "clicked",
            partner=self._topics.clicks if kind == "candidates" else None,
            counted=self._follow_partitions if kind == "clicks" else lambda _: None,
        )
        return KafkaSource(options)

    def _start_from(self, kind: str) -> str:
        """Where partitions without a position start: ``latest`` is for a very first start only."""
        first = kind in ("clicks", "requests") and not self.known_partitions and not self._seeds_dir.exists()
        return self.settings.start_from if first else "earliest"

    def _sink(self, kind: str, topic: str) -> KafkaSink:
        s = self.settings
        return KafkaSink(kind, topic, producer_config(s), s.delivery_timeout, self.health.beat)

    def _consumer(self, kind: str) -> dict[str, Any]:
        return {**consumer_config(self.settings), "client.id": f"ralm-{kind}"}
