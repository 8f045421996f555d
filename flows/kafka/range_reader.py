"""Reads a partition's messages again, for a store that is missing or behind."""

import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.kafka.errors import is_end
from flows.messages.batches import RawBatch
from flows.support.errors import RalmError
from flows.support.logs import get_logger

log = get_logger(__name__)

_POLL = 10_000
_POLL_S = 0.5
_ASK_S = 15.0
_SILENCE_S = 60.0
_TELL_EVERY_S = 5.0


class History:
    """Reads what the topics still have.

    Args:
        consumer: librdkafka's settings.
        rebuild: ``complete``: fail if missing messages were deleted from the topic; ``partial``: go on with what it
            still has.
        watch: called with words for the person on call between polls; may raise to end the reading.
    """

    def __init__(
        self, consumer: dict[str, Any], rebuild: Literal["complete", "partial"], watch: Callable[[str], None]
    ) -> None:
        self._config = {
            **consumer,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "error_cb": lambda error: log.warning("reading again is interrupted", error=error.str()),
        }
        self._rebuild = rebuild
        self._watch = watch

    def check(self, topic: str, partition: int, position: int) -> None:
        """See that a store without a snapshot can go on from its position.

        Raises:
            RalmError: when clicks after it were deleted, or the topic is not the one that the store was filled from.
        """
        consumer = Consumer(self._config)
        try:
            self._start(consumer, TopicPartition(topic, partition, position), position)
        finally:
            consumer.close()

    def read(self, kind: str, topic: str, partition: int, span: tuple[int, int]) -> Iterator[RawBatch]:
        """Read messages from an offset up to another (its end is not read), in order.

        Raises:
            RalmError: when they cannot be had; says what to do.
        """
        first, until = span
        if first >= until:
            return
        consumer = Consumer(self._config)
        try:
            wanted = TopicPartition(topic, partition, first)
            start = self._start(consumer, wanted, until, compacted=kind == "candidates")
            consumer.assign([TopicPartition(topic, partition, start)])
            began, told, heard, at = time.monotonic(), 0.0, time.monotonic(), start
            while at < until:
                done = (at - start) / (until - start)
                self._watch(f"{topic}[{partition}] is read again, {done:.0%} done")
                messages, ended = _good(consumer.consume(_POLL, timeout=_POLL_S), topic)
                now = time.monotonic()
                if messages:
                    heard, at = now, (messages[-1].offset() or 0) + 1
                    yield RawBatch(kind, topic, partition, messages, at, 0, time.time_ns() // 1_000_000)
                elif ended is not None and ended >= until:
                    return  # what is left up to the end is no message (a transaction's mark)
                elif now - heard > _SILENCE_S:
                    where = f"{topic}[{partition}]"
                    msg = f"{where} cannot be read again up to {until}: nothing came for {_SILENCE_S:.0f} s after {at}"
                    raise RalmError(msg)
                if now - told > _TELL_EVERY_S:
                    told = now
                    left = round((now - began) * (until - at) / max(1, at - start))
                    log.info("catching up", topic=topic, partition=partition, offset=at, until=until, seconds_left=left)
        finally:
            consumer.close()

    def _start(self, consumer: Consumer, wanted: TopicPartition, until: int, *, compacted: bool = False) -> int:
        where = f"{wanted.topic}[{wanted.partition}]"
        try:
            low, high = consumer.get_watermark_offsets(wanted, timeout=_ASK_S)
        except KafkaException as error:
            msg = f"{where}: the broker does not say what it has: {error.args[0].str()}"
            raise RalmError(msg) from error
        if high < until:
            msg = (
                f"{where} ends at offset {high}, but the state has messages up to {until}: the topic was made anew, or "
                "this is another cluster. Point bootstrap_servers and topic_prefix to the right one, or move the state "
                "directory away to begin with this topic."
            )
            raise RalmError(msg)
        if low <= wanted.offset or compacted:
            return max(low, wanted.offset)
        if self._rebuild == "partial":
            log.warning("clicks are gone for good", topic=wanted.topic, offset=wanted.offset, kept_from=low)
            return low
        msg = (
            f"{where}: the store of this partition has clicks up to offset {wanted.offset}, the topic only those from "
            f"{low}; what lies between was deleted. Put the partition's store back (from the process that had it, or "
            "from a backup), or go on with what the topic still has: --rebuild partial."
        )
        raise RalmError(msg)


def _good(polled: list[Message], topic: str) -> tuple[list[Message], int | None]:
    """The messages, and where the partition ends if that was said: a new leader may end earlier than the last one."""
    good, ended = [], None
    for message in polled:
        error = message.error()
        if error is None:
            good.append(message)
        elif is_end(error):
            ended = message.offset()
        elif error.fatal() or error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):  # noqa: SLF001
            msg = f"{topic} cannot be read again: {error.str()}"
            raise RalmError(msg)
        else:
            log.warning("reading again is interrupted", topic=topic, error=error.str())
    return good, ended
