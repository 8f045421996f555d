"""Reads single messages of any topic again, by their offsets."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from flows.config.settings import Settings
from flows.kafka.config import BY_OFFSET, consumer_config
from flows.kafka.consumer_end import close_with_timeout
from flows.kafka.errors import is_end, is_gone, is_lasting, is_of_group, is_unreadable, reading_advice, reason
from flows.kafka.outage_log import outage_log
from flows.support.errors import RalmError

_WAIT_S = 30.0
_POLL_S = 0.1


class SingleMessages:
    """A reader of single messages; use it as a context.

    Args:
        settings: the settings.
        clock: seconds that only go forward.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._consumer = Consumer(
            {
                **consumer_config(settings),
                **BY_OFFSET,
                "fetch.message.max.bytes": 65_536,
                "error_cb": outage_log.error,
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        close_with_timeout(self._consumer, "single messages")

    def at(self, topic: str, partition: int, offset: int) -> Message | None:
        """The message at an offset; None where it is not, or not any more, or lies in a batch that cannot be read.

        Raises:
            RalmError: when the broker does not say.
        """
        try:
            self._consumer.assign([TopicPartition(topic, partition, offset)])
            until = self._clock() + _WAIT_S
            while self._clock() < until:
                for message in self._consumer.consume(1, timeout=_POLL_S):
                    error = message.error()
                    if error is None:
                        return message if message.offset() == offset else None
                    if is_end(error) or is_gone(error) or is_unreadable(error):
                        return None
                    if is_lasting(error) and not is_of_group(error):
                        msg = f"{topic}[{partition}] at offset {offset} cannot be read: {error.str()}"
                        raise RalmError(msg + reading_advice(error, topic))
        except KafkaException as error:
            msg = f"{topic}[{partition}] at offset {offset} cannot be read: {reason(error)}"
            raise RalmError(msg) from error
        msg = f"{topic}[{partition}]: the broker does not say within {_WAIT_S:g} s what is at offset {offset}"
        raise RalmError(msg)
