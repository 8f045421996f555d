"""Our Kafka sink: nothing is dropped in silence.

Every message has a delivery callback. An epoch has settled, and the next can end, once all its messages are with the
broker; what cannot be delivered in time raises, the flow stops, and the epoch is done again after a restart. (Only
sinks with fixed partitions hold the engine back: of others, messages can be lost.)
While it waits for the broker it gives signs of life: a flow that waits is healthy.
"""

import zlib
from collections.abc import Callable
from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.engine.failures import report_failure
from flows.kafka.errors import FLOW_RETRY
from flows.kafka.producer import OnDelivery, Producer, ProducerRecord, SinkRole
from flows.messages.batches import OutMessage, RawMessage

_PARTS = 16
"""Workers beyond it write nothing."""


class KafkaSink(FixedPartitionedSink[OutMessage, None]):
    """Writes ``(key, OutMessage)`` to a topic; the stream's key only chooses the worker that writes.

    Args:
        kind: what the topic is in the contract.
        topic: its name.
        producer: librdkafka's settings.
        delivery_timeout: ms until a message that the broker has not taken raises.
        beat: called as a sign of life while it waits for the broker.
        delivered: called with the partition and each message that the broker has taken.
    """

    def __init__(
        self,
        kind: str,
        topic: str,
        producer: dict[str, Any],
        delivery_timeout: int,
        beat: Callable[[], None] = lambda: None,
        delivered: Callable[[int, RawMessage], None] | None = None,
    ) -> None:
        self._kind = kind
        self._topic = topic
        self._config = producer
        self._timeout = delivery_timeout / 1000
        self._beat = beat
        self._delivered = delivered
        self._shared: Producer | None = None

    def list_parts(self) -> list[str]:
        """The parts' names."""
        return [f"{part:02d}" for part in range(_PARTS)]

    def part_fn(self, item_key: str) -> int:
        """Spread partition keys (``flows/engine/state_keys.py``) by their partition, others by a checksum."""
        number = item_key.partition("/")[0]
        return int(number) if number.isdecimal() else zlib.adler32(item_key.encode())

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "SinkPart":
        """One part; all parts of a process share one producer."""
        del step_id, for_part, resume_state
        if self._shared is None:
            role, tell = SinkRole(self._kind, FLOW_RETRY, self._beat), self._delivered
            on_delivery: OnDelivery | None = None
            if tell is not None:
                on_delivery = lambda _, message: tell(message.partition() or 0, message)  # noqa: E731
            self._shared = Producer(self._config, self._timeout, on_delivery, role)
        return SinkPart(self._shared, self._topic)


class SinkPart(StatefulSinkPartition[OutMessage, None]):
    """A part of the sink; it keeps no state, but an epoch ends only once its snapshot has returned."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    @report_failure
    def write_batch(self, values: list[OutMessage]) -> None:
        """Hand messages to the producer."""
        for value in values:
            self._producer.send(ProducerRecord(self._topic, value.key, value.value, value.headers))

    @report_failure
    def snapshot(self) -> None:
        """Wait until all is delivered."""
        self._producer.flush()

    def close(self) -> None:
        """Nothing is left to do: the last snapshot has waited for the last message.

        It must not raise. When a part has failed, the engine closes the others while it unwinds, and an error then
        aborts the process before it has said why it ends.
        """
