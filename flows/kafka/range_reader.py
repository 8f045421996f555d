"""Reads spans of a topic's partitions from one offset up to another, for whatever reads messages again.

One set of rules for all who do. A span is read once the client stands at its end or beyond: behind the last message
there may be offsets without one (a transaction's marks, aborted records, what was compacted away), and only the client
knows that it has passed them. Where the partition ends earlier, as with a new leader that lags, reading waits. What
passes by itself is waited for, what lasts is raised, and silence is an error after a minute.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from flows.config.settings import Settings
from flows.kafka.config import BY_OFFSET, consumer_config
from flows.kafka.consumer_end import close_with_timeout
from flows.kafka.errors import is_end, is_gone, is_lasting, is_of_group, is_unreadable, reading_advice, reason
from flows.kafka.outage_log import outage_log
from flows.kafka.probe import BrokerProbe
from flows.kafka.scout import Discovery, Scout
from flows.messages.batches import RawMessage, UnreadableBatch
from flows.support import ends
from flows.support.errors import RalmError
from flows.support.logs import get_logger

log = get_logger(__name__)

_POLL = 2_000
_POLL_S = 0.1
_SILENCE_S = 60.0
"""Without progress for so long, reading fails."""
_UNREADABLE_S = 5.0
"""So long a batch that cannot be read is fetched again."""

Span: TypeAlias = tuple[int, int]
"""First offset, and the offset that is not read any more."""
ReadProgress: TypeAlias = Callable[[int, int], None]
"""Called between polls with how many offsets are passed, and of how many; may raise to end the reading."""


@dataclass(frozen=True)
class Chunk:
    """Messages of one partition in offset order, and the offset up to which all of it was read."""

    partition: int
    messages: Sequence[RawMessage]
    next_offset: int


class RangeReader:
    """Reads spans of a topic.

    A batch that cannot be read, or at which the client stands still, is looked at by processes of their own
    (``flows/kafka/scout.py``), which read the rest of its partition; so is all, where the client has ended this command
    before.

    Args:
        topic: its name.
        config: librdkafka's settings; ``auto.offset.reset`` says what to do where a span's messages were deleted
            meanwhile: ``error`` unless given.
        progress: called between polls.
        clock: seconds that only go forward.
        step_over: which batches that cannot be read are stepped over: ``none``, ``oversized`` or ``all``. An
            ``UnreadableBatch`` stands for each.
        said: what to say of one that is not, in a partition.
    """

    def __init__(
        self,
        topic: str,
        config: dict[str, Any],
        progress: ReadProgress = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        step_over: str = "none",
        said: Callable[[Discovery, str], str] = Discovery.said_by_command,
    ) -> None:
        self._topic, self._given, self._step_over, self._said = topic, config, step_over, said
        self._unreadable: dict[int, tuple[int, float]] = {}
        self._config = {**BY_OFFSET, **config, "error_cb": self._on_error}
        self._progress = progress
        self._clock = clock
        self._last_error: KafkaError | None = None

    def read(self, spans: Mapping[int, Span]) -> Iterator[Chunk]:
        """Read spans to their ends, each partition in order; those of several partitions take turns.

        Args:
            spans: by partition.

        Raises:
            RalmError: when they cannot be read; says what to do.
        """
        left = {partition: span for partition, span in spans.items() if span[0] < span[1]}
        total = sum(end - first for first, end in left.values())
        if not left:
            return
        if ends.once:
            for partition, span in left.items():
                yield from self._batch_by_batch(partition, span)
            return
        with self._consumer() as consumer:
            consumer.assign([TopicPartition(self._topic, part, first) for part, (first, _) in left.items()])
            heard = self._clock()
            while left:
                self._progress(total - sum(end - at for at, end in left.values()), total)
                chunks = self._chunks(consumer.consume(_POLL, timeout=_POLL_S), left)
                stuck = self._stuck(left)
                if not chunks and not stuck and self._clock() - heard > _SILENCE_S:
                    stuck = self._standing_still(left)
                if chunks:
                    self._last_error = None
                    outage_log.answered()
                    yield from chunks
                    heard = self._clock()  # only now: whoever takes them may need longer than a minute
                for partition in stuck:
                    consumer.incremental_unassign([TopicPartition(self._topic, partition)])
                    yield from self._batch_by_batch(partition, left.pop(partition))
                    heard = self._clock()
                left = {partition: span for partition, span in left.items() if span[0] < span[1]}
            self._progress(total, total)

    @contextmanager
    def _consumer(self) -> Iterator[Consumer]:
        consumer = Consumer(self._config)
        try:
            yield consumer
        except KafkaException as error:
            raise RalmError(self._cannot_be_read(reason(error))) from error
        finally:
            close_with_timeout(consumer, self._topic)

    def _chunks(self, polled: list[Message], left: dict[int, Span]) -> list[Chunk]:
        """What brings spans forward; they are moved on accordingly in ``left``."""
        messages: dict[int, list[Message]] = {}
        for message in polled:
            partition, after = message.partition() or 0, self._offset_after(message)
            at, end = left.get(partition, (0, 0))
            if after is None or not at < min(after, end):
                continue
            mine = messages.setdefault(partition, [])
            if message.error() is None and after <= end:
                mine.append(message)
            self._unreadable.pop(partition, None)
            left[partition] = (min(after, end), end)
        return [Chunk(partition, found, left[partition][0]) for partition, found in messages.items()]

    def _offset_after(self, message: Message) -> int | None:
        """The offset that follows a message, or at which a partition ends; None of an error that passes."""
        error, offset = message.error(), message.offset() or 0
        if error is None:
            return offset + 1
        if is_end(error):
            return offset
        if is_gone(error):
            raise RalmError(self._deleted(error.str()))
        if is_of_group(error):  # a span is read without one
            return None
        if is_lasting(error):
            raise RalmError(self._cannot_be_read(error.str()) + reading_advice(error, self._topic))
        if is_unreadable(error):
            self._unreadable.setdefault(message.partition() or 0, (offset, self._clock()))
        self._on_error(error)
        return None

    def _stuck(self, left: Mapping[int, Span]) -> list[int]:
        """The partitions where a batch has been unreadable for a while; what damaged it may have lain on the way."""
        long_ago = self._clock() - _UNREADABLE_S
        return [part for part, (_, since) in self._unreadable.items() if part in left and since <= long_ago]

    def _standing_still(self, left: Mapping[int, Span]) -> list[int]:
        """All partitions, where nothing comes of them although they are led and have it.

        Raises:
            RalmError: where the broker does not say that they have.
        """
        try:
            bounds = BrokerProbe(self._given).bounds(self._topic, left)
        except RalmError as error:
            raise RalmError(self._silence(left)) from error
        if any(not bounds[part][0] <= at < bounds[part][1] for part, (at, _) in left.items()):
            raise RalmError(self._silence(left))
        return list(left)

    def _batch_by_batch(self, partition: int, span: Span) -> Iterator[Chunk]:
        place = f"{self._topic}[{partition}]"
        scout = Scout(self._topic, partition, self._given, lambda: None)
        for found in scout.read(*span):
            if not isinstance(found, Discovery):
                yield Chunk(partition, found[0], found[1])
                continue
            if found.first < BrokerProbe(self._given).bounds(self._topic, [partition])[partition][0]:
                raise RalmError(self._deleted("the client found nothing at them"))
            if self._step_over != "all" and (self._step_over == "none" or found.damaged):
                raise RalmError(self._said(found, place))
            why = f"offsets {found.first} to {found.end - 1} of {place} cannot be read: {found.why}"
            log.warning("a batch that cannot be read is stepped over", topic=self._topic, partition=partition, why=why)
            yield Chunk(partition, [UnreadableBatch(partition, found.first, found.end - 1, why)], found.end)

    def _deleted(self, why: str) -> str:
        return f"messages of {self._topic} were deleted while they were read ({why}): run this again"

    def _cannot_be_read(self, why: str) -> str:
        return f"the topic {self._topic} at {self._config['bootstrap.servers']} cannot be read: {why}"

    def _silence(self, left: Mapping[int, Span]) -> str:
        why = f" ({self._last_error.str()})" if self._last_error is not None else ""
        where = ", ".join(f"[{part}] stands at {at} and is to reach {end}" for part, (at, end) in sorted(left.items()))
        return (
            f"nothing came from the topic {self._topic} for {_SILENCE_S:g} s{why}: {where}. Look whether the brokers "
            "that have it are up and can be reached, and run this again"
        )

    def _on_error(self, error: KafkaError) -> None:
        self._last_error = error
        outage_log.error(error, self._topic)


def read_to_end(
    settings: Settings,
    topic: str,
    *,
    since: int | None = None,
    start: tuple[int, int] | None = None,
    progress: ReadProgress = lambda *_: None,
    said: Callable[[Discovery, str], str] = Discovery.said_by_command,
) -> Iterator[RawMessage]:
    """Everything that a topic has now, each partition in order.

    Args:
        settings: the settings.
        topic: its name.
        since: leave out what the broker took before this, ms since the epoch.
        start: read only this partition, from this offset on.
        progress: called between polls.
        said: what to say of a batch that is not stepped over.

    Raises:
        RalmError: when it cannot be read.
    """
    config = consumer_config(settings, **{"auto.offset.reset": "earliest"})
    probe = BrokerProbe(config)
    spans = probe.bounds(topic, probe.partitions(topic)[topic])
    if start is not None:
        spans = {start[0]: (start[1], _end_after(topic, spans, *start))}
    if since is not None:
        found = probe.offsets(topic, spans, OffsetSpec.for_timestamp(since))
        spans = {p: (max(first, found[p]) if found[p] >= 0 else end, end) for p, (first, end) in spans.items()}
    for chunk in RangeReader(topic, config, progress, step_over=settings.step_over, said=said).read(spans):
        yield from chunk.messages


def _end_after(topic: str, spans: Mapping[int, Span], partition: int, offset: int) -> int:
    if partition not in spans:
        msg = f"{topic} has no partition {partition}: it has 0 to {max(spans)}"
        raise RalmError(msg)
    first, end = spans[partition]
    if not first <= offset < end:
        has = f"offsets {first} to {end - 1}" if first < end else "nothing"
        msg = f"{topic}[{partition}] has no offset {offset}: it has {has}"
        raise RalmError(msg)
    return end
