"""Our Kafka source: begins where the stores or the consumer group say, and never jumps in silence.

What the engine's own source gets wrong and this one does not: an offset that has expired raises instead of jumping to
the end of the log; an error never advances the position. The position is committed to the consumer group one epoch
late, when all sinks have settled what was read before it. Requests, which no store knows, are resumed from there; for
clicks and candidates it shows ordinary tools the lag, and that a store was filled somewhere. All sources of a process
rest together while none has anything to read.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from flows.engine.failures import report_failure
from flows.kafka.consumer import TopicReader
from flows.kafka.first_offset import FirstOffset, way_on
from flows.messages.batches import NO_TIMESTAMP, RawBatch, RawMessage
from flows.support.errors import RalmError
from flows.support.last_start import LastStart
from flows.support.logs import get_logger
from flows.support.text import counted
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
_PAUSE_S = 5.0
"""A look that comes so long after the one before comes after a pause, in which messages may have come unseen."""
_SURE_S = 10.0
"""So long after a pause or an error the client would have said by now what came meanwhile."""
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
        begin: says where to begin in a partition.
        known: how many partitions the state knows.
        may_shrink: whether a topic with fewer is taken, which is another one of that name.
        mine: says whether this process reads a partition.
        after: says that a partition's messages may be taken; until then that partition waits.
        stopping: says that the flow drains; the source then ends.
        open: says that messages may be taken; until then the source waits.
        beat: called at each poll, as a sign of life.
        alive: called now and then before that.
        last_start: knows where the last start began to read, if it crashed.
        idle: when to rest; shared by all sources of a process.
        optional: whether the topic may be missing.
        last_error: says when a broker last answered with an error or not at all, in time.monotonic's seconds.
        mark: called with the partition and the last message of each batch; returns a word to commit beside the offset.
        step_over: which batches that cannot be read are stepped over.
        skip_gone: whether to go on where messages that are to be read next are gone, since nothing is kept of them.
        partner: a topic that must have as many partitions, so that an item's messages meet.
    """

    kind: str
    topic: str
    consumer: dict[str, Any]
    poll: int
    begin: FirstOffset
    stopping: Callable[[], bool]
    known: int = 0
    may_shrink: bool = False
    mine: Callable[[int], bool] = lambda _: True
    after: Callable[[int], bool] = lambda _: True
    open: Callable[[], bool] = lambda: True
    beat: Callable[[], None] = lambda: None
    alive: Callable[[], None] = lambda: None
    last_start: LastStart = field(default_factory=lambda: LastStart(None))
    idle: IdleBackoff = field(default_factory=IdleBackoff)
    optional: bool = False
    last_error: Callable[[], float] = lambda: -math.inf
    mark: Callable[[int, RawMessage | None], str] = lambda *_: ""
    step_over: str = "none"
    skip_gone: bool = False
    partner: str | None = None


def has_fewer(topic: str, count: int, known: int) -> str:
    """What to say of a topic that has fewer partitions than the state knows.

    Args:
        topic: its name.
        count: how many it has.
        known: how many the state knows.
    """
    return (
        f"the topic {topic!r} has {counted(count, 'partition')}, but the state knows {known}: it was made anew, "
        "or this is another cluster"
    )


class KafkaSource(FixedPartitionedSource[RawBatch, None]):
    """Reads the partitions of a topic that are this process's.

    Partitions are listed once, at the start: new ones are picked up at the next start, from their beginning.

    Attributes:
        count: how many partitions the topic has, once ``partitions`` was asked.
    """

    def __init__(self, options: SourceOptions) -> None:
        self._options = options
        self._reader = TopicReader(
            options.topic,
            options.consumer,
            options.poll,
            step_over=options.step_over,
            skip_gone=options.skip_gone,
        )
        self.count = 0
        self._mine: list[int] | None = None
        self._waited_for: set[int] = set()
        self._parts: list[PartitionReader] = []

    @property
    def facts(self) -> TopicReader:
        """What the broker says of the partitions."""
        return self._reader

    def list_parts(self) -> list[str]:
        """The names of this process's partitions.

        Raises:
            RalmError: when the broker does not answer, has no such topic, or its partitions are not those that were.
        """
        return [f"{self._options.kind}/{partition:05d}" for partition in self.partitions()]

    def partitions(self) -> list[int]:
        """This process's partitions; the topic is looked at once.

        Raises:
            RalmError: when the broker does not answer, has no such topic, or its partitions are not those that were.
        """
        if self._mine is None:
            self._mine = self._look()
            self._waited_for = set(self._mine)
        return self._mine

    def _look(self) -> list[int]:
        options, counts = self._options, self._reader.partition_counts()
        count = counts.get(options.topic, 0)
        if not count and not (options.optional and not options.known):
            raise RalmError(self._reader.missing(options.topic))
        if count < options.known and not options.may_shrink:
            why = has_fewer(options.topic, count, options.known)
            raise RalmError(f"{why}. {way_on('what the old one had and was not read')}")
        if options.partner and count and counts.get(options.partner) != count:
            msg = (
                f"the topic {options.topic!r} has {counted(count, 'partition')} and {options.partner!r} has "
                f"{counts.get(options.partner)}: give both the same number, or an item's messages would not meet."
            )
            raise RalmError(msg)
        if options.known and count > options.known:
            log.info("the topic has grown", topic=options.topic, partitions=count, new=count - options.known)
        self.count = count
        return [partition for partition in range(count) if options.mine(partition)]

    @report_failure
    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "PartitionReader":
        """Begin to read a partition."""
        del step_id, resume_state
        partition = int(for_part.rpartition("/")[2])
        part = PartitionReader(self._options, self._reader, partition, self._waited_for.discard)
        self._parts.append(part)
        return part

    def was_at_end(self, partition: int) -> bool:
        """Whether all that a partition had was taken once; so it is where there is no such partition."""
        return partition not in self._waited_for

    def settled(self) -> None:
        """Commit what was read, once the dataflow has ended by itself."""
        marks = {part.partition: part.mark for part in self._parts}
        self._reader.commit_all({part.partition: part.position for part in self._parts}, marks)

    def close(self) -> None:
        """Leave the group and close the client."""
        self._reader.close()


class PartitionReader(StatefulSourcePartition[RawBatch, None]):
    """Reads one partition, a batch a poll.

    Args:
        options: how the topic is read.
        reader: its client.
        partition: the partition.
        at_end: called with it when it stands at its end.
    """

    def __init__(
        self,
        options: SourceOptions,
        reader: TopicReader,
        partition: int,
        at_end: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._options = options
        self._reader = reader
        self.partition = partition
        self._tell_end = at_end
        self._settling: tuple[int, str] | None = None
        self._last_message = self._last_batch = time.monotonic()
        self._stood_at_end: float | None = None
        self._was_at_end = False
        self._last_take = self._resumed = -math.inf
        self._last_lag = self._last_look = 0.0
        first = options.begin(reader, partition)
        if not options.last_start.began_at(options.kind, partition, first):
            reader.add(partition, first)
        elif (ends := reader.add_behind_scout(partition, first, options.alive)) is not None:
            options.last_start.ends_again(options.kind, partition, ends)
        self._sent = reader.position(partition)
        self.mark = options.mark(partition, None)
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
        if not self._may_take(now):
            options.idle.empty()
            return []
        messages = self._reader.take(self.partition)
        self._report(messages, now)
        if messages:
            options.idle.took()
        else:
            options.idle.empty()
        stood, at_end = self._stood_at_end, self._reader.at_end(self.partition)
        if at_end and self._is_sure(now, fresh=bool(messages) or not self._was_at_end):
            self._stood_at_end = now
        self._was_at_end = at_end
        position = self.position
        if at_end and not messages:
            self._tell_end(self.partition)
        if messages:
            self._last_message = now
            self.mark = options.mark(self.partition, messages[-1])
        elif position == self._sent and (not at_end or (now - self._last_batch) * 1000 < HEARTBEAT_MS):
            return []
        # Also what moves the position without a message goes to the seed sets: else it would be read again and again.
        self._last_batch, self._sent = now, position
        return [
            RawBatch(
                options.kind,
                options.topic,
                self.partition,
                messages,
                next_offset=position,
                idle=int((now - self._last_message) * 1000) if at_end else 0,
                now=time.time_ns() // 1_000_000,
                waited=None if stood is None else int((now - stood) * 1000),
            )
        ]

    def _is_sure(self, now: float, *, fresh: bool) -> bool:
        """Whether it stands at the end now; the client says so once, and nothing while it is stopped or cut off."""
        if self._was_at_end and now - self._last_take > _PAUSE_S:
            self._resumed = now
        self._last_take = now
        return fresh or now - max(self._resumed, self._options.last_error()) >= _SURE_S

    def _may_take(self, now: float) -> bool:
        options = self._options
        if not (options.open() and options.after(self.partition)):
            self._last_message = now  # messages may wait meanwhile: the partition is not idle
            self._report_lag(now)
            return False
        if options.kind == "candidates" and now - self._last_look < _CANDIDATES_EVERY_S:
            return False
        self._last_look = now
        return True

    def next_awake(self) -> datetime:
        """At once: ``next_batch`` rests by itself."""
        return ALWAYS_DUE

    @property
    def position(self) -> int:
        """The offset from which on nothing was taken."""
        return self._reader.position(self.partition)

    def snapshot(self) -> None:
        """Commit what was read until the epoch before: the engine lets an epoch end once that one has settled."""
        if self._settling is not None:
            self._reader.commit(self.partition, *self._settling)
        self._settling = (self.position, self.mark)

    def close(self) -> None:
        """Stop reading; the client goes on until the dataflow has ended, since the last epoch has not settled yet."""
        self._options.idle.closed()

    def _report(self, messages: Sequence[RawMessage], now: float) -> None:
        kind, label = self._options.kind, str(self.partition)
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
            lag = self._reader.lag(self.partition)
            if lag is not None:
                metrics.KAFKA_LAG.labels(self._options.kind, str(self.partition)).set(lag)
