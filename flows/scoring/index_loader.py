"""Fills the live index from the topic of centroids: all of it before the first answer, then each update."""

import threading
import time
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from flows.kafka.errors import FirstContact, is_end, is_lasting
from flows.messages.codec import decode_centroids, split_centroids_key
from flows.messages.rejects import Reject
from flows.scoring.live_index import IndexEntry, LiveIndex
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics
from ralm.scoring import AttentionWeights

log = get_logger(__name__)

_POLL = 2000
_TIMEOUT_S = 0.2


class IndexLoader(threading.Thread):
    """Reads every partition of the topic from its beginning, and goes on reading.

    It keeps no position: a compacted topic is the index. Messages of another model version are passed over, since a
    scorer mixes no versions. One that cannot be read is counted and passed over; the item keeps its last centroids.

    Args:
        index: the index to fill.
        topic: the topic of centroids.
        consumer: librdkafka's settings.
        model_version: the bundle's version.
        weights: the bundle's weights, to check dimensions.
    """

    def __init__(
        self, index: LiveIndex, topic: str, consumer: dict[str, Any], model_version: str, weights: AttentionWeights
    ) -> None:
        super().__init__(name="index-loader", daemon=True)
        self._index = index
        self._topic = topic
        self._model_version = model_version
        self._dim = weights.dim
        self._stopping = threading.Event()
        self._newest = 0
        self.failure: BaseException | None = None
        self._contact = FirstContact(consumer["bootstrap.servers"], self._on_error)
        self._consumer = Consumer(
            {
                **consumer,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "error_cb": self._contact,
            }
        )

    def run(self) -> None:
        """Load, then follow; a failure is kept for the flow to raise."""
        try:
            self._load(self._assign())
        except RalmError as error:  # written for people: the flow raises it and says it
            self.failure = error
        except BaseException as error:
            self.failure = error
            log.exception("the live index cannot be kept", topic=self._topic)
        finally:
            self._consumer.close()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopping.set()
        self.join(timeout=10.0)

    def _assign(self) -> set[int]:
        found = self._contact.topics(self._consumer).get(self._topic)
        if found is None or found.error is not None or not found.partitions:
            msg = f"there is no topic {self._topic!r}: run `ralm topics` to make it"
            raise RalmError(msg)
        self._consumer.assign([TopicPartition(self._topic, part, OFFSET_BEGINNING) for part in found.partitions])
        return set(found.partitions)

    def _load(self, unread: set[int]) -> None:
        changes: dict[str, IndexEntry | None] = {}
        while not self._stopping.is_set():
            messages = self._consumer.consume(_POLL, timeout=_TIMEOUT_S)
            metrics.MESSAGES_READ.labels("centroids").inc(sum(message.error() is None for message in messages))
            for message in messages:
                self._take(message, changes, unread)
            # While loading, everything goes into one update; afterwards each poll is one.
            if not unread:
                if changes:
                    self._apply(changes)
                    changes = {}
                if not self._index.loaded.is_set():
                    log.info("live index loaded", items=self._index.view.size)
                    self._index.loaded.set()

    def _take(self, message: Message, changes: dict[str, IndexEntry | None], unread: set[int]) -> None:
        error = message.error()
        if error is not None:
            if is_end(error):
                unread.discard(message.partition())
            elif is_lasting(error):
                where = f"{self._topic}[{message.partition()}]"
                msg = f"{where} cannot be read: {error.str()}. Mend that at the broker and start again."
                raise RalmError(msg)
            else:
                self._on_error(error)
            return
        try:
            model_version, item_id = split_centroids_key(message.key())
            if model_version == self._model_version:
                changes[item_id] = self._entry(message.value())
        except Reject as reject:
            metrics.DEAD_LETTERS.labels("centroids", reject.reason).inc()
            log.warning(
                "unreadable centroids",
                topic=self._topic,
                partition=message.partition(),
                offset=message.offset(),
                reason=reject.reason,
                detail=reject.detail,
            )

    def _entry(self, value: bytes | None) -> IndexEntry | None:
        if value is None:
            return None
        message = decode_centroids(value)
        centroids, embedding = message.centroids_array(), message.global_array()
        if centroids.shape[1] != self._dim:
            detail = f"centroids of {centroids.shape[1]} dimensions; the bundle has {self._dim}"
            raise Reject("wrong_type", detail)
        return IndexEntry(centroids, embedding, message.window_end, message.seeds)

    def _apply(self, changes: dict[str, IndexEntry | None]) -> None:
        self._index.update(changes)
        self._newest = max([self._newest, *(e.window_end for e in changes.values() if e is not None)])
        metrics.INDEX_ITEMS.set(self._index.view.size)
        metrics.INDEX_TIME.set(time.time())
        metrics.INDEX_WINDOW_END.set(self._newest / 1000)

    def _on_error(self, error: KafkaError) -> None:
        metrics.POLL_ERRORS.labels("index").inc()
        log.warning("reading centroids is interrupted", topic=self._topic, error=error.str())
