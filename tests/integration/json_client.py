"""What any Kafka user has: JSON in, JSON out. Knows nothing of this project."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition


@dataclass
class JsonClient:
    """A client whose topics all have a prefix."""

    servers: str
    prefix: str

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5})

    def send(self, topic: str, key: str | None, value: Any, **more: Any) -> None:
        """Send JSON, or bytes as they are."""
        data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        while True:
            try:
                self._producer.produce(self.prefix + topic, value=data, key=key, **more)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait until all is with the broker."""
        assert self._producer.flush(30) == 0

    def read(self, topic: str) -> list[Message]:
        """Everything that the topic holds now, tombstones included."""
        name = self.prefix + topic
        consumer = Consumer(
            {"bootstrap.servers": self.servers, "group.id": f"test-{uuid4()}", "enable.partition.eof": True}
        )
        parts = list(consumer.list_topics(name, timeout=10).topics[name].partitions)
        consumer.assign([TopicPartition(name, part, OFFSET_BEGINNING) for part in parts])
        found, unread, until = [], set(parts), time.monotonic() + 60
        while unread and time.monotonic() < until:
            for message in consumer.consume(10_000, timeout=0.2):
                error = message.error()
                if error is None:
                    found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(message.partition())
        consumer.close()
        assert not unread, f"{topic} could not be read to its end"
        return found

    def wait_for(self, topic: str, enough: Callable[[list[Message]], bool], seconds: float = 120) -> list[Message]:
        """Read the topic again and again until it holds enough."""
        until = time.monotonic() + seconds
        while True:
            found = self.read(topic)
            if enough(found):
                return found
            assert time.monotonic() < until, f"{topic} holds {len(found)} messages after {seconds} s, not enough"
            time.sleep(0.2)
