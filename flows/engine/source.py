"""Our Kafka source: positions in the engine's snapshot, no silent jump.

What the engine's own source gets wrong and this one does not: an offset that has expired raises instead of jumping to
the end of the log; an error never advances the position; the position is also committed to a consumer group, so that
ordinary tools see the lag (nothing is ever resumed from there). All sources of a process rest together while none has
anything to read.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from flows.engine.failures import report_failure
from flows.kafka.consumer import TopicReader
from flows.messages.batches import NO_TIMESTAMP, RawBatch, RawMessage
from flows.recovery.sealed import seal_position, unseal_position
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)


HEARTBEAT_MS = 500
"""An idle partition says so this often, so that its watermark can move with the wall clock."""
_LAG_EVERY_S = 1.0
_CANDIDATES_EVERY_S = 0.1
"""Candidates come seldom and nobody waits for them."""
ALWAYS_DUE = datetime.fromtimestamp(0, UTC)
"""An hour that no clock is set back to."""
_REST_S = 0.005
_LONG_REST_S = 0.02
_AWAKE_TURNS = 200
"""After so many short rests without a message rests are long: each time, every partition is looked at in vain."""


class IdleBackoff:
    """Counts, for each worker's thread, its partitions and those that had nothing in a row.

    Args:
        rest: called with seconds.
    """

    def __init__(self, rest: Callable[[float], None] = time.sleep) -> None:
        self._rest = rest
        self._mine = threading.local()

    def opened(self) -> None:
        """A partition is read by this thread from now on."""
        self._mine.partitions = self._partitions + 1

    def closed(self) -> None:
        """A partition is not read by this thread any more."""
        self._mine.partitions = max(0, self._partitions - 1)

    def took(self) -> None:
        """A partition had something."""
        self._mine.empty = self._mine.turns = 0

    def empty(self) -> None:
        """A partition had nothing; rests if they all had nothing since the last rest."""
        self._mine.empty = getattr(self._mine, "empty", 0) + 1
        if self._mine.empty >= self._partitions:
            self._mine.empty = 0
            self._mine.turns = getattr(self._mine, "turns", 0) + 1
            self._rest(_REST_S if self._mine.turns <= _AWAKE_TURNS else _LONG_REST_S)

    @property
    def _partitions(self) -> int:
        return getattr(self._mine, "partitions", 0)


@dataclass(frozen=True)
class SourceOptions:
    """How a topic is read.

    Attributes:
        kind: what the topic is in the contract.
        topic: its name.
        consumer: librdkafka's settings.
        poll: most messages a poll takes.
        start_from: ``earliest`` or ``latest``; where a partition without a position starts.
        known: the partitions that the recovery data knows.
        stopping: says that the flow drains; the source then ends.
        open: says that messages may be taken; until then the source waits.
        beat: called at each poll, as a sign of life.
        idle: when to rest; shared by all sources of a process.
        optional: whether the topic may be missing.
        partner: a topic that must have as many partitions, so that an item's messages meet.
        counted: called with how many partitions there are, before any is read.
    """

    kind: str
    topic: str
    consumer: dict[str, Any]
    poll: int
    start_from: str
    known: Collection[int]
    stopping: Callable[[], bool]
    open: Callable[[], bool] = lambda: True
    beat: Callable[[], None] = lambda: None
    idle: IdleBackoff = field(default_factory=IdleBackoff)
    optional: bool = False
    partner: str | None = None
    counted: Callable[[int], None] = lambda _: None


class KafkaSource(FixedPartitionedSource[RawBatch, bytes | None]):
    """Reads all partitions of a topic; a partition's state is its next offset, sealed.

    Partitions are listed once, at the start: new ones are picked up at the next start, from their beginning.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._reader = TopicReader(options.topic, options.consumer, options.poll)

    def list_parts(self) -> list[str]:
        """The partitions' names in the recovery data; they must never change.

        Raises:
            RalmError: when the broker does not answer, has no such topic, or its partitions are not those that were.
        """
        options, counts = self._options, self._reader.partition_counts()
        count = counts.get(options.topic, 0)
        if not count and not (options.optional and not options.known):
            raise RalmError(self._reader.missing(options.topic))
        gone = sorted(partition for partition in options.known if partition >= count)
        if gone:
            msg = (
                f"the topic {options.topic!r} has {count} partitions, but the state knows {len(gone)} more (up to "
                f"{gone[-1]}): it was made anew, or this is another cluster. Make it again with at least "
                f"{gone[-1] + 1} partitions, point bootstrap_servers and topic_prefix to the right one, or move the "
                "state directory away to begin with this topic."
            )
            raise RalmError(msg)
        if options.partner and count and counts.get(options.partner) != count:
            msg = (
                f"the topic {options.topic!r} has {count} partitions and {options.partner!r} has "
                f"{counts.get(options.partner)}: give both the same number, or an item's messages would not meet."
            )
            raise RalmError(msg)
        if options.known and count > len(options.known):
            log.info("the topic has grown", topic=options.topic, partitions=count, new=count - len(options.known))
        options.counted(count)
        return [f"{options.kind}/{partition:05d}" for partition in range(count)]

    @report_failure
    def build_part(self, step_id: str, for_part: str, resume_state: bytes | None) -> "PartitionReader":
        """Read a partition on from a snapshot, or from the start."""
        del step_id
        position = unseal_position(resume_state)
        return PartitionReader(self._options, self._reader, int(for_part.rpartition("/")[2]), position)


class PartitionReader(StatefulSourcePartition[RawBatch, bytes | None]):
    """Reads one partition, a batch a poll."""

    def __init__(self, options: SourceOptions, reader: TopicReader, partition: int, position: int | None) -> None:
        self._options = options
        self._reader = reader
        self._partition = partition
        self._last_message = self._last_batch = time.monotonic()
        self._stood_at_end: float | None = None
        self._last_lag = self._last_look = 0.0
        reader.add(partition, position, options.start_from)
        self._sent = reader.position(partition)
        options.idle.opened()

    @report_failure
    def next_batch(self) -> list[RawBatch]:
        """The messages that are there; at times an empty batch as the heartbeat of an idle partition.

        Raises:
            StopIteration: when the flow drains.
            RalmError: when the partition cannot be read on.
        """
        options = self._options
        if options.stopping():
            raise StopIteration
        options.beat()
        now = time.monotonic()
        if not options.open():
            self._last_message = now  # messages may wait meanwhile: the partition is not idle
            self._report_lag(now)
            options.idle.empty()
            return []
        if options.kind == "candidates" and now - self._last_look < _CANDIDATES_EVERY_S:
            options.idle.empty()
            return []
        self._last_look = now
        messages = self._reader.take(self._partition)
        self._report(messages, now)
        if messages:
            options.idle.took()
        else:
            options.idle.empty()
        stood, at_end = self._stood_at_end, self._reader.at_end(self._partition)
        if at_end:
            self._stood_at_end = now
        position = self._reader.position(self._partition)
        if messages:
            self._last_message = now
        elif position == self._sent and (not at_end or (now - self._last_batch) * 1000 < HEARTBEAT_MS):
            return []
        # Also what moves the position without a message goes to the seed sets, in the same epoch: they would otherwise
        # be behind what the snapshot says was read.
        self._last_batch, self._sent = now, position
        return [
            RawBatch(
                options.kind,
                options.topic,
                self._partition,
                messages,
                next_offset=position,
                idle=int((now - self._last_message) * 1000) if at_end else 0,
                now=time.time_ns() // 1_000_000,
                waited=None if stood is None else int((now - stood) * 1000),
            )
        ]

    def next_awake(self) -> datetime:
        """At once: ``next_batch`` rests by itself."""
        return ALWAYS_DUE

    def snapshot(self) -> bytes | None:
        """The next offset, sealed."""
        self._reader.commit(self._partition)
        return seal_position(self._reader.position(self._partition))

    def close(self) -> None:
        """Stop reading."""
        self._options.idle.closed()
        self._reader.remove(self._partition)

    def _report(self, messages: Sequence[RawMessage], now: float) -> None:
        kind, label = self._options.kind, str(self._partition)
        metrics.LAST_POLL.labels(kind).set_to_current_time()
        metrics.MESSAGES_READ.labels(kind).inc(len(messages))
        if messages:
            known, stamp = messages[-1].timestamp()
            if known != NO_TIMESTAMP:
                metrics.KAFKA_POSITION_TIME.labels(kind, label).set(stamp / 1000)
        self._report_lag(now)

    def _report_lag(self, now: float) -> None:
        if now - self._last_lag >= _LAG_EVERY_S:
            self._last_lag = now
            lag = self._reader.lag(self._partition)
            if lag is not None:
                metrics.KAFKA_LAG.labels(self._options.kind, str(self._partition)).set(lag)
