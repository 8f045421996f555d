"""The following consumer: one for all of a topic's partitions that a process reads, dealt out by partition.

A consumer for each partition would bring its own threads and its own connection to every broker. It is closed in
bounded time, since librdkafka may wait for an answer for ever.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.kafka.errors import LIST_TIMEOUT_S, FirstContact, is_end, is_lasting
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)


_UNREADABLE = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)  # noqa: SLF001
"""A batch that was damaged, or compressed in a way that this client does not know."""
_UNREADABLE_S = 60.0
"""So long a batch that cannot be read is fetched again: a connection or one replica may have damaged it."""
_PATIENCE_S = 3.0


@dataclass
class _Partition:
    position: int | None
    messages: list[Message] = field(default_factory=list)
    at_end: bool = False
    failure: str | None = None
    unreadable: tuple[int | None, float] | None = None
    """The position at which a batch cannot be read, and since when."""


class TopicReader:
    """Reads a topic for the partitions that are added to it; may be shared by several workers' threads.

    Args:
        topic: the topic's name.
        config: librdkafka's settings.
        poll: most messages a poll takes; what waits to be taken is bounded by a few times as many.
        clock: seconds that never go back.
    """

    def __init__(
        self, topic: str, config: dict[str, Any], poll: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.topic = topic
        self._clock = clock
        self._servers = config["bootstrap.servers"]
        self._poll = poll
        self._lock = threading.Lock()
        self._partitions: dict[int, _Partition] = {}
        self._contact = FirstContact(self._servers, self._on_error)
        self._consumer = Consumer(
            {
                **config,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                "error_cb": self._contact,
            }
        )

    def partition_counts(self) -> dict[str, int]:
        """Ask the broker how many partitions each of its topics has.

        Raises:
            RalmError: when it does not answer.
        """
        found = self._contact.topics(self._consumer)
        return {name: len(topic.partitions) for name, topic in found.items() if topic.error is None}

    def missing(self, topic: str) -> str:
        """What to say of a topic that is not there."""
        return f"the broker at {self._servers} has no topic {topic!r}: run `ralm topics` to make it"

    def add(self, partition: int, position: int | None) -> None:
        """Begin to read a partition at an offset; None is the beginning of what the broker has.

        Raises:
            RalmError: when the broker does not say where that is.
        """
        with self._lock:
            if position is None:
                position, _ = self._watermarks(partition)
            self._partitions[partition] = _Partition(position)
            self._consumer.incremental_assign([self._place(partition, position)])
        log.info("reading", topic=self.topic, partition=partition, offset=position)

    def end(self, partition: int) -> int:
        """The offset that the partition's next message will get.

        Raises:
            RalmError: when the broker does not say.
        """
        return self._watermarks(partition)[1]

    def take(self, partition: int) -> list[Message]:
        """The partition's waiting messages, in offset order; polls when none waits.

        Raises:
            RalmError: when the partition cannot be read on.
        """
        with self._lock:
            mine = self._partitions[partition]
            if not mine.messages and mine.failure is None:
                self._deal(self._consumer.consume(self._poll, timeout=0))
            if mine.messages:
                taken, mine.messages = mine.messages, []
                mine.position = (taken[-1].offset() or 0) + 1
                return taken
            if mine.failure is not None:
                raise RalmError(mine.failure)
            return []

    def position(self, partition: int) -> int | None:
        """The offset after the last message that was taken."""
        return self._partitions[partition].position

    def at_end(self, partition: int) -> bool:
        """Whether everything that the broker had at the last fetch was taken."""
        mine = self._partitions[partition]
        return mine.at_end and not mine.messages

    def lag(self, partition: int) -> int | None:
        """Messages that wait at the broker, as the last fetch told; None before the first."""
        _, high = self._consumer.get_watermark_offsets(self._place(partition), cached=True)
        return None if high < 0 else max(0, high - (self.position(partition) or 0))

    def commit(self, partition: int) -> None:
        """Tell the group the position, for lag tools; nothing is resumed from there."""
        position = self.position(partition)
        if position is None:
            return
        try:
            self._consumer.commit(offsets=[self._place(partition, position)], asynchronous=True)
        except KafkaException as error:
            log.warning("the group's offset was not committed", topic=self.topic, error=str(error))

    def remove(self, partition: int) -> None:
        """Stop reading a partition; the last one closes the consumer."""
        with self._lock:
            del self._partitions[partition]
            last = not self._partitions
        if last:
            leave(self._consumer, self.topic)

    def _watermarks(self, partition: int) -> tuple[int, int]:
        try:
            low, high = self._consumer.get_watermark_offsets(self._place(partition), timeout=LIST_TIMEOUT_S)
        except KafkaException as error:
            msg = (
                f"{self.topic}[{partition}]: the broker at {self._servers} does not say what it has within "
                f"{LIST_TIMEOUT_S:g} s: {error.args[0].str()}. Has the partition a leader? Start again once it has."
            )
            raise RalmError(msg) from error
        return int(low), int(high)

    def _deal(self, polled: list[Message]) -> None:
        for message in polled:
            error, partition = message.error(), message.partition()
            mine = None if partition is None else self._partitions.get(partition)
            if mine is None:
                if error is not None:
                    self._on_error(error)
            elif error is None:
                mine.messages.append(message)
                mine.at_end = False
            elif is_end(error):
                mine.at_end = True
            else:
                self._fail_or_wait(error, partition or 0, mine)

    def _fail_or_wait(self, error: KafkaError, partition: int, mine: _Partition) -> None:
        where = f"{self.topic}[{partition}] at offset {mine.position}"
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            mine.failure = (
                f"{where}: the broker no longer has that offset ({error.str()}). Messages were deleted before they "
                "were read, or the topic was made anew. Restore what is missing, or accept the gap: move the state "
                "directory away, and the flow starts from what the topic still has."
            )
        elif error.code() in _UNREADABLE and self._unreadable_for(mine) > _UNREADABLE_S:
            mine.failure = (
                f"{where}: the batch there cannot be read, and has not changed in {_UNREADABLE_S:.0f} s "
                f"({error.str()}). Compare the replicas' disks and put a good one in the lead. If there is none, "
                "delete the partition's records up to the end of that batch (kafka-delete-records), move the state "
                "directory away and start with --rebuild partial: the flow begins with what the topic still has."
            )
        elif is_lasting(error):
            mine.failure = f"{where} cannot be read: {error.str()}. Mend that at the broker and start again."
        else:
            self._on_error(error, where)

    def _unreadable_for(self, mine: _Partition) -> float:
        now = self._clock()
        if mine.unreadable is None or mine.unreadable[0] != mine.position:
            mine.unreadable = (mine.position, now)
        return now - mine.unreadable[1]

    def _on_error(self, error: KafkaError, where: str | None = None) -> None:
        metrics.POLL_ERRORS.labels("source").inc()
        log.warning("the broker is in trouble", topic=self.topic, where=where, error=error.str())

    def _place(self, partition: int, offset: int = 0) -> TopicPartition:
        return TopicPartition(self.topic, partition, offset)


def leave(consumer: Consumer, topic: str, patience_s: float = _PATIENCE_S) -> bool:
    """Close a consumer, or stop waiting for it: a broker that is silent must not keep a flow from ending.

    ``close`` waits for the answers to commits that are on their way: for the session's timeout when the broker refuses
    connections, without bound when it says nothing. Nothing depends on them; they tell lag tools the position.

    Args:
        consumer: not used afterwards by anyone.
        topic: what it read, for the log.
        patience_s: how long to wait.

    Returns:
        Whether it is closed; if not, a thread that no exit waits for goes on with it.
    """
    closing = threading.Thread(target=consumer.close, name=f"close-{topic}", daemon=True)
    closing.start()
    closing.join(patience_s)
    if closing.is_alive():
        log.warning("the broker does not answer, leaving without its goodbye", topic=topic, waited_s=patience_s)
    return not closing.is_alive()
