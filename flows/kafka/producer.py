"""A producer for tools: every message has a delivery callback, and what was not delivered is an error."""

from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from flows.config.settings import Settings
from flows.kafka.config import producer_config
from flows.kafka.errors import FirstContact
from flows.messages.batches import Headers
from flows.messages.codec import SCHEMA_VERSION
from flows.support.errors import RalmError


@dataclass(frozen=True)
class Outgoing:
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


Delivered = Callable[[Outgoing, Message], None]
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

    def send(self, message: Outgoing) -> None:
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

    def _done(self, message: Outgoing, error: KafkaError | None, sent: Message) -> None:
        if error is not None:
            self.failed += 1
            self._first_failure = self._first_failure or f"to {message.topic}: {error.str()}"
            return
        self.delivered += 1
        if self._on_delivery is not None:
            self._on_delivery(message, sent)
