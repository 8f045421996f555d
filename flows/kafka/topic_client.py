"""A client of one topic: what the broker says of its partitions, and what the group has committed of them."""

import threading
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from flows.kafka.config import BY_OFFSET
from flows.kafka.consumer_end import CLOSE_TIMEOUT_S, close_with_timeout
from flows.kafka.errors import is_of_group, no_topic, reason, waiting_for
from flows.kafka.message_times import message_times
from flows.kafka.outage_log import outage_log
from flows.kafka.probe import ASK_TIMEOUT_S, BrokerProbe
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

SOURCE: Final = "source"
"""What the metrics call the client of a flow's source."""


class TopicClient:
    """Asks about a topic's partitions and commits offsets of them; ``TopicReader`` reads them besides.

    It is a ``PartitionFacts``.

    Args:
        topic: the topic's name.
        config: librdkafka's settings.
        client: what the metrics call it; a source, which commits to the group, unless another.

    Attributes:
        topic: as given.
    """

    def __init__(self, topic: str, config: dict[str, Any], client: str = SOURCE) -> None:
        self.topic = topic
        self._config = config
        self._client = client
        self._asking = threading.Lock()
        self._bounds: dict[int, tuple[int, int]] = {}
        self._committed: dict[int, str] = {}
        self._expected: dict[int, int] = {}
        self._times: dict[tuple[int, int], int | None] = {}
        callbacks = {"error_cb": self._on_error, "on_commit": self._on_commit}
        self._consumer = Consumer({**BY_OFFSET, **config, **callbacks})

    def partition_counts(self) -> dict[str, int]:
        """Ask the broker how many partitions each of its topics has.

        Raises:
            RalmError: when it does not answer.
        """
        found = self._probe().list_topics_or_explain()
        return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}

    def missing(self, topic: str) -> str:
        """What to say of a topic that is not there."""
        return no_topic(self._config["bootstrap.servers"], [topic])

    def bounds(self, partition: int) -> tuple[int, int]:
        """The first offset of a partition and its end, as they were when this was first asked.

        Raises:
            RalmError: when the broker does not say.
        """
        with self._asking:
            if partition not in self._bounds:
                self._ask_bounds()
            return self._bounds[partition]

    def committed(self, partition: int) -> int | None:
        """The offset that the group has committed, None without one.

        Raises:
            RalmError: when the broker does not say.
        """
        try:
            (found,) = self._consumer.committed([self._place(partition)], timeout=ASK_TIMEOUT_S)
            if found.error is not None:
                raise KafkaException(found.error)
        except KafkaException as error:
            msg = (
                f"{self.topic}[{partition}]: the broker at {self._config['bootstrap.servers']} does not say what the "
                f"group {self._config.get('group.id')} has committed: {reason(error)}. Start again once it does."
            )
            raise RalmError(msg) from error
        if found.offset < 0:
            return None
        self._committed[partition] = found.metadata or ""
        return int(found.offset)

    def committed_mark(self, partition: int) -> str:
        """What was committed beside the group's offset, empty where nothing was."""
        return self._committed.get(partition, "")

    def message_time(self, partition: int, offset: int) -> int | None:
        """The time of the message at an offset, ms since the epoch; None where it is not there, or nothing comes."""
        if (partition, offset) not in self._times:
            wanted = {**self._expected, partition: offset}
            found = message_times(self.topic, self._config, wanted)
            self._times |= {place: found.get(place[0]) for place in wanted.items()}
        return self._times[partition, offset]

    def expect(self, offsets: Mapping[int, int]) -> None:
        """Say the times of which messages will be asked for, by partition, so that they are asked for at once."""
        self._expected = dict(offsets)

    def commit(self, partition: int, offset: int, mark: str = "") -> None:
        """Commit an offset to the group, and a word beside it, without waiting for the broker's answer."""
        try:
            self._consumer.commit(offsets=[self._place(partition, offset, mark)], asynchronous=True)
        except KafkaException as error:
            log.warning("the group's offset was not committed", topic=self.topic, error=str(error))

    def commit_all(self, offsets: Mapping[int, int], marks: Mapping[int, str] | None = None) -> None:
        """Commit offsets to the group, and wait a bounded time for the broker's answer.

        Args:
            offsets: by partition.
            marks: a word beside each offset, by partition.
        """
        if not offsets:
            return
        words = marks or {}
        places = [self._place(partition, offset, words.get(partition, "")) for partition, offset in offsets.items()]

        def commit() -> None:
            try:
                self._consumer.commit(offsets=places, asynchronous=False)
            except KafkaException as error:
                log.warning("the group's offsets were not committed", topic=self.topic, error=str(error))

        committing = threading.Thread(target=commit, name=f"commit-{self.topic}", daemon=True)
        committing.start()
        committing.join(CLOSE_TIMEOUT_S)
        if committing.is_alive():
            log.warning("the broker does not confirm the group's offsets; going on without", topic=self.topic)

    def close(self) -> None:
        """Close the consumer, in bounded time."""
        close_with_timeout(self._consumer, self.topic)

    def _ask_bounds(self) -> None:
        """Of all partitions at once and before the first fetch, so that no answer waits behind one."""
        probe = self._probe()
        self._bounds = probe.bounds(self.topic, probe.partitions(self.topic)[self.topic])

    def _probe(self) -> BrokerProbe:
        return BrokerProbe(self._config, on_error=lambda _: self._count_error())

    def _group_refused(self, error: KafkaError) -> None:
        """A source waits until it may commit again; who commits nothing needs no group."""
        if self._client == SOURCE:
            group = f"the group {self._config.get('group.id')}"
            self._on_error(error, f"{self.topic}{waiting_for(error, 'Read', group)}")

    def _on_error(self, error: KafkaError, where: str | None = None) -> None:
        self._count_error()
        outage_log.error(error, where or self.topic)

    def _count_error(self) -> None:
        metrics.POLL_ERRORS.labels(self._client).inc()

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        refused = error or next((place.error for place in places if place.error is not None), None)
        if refused is None:
            outage_log.answered()
        elif is_of_group(refused):
            self._group_refused(refused)
        else:
            self._on_error(refused, f"commit of {self.topic}{waiting_for(refused, 'Read', self.topic)}")

    def _place(self, partition: int, offset: int = 0, mark: str = "") -> TopicPartition:
        if mark:
            return TopicPartition(self.topic, partition, offset, mark)
        return TopicPartition(self.topic, partition, offset)
