"""What any Kafka user has: confluent-kafka and JSON. Knows nothing of this project."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from waiting import close_in_time, wait_until


@dataclass
class PlainClient:
    """A client whose topics all have a prefix; it may have to log in."""

    servers: str
    prefix: str = ""
    login: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 5, **self.login})
        self._failed: list[KafkaError] = []

    def send(self, topic: str, key: Any, value: Any, **more: Any) -> None:
        """Send JSON, or bytes and None as they are; it is delivered once ``flush`` returns."""
        data = value if isinstance(value, bytes | None) else json.dumps(value).encode()
        while True:
            try:
                self._producer.produce(self.prefix + topic, data, key, on_delivery=self._delivered, **more)
                break
            except BufferError:
                self._producer.poll(0.1)
        self._producer.poll(0)

    def send_all(self, topic: str, messages: Iterable[tuple[Any, Any]], **more: Any) -> None:
        """Send (key, value) pairs, and wait until the broker has them."""
        for key, value in messages:
            self.send(topic, key, value, **more)
        self.flush()

    def flush(self) -> None:
        """Wait until the broker has everything."""
        assert self._producer.flush(30) == 0
        assert not self._failed, self._failed[0]

    def read(self, topic: str) -> list[Message]:
        """Everything that the topic holds now, tombstones included, partition by partition in offset order."""
        name = self.prefix + topic
        consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                **self.login,
                "group.id": f"test-{uuid4()}",
                "enable.auto.commit": False,  # no group is left behind
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # a broker holds the fetch that finds the end for so long
            }
        )
        found: list[Message] = []
        try:
            known = consumer.list_topics(timeout=15).topics  # of all topics: asking for one by name may make it
            assert name in known, f"there is no topic {name}"
            unread = set(known[name].partitions)
            consumer.assign([TopicPartition(name, part, OFFSET_BEGINNING) for part in unread])

            def at_the_end() -> bool:
                for message in consumer.consume(10_000, timeout=0.2):
                    error = message.error()
                    if error is None:
                        found.append(message)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        unread.discard(message.partition())
                return not unread

            wait_until(at_the_end)
        finally:
            close_in_time(consumer.close)
        return sorted(found, key=lambda message: (message.partition() or 0, message.offset() or 0))

    def wait_for(self, topic: str, enough: Callable[[list[Message]], bool], seconds: float = 60) -> list[Message]:
        """Read the topic again and again until it holds enough."""
        found: list[Message] = []

        def has_enough() -> bool:
            found[:] = self.read(topic)
            return enough(found)

        wait_until(has_enough, seconds)
        return found

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error)
