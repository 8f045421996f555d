"""The operators of this process's partitions, with their stores, and what the centroids topic holds of them."""

import time
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.probe import BrokerProbe
from flows.kafka.range_reader import read_to_end
from flows.kafka.scout import Discovery
from flows.kafka.sent_centroids import deleted_offsets, note_of_topic, sent_elsewhere
from flows.kafka.topic_client import TopicClient
from flows.kafka.topic_marks import TopicMarks
from flows.kafka.topic_watch import TopicWatch
from flows.kafka.topics import STORED, TopicNames
from flows.messages.event_headers import EventHeaders
from flows.seed_sets.clustering import ClusteringPool
from flows.seed_sets.emitted_before import EmissionNotes, EmittedBefore
from flows.seed_sets.item_homes import ItemHomes
from flows.seed_sets.keeper import SeedSetOperator
from flows.seed_sets.repartition import Home
from flows.seed_sets.state_facts import StateFacts
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from state.bundle.bundle import Bundle
from state.directory import store_path
from state.store.seed_store import SeedStore, StoreError

log = get_logger(__name__)


class PartitionOperators:
    """The operators of a process and their stores; nothing is opened before an operator is asked for.

    Args:
        settings: the settings.
        bundle: the loaded bundle.
        state: what the state directory held when the process started.
        watch: knows the topics that were there at the start.
        marks: by what each partition that is read is known again.
    """

    def __init__(
        self, settings: Settings, bundle: Bundle, state: StateFacts, watch: TopicWatch, marks: TopicMarks
    ) -> None:
        self._settings, self._state, self._watch, self._marks = settings, state, watch, marks
        self._names = TopicNames.of(settings)
        self._nothing_emitted = False
        self._deleted = 0
        self._elsewhere: Mapping[int, str] = {}
        self._clicks_ends: Mapping[int, int] = {}
        self._home: Home | None = None
        self._older = frozenset[int]()
        self._first_count = 0
        headers = EventHeaders.by_settings("centroids", bundle.version, settings)
        self._pool = ClusteringPool(bundle, settings, headers=headers)
        self._stores: list[SeedStore] = []
        self._operators: list[SeedSetOperator] = []
        self._homes = ItemHomes(self._names.clicks)

    def prepare(
        self,
        clicks_ends: Mapping[int, int],
        home: Home | None,
        older: frozenset[int] = frozenset(),
        first_count: int = 0,
    ) -> None:
        """Look whether the centroids topic holds anything; and what, where a store is filled anew.

        Args:
            clicks_ends: the partitions of this process, and where their clicks end.
            home: where clicks have grown, where an item's come now, if that is known.
            older: the partitions whose stores are older copies of themselves.
            first_count: how many partitions the clicks topic had at first, if it has grown; else 0.

        Raises:
            RalmError: when the broker does not say.
        """
        self._clicks_ends, self._home, self._older, self._first_count = clicks_ends, home, older, first_count
        topic = self._names.centroids
        consumer = consumer_config(self._settings, **{"client.id": "ralm-centroids"})
        probe = BrokerProbe(consumer)
        bounds = probe.bounds(topic, probe.partitions(topic)[topic])
        self._nothing_emitted = all(first == end for first, end in bounds.values())
        stores = {partition: meta for partition, meta in self._state.stores.items() if partition in clicks_ends}
        with closing(TopicClient(topic, consumer)) as facts:
            topic_id = self._watch.topic_id("centroids")
            self._elsewhere = sent_elsewhere(stores, facts, len(bounds), topic_id)
            self._deleted = deleted_offsets(facts, len(bounds))
        if self._elsewhere:
            why = next(iter(self._elsewhere.values()))
            log.warning("all centroids are sent again: their topic does not have them", topic=topic, why=why)
        for partition in sorted(older):
            log.warning(
                "a store is an older copy of itself: what it lacks is read again, and all centroids are sent again",
                topic=self._names.clicks,
                partition=partition,
                position=self._state.stores[partition].position,
            )
        if not self._nothing_emitted and any(map(self._is_anew, clicks_ends)):
            log.info("a store is filled anew; what was emitted before is known", items=len(self._emitted))

    @cached_property
    def _emitted(self) -> EmissionNotes:
        """What the centroids topic holds: it is read where a store is not there, or is filled anew."""
        notes = EmissionNotes()
        read = read_to_end(self._settings, self._names.centroids, said=Discovery.said_of_centroids)
        notes.note(read, time.time_ns() // 1_000_000)
        return notes

    def emitted_up_to(self, partition: int) -> int:
        """The greatest offset of a partition's clicks of which the centroids topic holds something; 0: nothing.

        Raises:
            RalmError: when the topic cannot be read.
        """
        return self._emitted.clicks_offset(partition)

    def first_count(self) -> int:
        """How many partitions the clicks topic had at first, if the centroids topic says that it has grown; else 0.

        Raises:
            RalmError: when the topic cannot be read.
        """
        return self._emitted.first_count

    def operator(self, partition: int) -> SeedSetOperator:
        """Open a partition's store and make its operator.

        Args:
            partition: its number.

        Raises:
            StoreError: when the store cannot be opened.
            RalmError: when what it says is still to be done cannot be read.
        """
        s, topic = self._settings, self._names.clicks
        path = store_path(Path(s.state_dir), partition)
        store = SeedStore.open(path, topic=topic, partition=partition, capacity=s.max_seeds, max_gap=s.item_ttl)
        self._stores.append(store)
        if store.wal_truncated is not None:
            log.warning("the end of a store's log was dropped", partition=partition, why=store.wal_truncated)
        made = SeedSetOperator(
            store,
            self._pool,
            self._settings,
            topics=partial(self._topics, partition),
            emit_all=self._nothing_emitted or partition in self._elsewhere,
            emitted_before=self._emitted_before(partition),
            first_count=self._first_count,
        )
        made.join(self._homes)
        self._operators.append(made)
        return made

    def _emitted_before(self, partition: int) -> EmittedBefore | None:
        end = self._clicks_ends.get(partition)
        if end is None or not self._is_anew(partition):
            return None
        notes = EmissionNotes() if self._nothing_emitted else self._emitted
        notes.home = self._home
        return notes.before(partition, end)

    def _is_anew(self, partition: int) -> bool:
        return partition in self._older or self._state.is_anew(partition)

    def _topics(self, partition: int) -> dict[str, Any]:
        """By what the topics are known again, as a store's ``StoreMeta`` has it."""
        marks = self._marks
        centroids = note_of_topic(marks, self._watch.topic_id("centroids"))
        centroids["centroids_deleted"] = self._deleted
        return {**{f"{kind}_mark": marks.of(kind, partition) for kind in STORED}, **centroids}

    def settled(self) -> None:
        """Write that all that was sent has been delivered, once the dataflow has ended by itself.

        Raises:
            RalmError: when a store cannot be written.
        """
        try:
            for operator in self._operators:
                operator.settled()
        except StoreError as error:
            raise RalmError(str(error)) from error

    def close(self) -> None:
        """End the clustering and close the stores."""
        self._pool.close()
        for store in self._stores:
            try:
                store.close()
            except Exception as error:  # rocksdict raises the bare class
                # What was written is synced, so nothing is lost; to raise would hide why the flow ends.
                log.warning("a store was not closed as it should be", partition=store.meta.partition, error=str(error))
