"""The producer: it knows what became of each message, and says what to do about those that were not delivered."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, Self, TypeAlias

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, Message

from flows.config.settings import Settings
from flows.kafka.config import producer_config
from flows.kafka.errors import delivery_advice, may_be_taken_later, not_taken, too_long, waiting_for
from flows.kafka.outage_log import outage_log
from flows.messages.batches import Headers
from flows.messages.codec import SCHEMA_VERSION
from flows.support.errors import RalmError
from monitoring import metrics

_SLICE_S = 1.0
"""The longest that it waits between two signs of life; the health server allows 30 s."""
_FULL_S = 0.1
"""So long it waits for room while its queue is full."""
_GRACE_S = 5.0
"""So long after the delivery timeout the client must have said what became of a message."""
_REFUSED_S = 300.0
"""So long a flow sends a message again that the broker refuses for what passes, such as a right that was taken away."""
_AGAIN_S = 1.0
_SCHEMA_HEADERS: Headers = [("schema_version", SCHEMA_VERSION.encode())]


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


OnDelivery: TypeAlias = Callable[[ProducerRecord, Message], None]
"""Called for each message that the broker has taken, from ``send``, ``poll`` and ``flush``."""


@dataclass(frozen=True)
class SinkRole:
    """What a producer is to a flow; a tool's is nothing.

    Attributes:
        kind: what the topic is in the contract; the metrics count by it.
        retry: what an error adds: what becomes of the messages that were not delivered.
        beat: called as a sign of life while it waits for the broker.
    """

    kind: str | None = None
    retry: str = ""
    beat: Callable[[], None] = lambda: None


class Producer:
    """Sends messages and knows what became of each; after a failure it sends no more.

    Args:
        config: librdkafka's settings.
        timeout_s: seconds until undelivered messages raise.
        on_delivery: called for each message that the broker has taken.
        role: what it is to a flow.
        clock: seconds that only go forward.

    Attributes:
        delivered: messages that the broker has taken.
        failed: messages that it has not taken, after all retries.
    """

    def __init__(
        self,
        config: dict[str, Any],
        timeout_s: float,
        on_delivery: OnDelivery | None = None,
        role: SinkRole | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self._config = config
        self._timeout = timeout_s
        self._on_delivery = on_delivery
        self._role = role or SinkRole()
        self._clock = clock
        self._topic = ""
        self._failure = ""
        self._fatal = ""
        self._again: list[ProducerRecord] = []
        self._refused: tuple[float, float] | None = None
        """Since when messages are refused for what may pass, and when they are sent again."""
        self._producer = confluent_kafka.Producer({**config, "error_cb": self._on_error})

    @classmethod
    def of_tool(cls, settings: Settings, on_delivery: OnDelivery | None = None) -> Self:
        """A producer for a command."""
        config = producer_config(settings, **{"linger.ms": 5})
        return cls(config, settings.delivery_timeout / 1000, on_delivery)

    def send(self, record: ProducerRecord) -> None:
        """Queue a message, waiting for room while the queue is full.

        Raises:
            RalmError: when an earlier message failed, or this one cannot be queued.
        """
        self._topic = record.topic
        self._raise_failure()
        self._send_again()
        while not self._queued(record):
            self.poll(_FULL_S)
            self._role.beat()
            self._raise_failure()
        self.poll(0)

    def poll(self, timeout_s: float) -> None:
        """Wait so long, and learn meanwhile what became of messages.

        Raises:
            RalmError: when the producer cannot go on.
        """
        try:
            self._producer.poll(timeout_s)
        except (KafkaException, SystemError) as error:
            self._raise_fatal(error)

    def flush(self) -> None:
        """Wait until the broker has taken everything.

        Raises:
            RalmError: when a message was not taken, or it has not become known within the timeout.
        """
        deadline = self._clock() + self._timeout + _GRACE_S
        while left := self._flush(max(0.0, min(_SLICE_S, deadline - self._clock()))) + len(self._again):
            if self._again:  # how long that may last is seen to where they are refused
                self.poll(min(_SLICE_S, _AGAIN_S))
                self._send_again()
                self._raise_failure()
                deadline = self._clock() + self._timeout + _GRACE_S
            elif self._clock() >= deadline:
                self._count_failed(left)
                msg = not_taken(self._topic, left, self._timeout)
                raise RalmError(f"{self._failure or msg} {self._role.retry}".rstrip())
        self._raise_failure()

    def _flush(self, timeout_s: float) -> int:
        """Wait so long for what is on its way; how many messages still are."""
        try:
            left = self._producer.flush(timeout_s)
        except (KafkaException, SystemError) as error:
            self._raise_fatal(error)
        self._role.beat()
        return left

    def _queued(self, record: ProducerRecord) -> bool:
        def done(error: KafkaError | None, message: Message) -> None:
            self._done(record, error, message)

        try:
            self._producer.produce(
                record.topic,
                record.value,
                record.key,
                record.partition,
                headers=_SCHEMA_HEADERS if record.headers is None else record.headers,
                on_delivery=done,
            )
        except BufferError:
            return False
        except KafkaException as error:
            self._fail(record, "cannot be sent", error.args[0])
            self._raise_failure()
        return True

    def _done(self, record: ProducerRecord, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            if not self._waits(record, error):
                self._fail(record, "was not delivered", error)
            return
        self.delivered += 1
        if not self._again:
            self._refused = None
        outage_log.answered()
        if self._role.kind is not None:
            metrics.MESSAGES_WRITTEN.labels(self._role.kind).inc()
        if self._on_delivery is not None:
            self._on_delivery(record, message)

    def _waits(self, record: ProducerRecord, error: KafkaError) -> bool:
        """Whether a message of a flow is sent again later; a command says at once what is wrong."""
        now = self._clock()
        if self._role.kind is None or not may_be_taken_later(error):
            return False
        since = now if self._refused is None else self._refused[0]
        if now - since > max(_REFUSED_S, self._timeout):
            return False
        self._refused = since, now + _AGAIN_S
        self._again.append(record)
        metrics.POLL_ERRORS.labels("sink").inc()
        outage_log.error(error, f"{record.topic}{waiting_for(error, 'Write', record.topic)}")
        return True

    def _send_again(self) -> None:
        """Send what was refused once more, when it is time."""
        if not self._again or self._refused is None or self._clock() < self._refused[1]:
            return
        waiting, self._again = self._again, []
        for place, record in enumerate(waiting):
            if not self._queued(record):
                self._again = waiting[place:]
                break

    def _fail(self, record: ProducerRecord, what: str, error: KafkaError) -> None:
        self._count_failed(1)
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            advice = too_long(self._role.kind, record.topic, int(self._config.get("message.max.bytes", 0)))
        else:
            advice = delivery_advice(error, record.topic)
        text = f"a message to {record.topic} with key {record.key!r} {what}: {error.str()}. {advice}"
        self._failure = self._failure or text

    def _count_failed(self, count: int) -> None:
        self.failed += count
        if self._role.kind is not None:
            metrics.WRITE_ERRORS.labels(self._role.kind).inc(count)

    def _raise_failure(self) -> None:
        if self._failure:
            counted = f" ({self.failed} messages were not delivered, {self.delivered} were.)"
            raise RalmError(f"{self._failure}{counted} {self._role.retry}".rstrip())

    def _raise_fatal(self, error: Exception) -> NoReturn:
        """The client raises a fatal error from any call, or (some versions) returns nothing and no error."""
        why = self._fatal or "its log says why"
        msg = f"the producer for {self._topic or 'Kafka'} cannot go on: {why}. Start again."
        raise RalmError(f"{msg} {self._role.retry}".rstrip()) from error

    def _on_error(self, error: KafkaError) -> None:
        if self._role.kind is not None:
            metrics.POLL_ERRORS.labels("sink").inc()
        if error.fatal():
            self._fatal = error.str()
        outage_log.error(error, self._topic or None)
