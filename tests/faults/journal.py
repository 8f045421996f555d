"""Follows all topics of a round with a plain consumer and keeps what they held, also what compaction forgets later."""

import json
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import msgspec
import numpy as np
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from numpy.typing import NDArray

from tests.waiting import close_in_time

from .generator import EXPECT

TOPICS = ("clicks", "requests", "centroids", "scores", "dead-letters")
_TIMEOUT_S = 120.0
_ASK_S = 5.0
_LOOK_AGAIN_S = 0.1


@dataclass(frozen=True)
class Emission:
    """Centroids as they were emitted: means float64[k, h], counts int64[k], the global embedding float64[h]."""

    version: str
    item: str
    window_end: int
    seeds: int
    counts: NDArray[np.int64]
    means: NDArray[np.float64]
    embedding: NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where a message lies."""

    topic: str
    partition: int
    offset: int


@dataclass
class Journal:
    """What the topics of a prefix have held so far.

    Attributes:
        clicks: good clicks not yet taken by the oracle: place and decoded value.
        bad: reason that each bad message's dead letter must have, by place.
        requests: good requests by their identifier: the broker's time, ms, and the decoded value.
        emissions: all centroids of each item, in the order of the topic.
        last: the last centroids of each item.
        held: keys of the centroids topic whose last message is no tombstone: what compaction cannot drop.
        answers: all answers to each request.
        dead: reason of each dead letter, by the place of the original.
        values: key and value of the original of each dead letter.
        counts: messages read of each topic.
    """

    servers: str
    prefix: str
    clicks: list[tuple[Place, dict[str, Any]]] = field(default_factory=list)
    bad: dict[Place, str] = field(default_factory=dict)
    requests: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    emissions: dict[tuple[str, int], list[Emission]] = field(default_factory=dict)
    last: dict[str, Emission] = field(default_factory=dict)
    held: set[bytes] = field(default_factory=set)
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    dead: dict[Place, str] = field(default_factory=dict)
    values: dict[Place, tuple[bytes | None, bytes | None]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOPICS, 0))

    def __post_init__(self) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": self.servers,
                "group.id": f"faults-{uuid4().hex}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "log_level": 0,
                "error_cb": lambda _: None,
            }
        )
        self._next: dict[tuple[str, int], int] = {}
        self.look_for_partitions()

    def look_for_partitions(self) -> None:
        """Follow every partition that there is now, also those that were added."""
        known = self._consumer.list_topics(timeout=15).topics
        found = [(self.prefix + t, p) for t in TOPICS for p in known[self.prefix + t].partitions]
        self._next = {part: self._next.get(part, 0) for part in found}
        self._consumer.assign([TopicPartition(*part, offset) for part, offset in self._next.items()])
        # A client keeps what it knows of a topic for minutes: an older one would not find the partitions that are new.
        self._admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0, "error_cb": lambda _: None})

    def close(self) -> None:
        """Leave the broker."""
        close_in_time(self._consumer.close)

    def read_on(self) -> None:
        """Read everything that the topics hold now.

        Raises:
            TimeoutError: when the broker does not give it, or has forgotten what it had.
        """
        until = time.monotonic() + _TIMEOUT_S
        ends = self._ends(until)
        while any(self._next[part] < end for part, end in ends.items()):
            for message in self._consumer.consume(5000, timeout=0.1):
                if message.error() is None:
                    self._take(message)
            if time.monotonic() > until:
                msg = f"the topics {self.prefix}* could not be read to their ends within {_TIMEOUT_S:g} s"
                raise TimeoutError(msg)

    def _ends(self, until: float) -> dict[tuple[str, int], int]:
        """Where the partitions end; a broker that has just come back may need a while to know.

        All are asked for in one call, by a client of its own: one by one, each would wait behind a fetch of the
        consumer that the broker holds.
        """
        why = ""
        while time.monotonic() < until:
            try:
                latest = {TopicPartition(*part): OffsetSpec.latest() for part in self._next}
                asked = self._admin.list_offsets(latest, request_timeout=_ASK_S)
                ends = {(part.topic, part.partition): int(done.result().offset) for part, done in asked.items()}
            except KafkaException as error:
                why = str(error)
            else:
                forgotten = [f"{topic}[{p}]" for (topic, p), end in ends.items() if end < self._next[topic, p]]
                if not forgotten:
                    return ends
                why = f"{', '.join(forgotten)} ended further on when they were read: the broker has forgotten some"
            time.sleep(_LOOK_AGAIN_S)
        msg = f"the broker does not say where the topics {self.prefix}* end: {why}"
        raise TimeoutError(msg)

    def _take(self, message: Message) -> None:
        place = Place(str(message.topic()).removeprefix(self.prefix), message.partition() or 0, message.offset() or 0)
        part = str(message.topic()), place.partition
        if place.offset < self._next[part]:
            return  # the client began again at the start, as it may once a broker has come back
        self._next[part] = place.offset + 1
        self.counts[place.topic] += 1
        headers = dict(message.headers() or [])
        if EXPECT in headers:
            self.bad[place] = bytes(headers[EXPECT]).decode()
        elif place.topic == "clicks":
            self.clicks.append((place, json.loads(message.value() or b"")))
        elif place.topic == "requests":
            value = json.loads(message.value() or b"")
            self.requests[value["request_id"]] = (message.timestamp()[1], value)
        elif place.topic == "centroids":
            self._centroids(message)
        elif place.topic == "scores":
            answer = json.loads(message.value() or b"")
            self.answers.setdefault(answer["request_id"], []).append(answer)
        else:
            self._dead_letter(message, {name: bytes(value).decode() for name, value in headers.items()})

    def _centroids(self, message: Message) -> None:
        key, value = bytes(message.key() or b""), message.value()
        version, _, item = key.decode().partition("/")
        if value is None:
            self.held.discard(key)
            if item in self.last and self.last[item].version == version:
                del self.last[item]
            return
        self.held.add(key)
        told = msgspec.msgpack.decode(value)
        emission = Emission(
            version,
            told["item_id"],
            told["window_end"],
            told["seeds"],
            np.array(told["counts"], np.int64),
            np.frombuffer(told["centroids"], "<f4").reshape(told["k"], told["h"]).astype(np.float64),
            np.frombuffer(told["global"], "<f4").astype(np.float64),
        )
        self.last[item] = emission
        self.emissions.setdefault((item, emission.window_end), []).append(emission)

    def _dead_letter(self, message: Message, headers: dict[str, str]) -> None:
        topic = headers["topic"].removeprefix(self.prefix)
        origin = Place(topic, int(headers["partition"]), int(headers["offset"]))
        self.dead[origin] = headers["reason"]
        self.values[origin] = (message.key(), message.value())
