"""Our Kafka sink: nothing is dropped in silence.

Every message has a delivery callback. At the end of each epoch all of it must be with the broker before the epoch's
snapshot is taken; what cannot be delivered in time raises, the flow stops, and the epoch is done again after a
restart. (Only sinks with fixed partitions hold back the engine's snapshot: of others, messages can be lost.)
While it waits for the broker it gives signs of life: a flow that waits is healthy.
"""

import time
import zlib
from collections.abc import Callable
from typing import Any, NoReturn

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from flows.engine.failures import told
from flows.kafka.errors import advice_for, not_taken, too_long
from flows.messages.batches import OutMessage
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

_PARTS = 16
"""Named in the recovery data, so it must never change; workers beyond it write nothing."""
_SLICE_S = 1.0
"""The longest that it waits between two signs of life; the health server allows 30 s."""
_GRACE_S = 5.0
"""So long after the delivery timeout the client must have said what became of a message."""


class KafkaSink(FixedPartitionedSink[OutMessage, None]):
    """Writes ``(key, OutMessage)`` to a topic; the stream's key only chooses the worker that writes.

    Args:
        kind: what the topic is in the contract.
        topic: its name.
        producer: librdkafka's settings.
        delivery_timeout: ms until a message that the broker has not taken raises.
        beat: called as a sign of life while it waits for the broker.
    """

    def __init__(
        self,
        kind: str,
        topic: str,
        producer: dict[str, Any],
        delivery_timeout: int,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._kind = kind
        self._topic = topic
        self._config = producer
        self._timeout = delivery_timeout / 1000
        self._beat = beat
        self._delivery: Delivery | None = None

    def list_parts(self) -> list[str]:
        """The parts' names in the recovery data."""
        return [f"{part:02d}" for part in range(_PARTS)]

    def part_fn(self, item_key: str) -> int:
        """Spread partition keys (``flows/engine/state_keys.py``) by their partition, others by a checksum."""
        number = item_key.partition("/")[0]
        return int(number) if number.isdecimal() else zlib.adler32(item_key.encode())

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "SinkPart":
        """One part; all parts of a process share one producer."""
        del step_id, for_part, resume_state
        if self._delivery is None:
            self._delivery = Delivery(self._kind, self._topic, self._config, self._timeout, self._beat)
        return SinkPart(self._delivery)


class SinkPart(StatefulSinkPartition[OutMessage, None]):
    """A part of the sink; it keeps no state, but takes part in the snapshot and so holds it back."""

    def __init__(self, delivery: "Delivery") -> None:
        self._delivery = delivery

    @told
    def write_batch(self, values: list[OutMessage]) -> None:
        """Hand messages to the producer."""
        self._delivery.send(values)

    @told
    def snapshot(self) -> None:
        """Wait until all is delivered."""
        self._delivery.settle()

    def close(self) -> None:
        """Nothing is left to do: the last snapshot has waited for the last message.

        It must not raise. When a part has failed, the engine closes the others while it unwinds, and an error then
        aborts the process before it has said why it ends.
        """


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
