"""The times of single messages, by which a partition is known again."""

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition

from flows.kafka.config import BY_OFFSET, QUIET
from flows.kafka.consumer_end import close_with_timeout
from flows.kafka.errors import is_end

_TIMES_S = 5.0
_LOOK_S = 0.02


def message_times(
    topic: str, config: dict[str, Any], offsets: Mapping[int, int], timeout_s: float = _TIMES_S
) -> dict[int, int | None]:
    """The times of single messages, ms since the epoch; None for one that is not there. What does not come is left out.

    Args:
        topic: the topic.
        config: librdkafka's settings of a consumer.
        offsets: of the messages, by partition.
        timeout_s: how long to wait for them all.
    """
    found: dict[int, int | None] = {}
    if not offsets:
        return found
    # What stands behind those messages is left alone, since it may end the process (flows/kafka/scout.py): while one
    # waits in the queue nothing more is fetched, for a quarter of a second, and before that it is taken out of it.
    no_more = {"fetch.message.max.bytes": 1024, "queued.min.messages": 1, "fetch.queue.backoff.ms": 250}
    consumer = Consumer({**config, **QUIET, **BY_OFFSET, **no_more})
    try:
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in offsets.items()])
        left, until = dict(offsets), time.monotonic() + timeout_s
        while left and time.monotonic() < until:
            time.sleep(_LOOK_S)  # to wait in the client would take a message out of the queue too soon
            for message in consumer.consume(100, timeout=0):
                partition = message.partition() or 0
                wanted, error = left.pop(partition, None), message.error()
                if wanted is None:
                    continue
                consumer.incremental_unassign([TopicPartition(topic, partition)])
                if error is None or is_end(error):
                    is_it = error is None and message.offset() == wanted
                    found[partition] = message.timestamp()[1] if is_it else None
    finally:
        close_with_timeout(consumer, topic)
    return found
