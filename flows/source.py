"""Our Kafka source: one reader a partition, positions in the engine's snapshot, no silent jump.

What the engine's own source gets wrong and this one does not: an offset that has expired raises instead of jumping to
the end of the log; an error never advances the position; the position is also committed to a consumer group, so that
ordinary tools see the lag (nothing is ever resumed from there).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import (
    OFFSET_BEGINNING,
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from flows.batches import RawBatch
from flows.errors import RalmError
from flows.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

HEARTBEAT_MS = 500
"""An idle partition says so this often, so that its watermark can move with the wall clock."""
_LAG_EVERY_S = 1.0
_LIST_TIMEOUT_S = 15.0
_POLL_AGAIN = timedelta(milliseconds=5)


@dataclass(frozen=True)
class SourceOptions:
    """How a topic is read.

    Attributes:
        kind: what the topic is in the contract.
        topic: its name.
        consumer: librdkafka's settings.
        poll: most messages a poll takes.
        start_from: ``earliest`` or ``latest``; where a partition without a position starts.
        stopping: says that the flow drains; the source then ends.
        open: says that messages may be taken; until then the source waits.
        beat: called at each poll, as a sign of life.
    """

    kind: str
    topic: str
    consumer: dict[str, Any]
    poll: int
    start_from: str
    stopping: Callable[[], bool]
    open: Callable[[], bool] = lambda: True
    beat: Callable[[], None] = lambda: None


class KafkaSource(FixedPartitionedSource[RawBatch, int | None]):
    """Reads all partitions of a topic; a partition's state is the next offset, None before the first message.

    Partitions are listed once, at the start: new ones are picked up at the next.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options

    def list_parts(self) -> list[str]:
        """The partitions' names in the recovery data; they must never change.

        Raises:
            RalmError: when the broker does not answer or has no such topic.
        """
        return [f"{self._options.kind}/{partition:05d}" for partition in range(partition_count(self._options))]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> "PartitionReader":
        """Read a partition on from a snapshot, or from the start."""
        del step_id
        return PartitionReader(self._options, int(for_part.rpartition("/")[2]), resume_state)


def partition_count(options: SourceOptions) -> int:
    """Ask the broker how many partitions the topic has.

    Raises:
        RalmError: when it does not answer or has no such topic.
    """
    consumer = Consumer(options.consumer)
    servers = options.consumer["bootstrap.servers"]
    try:
        found = consumer.list_topics(options.topic, timeout=_LIST_TIMEOUT_S).topics[options.topic]
    except KafkaException as error:
        msg = f"no broker answers at {servers}: {error.args[0].str()}. Is --bootstrap-servers right, is it running?"
        raise RalmError(msg) from error
    finally:
        consumer.close()
    if found.error is not None or not found.partitions:
        msg = f"the broker at {servers} has no topic {options.topic!r}: run `ralm topics` to make it"
        raise RalmError(msg)
    return len(found.partitions)


class PartitionReader(StatefulSourcePartition[RawBatch, int | None]):
    """Reads one partition, a batch a poll."""

    def __init__(self, options: SourceOptions, partition: int, position: int | None) -> None:
        self._options = options
        self._partition = partition
        self._position = position
        self._at_end = False
        self._empty = False
        self._last_message = self._last_batch = time.monotonic()
        self._last_lag = 0.0
        self._consumer = Consumer(
            {
                **options.consumer,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "error_cb": self._on_error,
            }
        )
        if position is None and options.start_from == "latest":
            _, self._position = self._consumer.get_watermark_offsets(self._place(0), timeout=_LIST_TIMEOUT_S)
        self._consumer.assign([self._place(OFFSET_BEGINNING if self._position is None else self._position)])
        log.info("reading", topic=options.topic, partition=partition, offset=self._position or "beginning")

    def next_batch(self) -> list[RawBatch]:
        """The messages that are there; at times an empty batch as the heartbeat of an idle partition.

        Raises:
            StopIteration: when the flow drains.
            RalmError: when the partition cannot be read on.
        """
        options = self._options
        if options.stopping():
            raise StopIteration
        options.beat()
        if not options.open():
            self._empty = True
            return []
        messages = self._take()
        now = time.monotonic()
        metrics.LAST_POLL.labels(options.kind).set_to_current_time()
        if now - self._last_lag >= _LAG_EVERY_S:
            self._report_lag()
            self._last_lag = now
        self._empty = not messages
        if messages:
            self._last_message = now
            metrics.MESSAGES_READ.labels(options.kind).inc(len(messages))
        elif not self._at_end or (now - self._last_batch) * 1000 < HEARTBEAT_MS:
            return []
        self._last_batch = now
        idle = int((now - self._last_message) * 1000) if self._at_end else 0
        wall = time.time_ns() // 1_000_000
        batch = RawBatch(options.kind, options.topic, self._partition, messages, self._position or 0, idle, wall)
        return [batch]

    def next_awake(self) -> datetime | None:
        """At once while messages come, else a little later."""
        return datetime.now(UTC) + _POLL_AGAIN if self._empty else None

    def snapshot(self) -> int | None:
        """The next offset; also committed to the group, for lag tools."""
        if self._position is not None:
            try:
                self._consumer.commit(offsets=[self._place(self._position)], asynchronous=True)
            except KafkaException as error:
                log.warning("the group's offset was not committed", topic=self._options.topic, error=str(error))
        return self._position

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _take(self) -> list[Message]:
        taken = self._consumer.consume(self._options.poll, timeout=0)
        messages = []
        for message in taken:
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its public name in this library)
                self._raise_or_wait(error)
        if taken:
            last = taken[-1].error()
            self._at_end = last is not None and last.code() == KafkaError._PARTITION_EOF  # noqa: SLF001
        if messages:
            self._position = (messages[-1].offset() or 0) + 1
            kind, stamp = messages[-1].timestamp()
            if kind != TIMESTAMP_NOT_AVAILABLE:
                metrics.KAFKA_POSITION_TIME.labels(self._options.kind, self._partition).set(stamp / 1000)
        return messages

    def _raise_or_wait(self, error: KafkaError) -> None:
        metrics.POLL_ERRORS.labels("source").inc()
        options = self._options
        where = f"{options.topic}[{self._partition}] at offset {self._position}"
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            msg = (
                f"{where}: the broker no longer has that offset ({error.str()}). Messages were deleted before they "
                "were read, or the topic was made anew. Restore what is missing, or accept the gap: move the state "
                "directory away, and the flow starts from what the topic still has."
            )
            raise RalmError(msg)
        if error.fatal() or not (error.retriable() or error.code() < 0):
            msg = f"{where} cannot be read: {error.str()}"
            raise RalmError(msg)
        log.warning("reading is interrupted", where=where, error=error.str())

    def _on_error(self, error: KafkaError) -> None:
        metrics.POLL_ERRORS.labels("source").inc()
        log.warning("the broker is in trouble", topic=self._options.topic, error=error.str())

    def _report_lag(self) -> None:
        _, high = self._consumer.get_watermark_offsets(self._place(0), cached=True)
        if high >= 0:
            lag = max(0, high - (self._position or 0))
            metrics.KAFKA_LAG.labels(self._options.kind, self._partition).set(lag)

    def _place(self, offset: int) -> TopicPartition:
        return TopicPartition(self._options.topic, self._partition, offset)
