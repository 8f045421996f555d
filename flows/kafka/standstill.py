"""Finds a batch at which the client silently stands still, and where it ends.

Brokers take records that the client library cannot take apart, such as one whose value has a length of -2, which
Kafka's own clients read as null. The library then fetches the same batch for ever, and reports neither a message nor an
error. A second consumer distinguishes this from a broker that does not answer and from an open transaction: it receives
nothing at that offset either, but the broker reports the partition's end to it.
"""

import threading
import time
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.kafka.config import BY_OFFSET, QUIET
from flows.kafka.consumer_end import close_with_timeout
from flows.kafka.errors import is_end
from flows.kafka.step_over import StepOver

WHY = "the Kafka client fetches it and takes nothing from it, nor from what stands behind it"
_SILENT_S = 10.0
"""So long nothing comes at an offset where something would come at once."""
_PROBE_S = 2.0
_MOST_PROBES = 200


class Standstill:
    """Looks, in a thread of its own, whether a reader stands still for such a reason.

    Args:
        topic: the topic.
        partition: of it.
        first: the offset at which nothing comes.
        end: the partition's end, as far as it is known.
        config: librdkafka's settings of a consumer.

    Attributes:
        found: the first offset behind the batch, once it has looked; None where the reader does not stand still because
            of one.
    """

    def __init__(self, topic: str, partition: int, first: int, end: int, config: dict[str, Any]) -> None:
        self.first = first
        self._place = topic, partition
        self._end = end
        self._config = config
        self.found: int | None = None
        self._thread = threading.Thread(target=self._look, name=f"standstill-{topic}-{partition}", daemon=True)
        self._thread.start()

    @property
    def over(self) -> bool:
        """Whether it has looked."""
        return not self._thread.is_alive()

    def _look(self) -> None:
        try:
            consumer = Consumer({**self._config, **QUIET, **BY_OFFSET, "fetch.message.max.bytes": 65_536})
        except KafkaException:
            return
        try:
            if self._comes(consumer, self.first, _SILENT_S) or not self._comes(consumer, self._end, _SILENT_S):
                return
            search, probes = StepOver(self.first, WHY), 0
            while search.found is None and probes < _MOST_PROBES:
                probes += 1
                if search.probe >= self._end or self._comes(consumer, search.probe, _PROBE_S):
                    search.readable(self._end)
                else:
                    search.unreadable(self._end)
            self.found = search.found
        except KafkaException:  # it is looked again later
            return
        finally:
            close_with_timeout(consumer, self._place[0])

    def _comes(self, consumer: Consumer, offset: int, seconds: float) -> bool:
        """Whether a message, or the end, comes when it is asked for an offset."""
        consumer.assign([TopicPartition(*self._place, offset)])
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for message in consumer.consume(1, timeout=0.1):
                error = message.error()
                if error is None or is_end(error):
                    return True
        return False
