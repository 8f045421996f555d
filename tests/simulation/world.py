"""What outlives processes: the clock, the broker with its topics, and what was delivered to them."""

import json
import zlib
from dataclasses import dataclass, field
from random import Random
from typing import Any

from flows.messages.batches import APPEND_TIME, Headers, OutMessage

START = 1_700_000_000_000


@dataclass(frozen=True)
class Record:
    """A message of a topic, as the Kafka client hands it over."""

    _partition: int
    _offset: int
    _key: bytes | None
    _value: bytes | None
    _at: int
    _headers: Headers = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._value or b"")

    def key(self) -> bytes | None:
        return self._key

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> Any:
        return self._headers

    def timestamp(self) -> tuple[int, int]:
        return APPEND_TIME, self._at

    def partition(self) -> int | None:
        return self._partition

    def offset(self) -> int | None:
        return self._offset


class Clock:
    """The time: of the broker, and of the process, whose wall clock may be wrong. Stands for the module ``time``."""

    def __init__(self) -> None:
        self.now = START
        self.wrong_by = 0

    def monotonic(self) -> float:
        return (self.now - START) / 1000

    def time_ns(self) -> int:
        return (self.now + self.wrong_by) * 1_000_000

    def time(self) -> float:
        return (self.now + self.wrong_by) / 1000

    def sleep(self, _: float) -> None:
        pass


class Topic:
    """A topic's partitions; a record that was compacted away is None.

    Attributes:
        logs: by partition.
        first: where partitions begin that have lost their beginning.
        id: by what the broker knows it.
    """

    def __init__(self, clock: Clock, partitions: int) -> None:
        self._clock = clock
        self._made = 1
        self.logs: list[list[Record | None]] = [[] for _ in range(partitions)]
        self.first: dict[int, int] = {}

    def send(self, key: bytes | None, value: bytes | None, headers: Headers, partition: int | None = None) -> Record:
        """Append a record, to the partition of its key unless one is named."""
        where = zlib.crc32(key or b"") % len(self.logs) if partition is None else partition
        record = Record(where, len(self.logs[where]), key, value, self._clock.now, headers)
        self.logs[where].append(record)
        return record

    @property
    def id(self) -> str:
        return f"id-{self._made}"

    def make_anew(self) -> None:
        """It is deleted and made again, with as many partitions."""
        self._made += 1
        self.logs = [[] for _ in self.logs]
        self.first = {}

    def grow(self, partitions: int) -> None:
        """Add partitions."""
        self.logs += [[] for _ in range(partitions)]

    def expire(self, partition: int, first: int) -> None:
        """Forget what is before an offset; what is forgotten stays so."""
        first = max(first, self.first.get(partition, 0))
        log = self.logs[partition]
        log[:first] = [None] * first
        self.first[partition] = first

    def compact(self, partition: int) -> list[Record]:
        """Keep the last record of each key; returns those that go."""
        log = self.logs[partition]
        last = {record.key(): record._offset for record in log if record is not None}
        gone = [record for record in log if record is not None and last[record.key()] != record._offset]
        for record in gone:
            log[record._offset] = None
        return gone


class World:
    """All topics, and the sink that delivers to them.

    Attributes:
        waiting: what was sent and may not have been delivered yet.
        start_from: where requests begin at the very first start.
        has_read_requests: whether any process has; the state directory says so.
    """

    def __init__(self, rng: Random, partitions: int, centroids: int) -> None:
        self.clock = Clock()
        self.rng = rng
        self.topics = {
            "clicks": Topic(self.clock, partitions),
            "candidates": Topic(self.clock, partitions),
            "centroids": Topic(self.clock, centroids),
            "requests": Topic(self.clock, partitions),
            "scores": Topic(self.clock, 1),
            "dead_letters": Topic(self.clock, 1),
        }
        self.committed: dict[tuple[str, int], tuple[int, str]] = {}
        self.waiting: list[tuple[str, OutMessage]] = []
        self.start_from = rng.choice(["earliest", "earliest", "latest"])
        self.has_read_requests = False

    def click(self, partition: int, item: str, value: object) -> None:
        """A producer sends a click."""
        self.topics["clicks"].send(item.encode(), json.dumps(value).encode(), [], partition)

    def request(self, user: str, value: object) -> Record:
        """A producer sends a request."""
        return self.topics["requests"].send(user.encode(), json.dumps(value).encode(), [])

    def candidate(self, partition: int, item: str, value: object | None) -> None:
        """A producer sends a candidate, or a tombstone."""
        encoded = None if value is None else json.dumps(value).encode()
        self.topics["candidates"].send(item.encode(), encoded, [], partition)

    def grow(self) -> None:
        """Clicks, candidates and requests get a partition more."""
        self.clock.now += 1
        for kind in ("clicks", "candidates", "requests"):
            self.topics[kind].grow(1)

    def deliver(self, count: int | None = None) -> None:
        """Deliver what waits, or the first of it."""
        count = len(self.waiting) if count is None else count
        for kind, message in self.waiting[:count]:
            self.topics[kind].send(message.key, message.value, message.headers)
        del self.waiting[:count]


class Reader:
    """Reads a topic as the consumer does, as much at a poll as chance has it."""

    def __init__(self, world: World, kind: str) -> None:
        self.topic = kind
        self._world, self._kind = world, kind
        self._position: dict[int, int] = {}
        self._at_end: dict[int, bool] = {}

    def _log(self, partition: int) -> list[Record | None]:
        return self._world.topics[self._kind].logs[partition]

    def bounds(self, partition: int) -> tuple[int, int]:
        return self._world.topics[self._kind].first.get(partition, 0), len(self._log(partition))

    def committed(self, partition: int) -> int | None:
        found = self._world.committed.get((self._kind, partition))
        return None if found is None else found[0]

    def committed_mark(self, partition: int) -> str:
        return self._world.committed[self._kind, partition][1]

    def message_time(self, partition: int, offset: int) -> int | None:
        record = self._log(partition)[offset]
        return None if record is None else record.timestamp()[1]

    def commit(self, partition: int, offset: int, mark: str = "") -> None:
        self._world.committed[self._kind, partition] = (offset, mark)

    def add(self, partition: int, position: int) -> None:
        self._position[partition], self._at_end[partition] = position, False

    def take(self, partition: int) -> list[Record]:
        rng, log, at = self._world.rng, self._log(partition), self._position[partition]
        end = min(len(log), at + rng.choice((0, 1, 3, 10, 40)))
        self._position[partition] = end
        found = [record for record in log[at:end] if record is not None]
        self._at_end[partition] = end == len(log) and (not found or rng.random() < 0.7)
        return found

    def position(self, partition: int) -> int:
        return self._position[partition]

    def at_end(self, partition: int) -> bool:
        return self._at_end[partition]

    def lag(self, partition: int) -> int:
        return len(self._log(partition)) - self._position[partition]
