"""Producers that know what became of each message: one for a flow's sinks, one for tools."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from flows.config.settings import Settings
from flows.kafka.config import producer_config
from flows.kafka.errors import FirstContact, advice_for, not_taken, too_long
from flows.messages.batches import Headers, OutMessage
from flows.messages.codec import SCHEMA_VERSION
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

_SLICE_S = 1.0
"""The longest that it waits between two signs of life; the health server allows 30 s."""
_GRACE_S = 5.0
"""So long after the delivery timeout the client must have said what became of a message."""


@dataclass(frozen=True)
class ProducerRecord:
    """A message to send; None is no key, or no value.

    Attributes:
        topic: where it goes.
        key: its key.
        value: its value.
        headers: its headers; None is our schema version alone.
        partition: where it goes; -1 leaves it to the key.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers | None = None
    partition: int = -1


Delivered = Callable[[ProducerRecord, Message], None]
"""Called for each message that the broker has taken."""


class CheckedProducer:
    """Sends messages and knows what became of each.

    Args:
        settings: the settings.
        delivered: called for each message that the broker has taken, from ``send``, ``poll`` and ``finish``.

    Attributes:
        delivered: messages that the broker has taken.
        failed: messages that it has not taken, after all retries.
    """

    def __init__(self, settings: Settings, delivered: Delivered | None = None) -> None:
        self.delivered = 0
        self.failed = 0
        self._on_delivery = delivered
        self._servers = settings.bootstrap_servers
        self._timeout = settings.delivery_timeout / 1000
        self._first_failure = ""
        self._headers: Headers = [("schema_version", SCHEMA_VERSION.encode())]
        self._contact = FirstContact(self._servers)
        self._producer = Producer({**producer_config(settings, **{"linger.ms": 5}), "error_cb": self._contact})

    def check_topics(self, *topics: str) -> None:
        """See that the broker answers and has the topics, so that none is made by accident.

        Raises:
            RalmError: when not; says what to do.
        """
        known = self._contact.topics(self._producer)
        missing = [topic for topic in topics if topic not in known]
        if missing:
            msg = f"the broker at {self._servers} has no topic {', '.join(missing)}: run `ralm topics` to make it"
            raise RalmError(msg)

    def send(self, message: ProducerRecord) -> None:
        """Queue a message, waiting for room while the queue is full.

        Raises:
            RalmError: when it cannot be queued.
        """

        def done(error: KafkaError | None, sent: Message) -> None:
            self._done(message, error, sent)

        while True:
            try:
                self._producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    message.partition,
                    headers=self._headers if message.headers is None else message.headers,
                    on_delivery=done,
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                msg = f"a message to {message.topic} with key {message.key!r} cannot be sent: {error.args[0].str()}"
                raise RalmError(msg) from error
            else:
                self._producer.poll(0)
                return

    def poll(self, timeout_s: float) -> None:
        """Wait so long, and learn meanwhile what became of messages."""
        self._producer.poll(timeout_s)

    def finish(self) -> None:
        """Wait until everything is delivered.

        Raises:
            RalmError: when a message was not.
        """
        left = self._producer.flush(self._timeout + 5.0)
        if left or self.failed:
            why = self._first_failure or f"the broker at {self._servers} did not take them in {self._timeout:g} s"
            msg = f"{left + self.failed} messages were not delivered, {self.delivered} were: {why}"
            raise RalmError(msg)

    def _done(self, message: ProducerRecord, error: KafkaError | None, sent: Message) -> None:
        if error is not None:
            self.failed += 1
            self._first_failure = self._first_failure or f"to {message.topic}: {error.str()}"
            return
        self.delivered += 1
        if self._on_delivery is not None:
            self._on_delivery(message, sent)


class Delivery:
    """A producer that knows what became of each message.

    Args:
        kind: what the topic is in the contract.
        topic: its name.
        config: librdkafka's settings.
        timeout: seconds until undelivered messages raise.
        beat: called as a sign of life while it waits for the broker.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        kind: str,
        topic: str,
        config: dict[str, Any],
        timeout: float,
        beat: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kind = kind
        self._topic = topic
        self._config = config
        self._timeout = timeout
        self._beat = beat
        self._clock = clock
        self._failure: str | None = None
        self._fatal = ""
        self._producer = Producer({**config, "error_cb": self._on_error})

    def send(self, messages: list[OutMessage]) -> None:
        """Queue messages, waiting for room while the queue is full.

        Raises:
            RalmError: when an earlier message failed, or one cannot be queued.
        """
        for message in messages:
            while not self._queued(message):
                self._poll(0.1)
                self._beat()
        self._poll(0)

    def settle(self) -> None:
        """Wait until the broker has taken everything.

        Raises:
            RalmError: when it has not within the delivery timeout.
        """
        deadline = self._clock() + self._timeout + _GRACE_S
        while left := self._flush(max(0.0, min(_SLICE_S, deadline - self._clock()))):
            if self._clock() >= deadline:
                metrics.WRITE_ERRORS.labels(self._kind).inc(left)
                raise RalmError(not_taken(self._topic, left, self._timeout))

    def _flush(self, timeout: float) -> int:
        """Wait so long (s) for what is on its way; how many messages still are."""
        try:
            left = self._producer.flush(timeout)
        except (KafkaException, SystemError) as error:
            self._raise_fatal(error)
        self._raise_failure()
        self._beat()
        return left

    def _poll(self, timeout: float) -> None:
        try:
            self._producer.poll(timeout)
        except (KafkaException, SystemError) as error:
            self._raise_fatal(error)
        self._raise_failure()

    def _raise_fatal(self, error: Exception) -> NoReturn:
        """The client raises a fatal error from any call, or (some versions) returns nothing and no error."""
        msg = (
            f"the producer for {self._topic} cannot go on: {self._fatal or 'its log says why'}. Start again: what was "
            "not delivered is made again."
        )
        raise RalmError(msg) from error

    def _queued(self, message: OutMessage) -> bool:
        try:
            self._producer.produce(
                self._topic,
                value=message.value,
                key=message.key,
                headers=message.headers,
                on_delivery=self._delivered,
            )
        except BufferError:
            return False
        except KafkaException as error:
            metrics.WRITE_ERRORS.labels(self._kind).inc()
            msg = f"a message to {self._topic} with key {message.key!r} cannot be sent: {self._why(error.args[0])}"
            raise RalmError(msg) from error
        return True

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            metrics.MESSAGES_WRITTEN.labels(self._kind).inc()
            return
        metrics.WRITE_ERRORS.labels(self._kind).inc()
        self._failure = f"a message to {self._topic} with key {message.key()!r} was not delivered: {self._why(error)}"

    def _why(self, error: KafkaError) -> str:
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            most = int(self._config.get("message.max.bytes", 0))
            return f"{error.str()}. {too_long(self._kind, self._topic, most)}"
        return f"{error.str()}. {advice_for(error, self._topic)}"

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RalmError(self._failure)

    def _on_error(self, error: KafkaError) -> None:
        metrics.POLL_ERRORS.labels("sink").inc()
        if error.fatal():
            self._fatal = error.str()
        log.warning("the broker is in trouble", topic=self._topic, error=error.str())
