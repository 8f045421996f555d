"""Reads a topic from its beginning, or from a time on, to where it ends now, for tools."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.errors import is_end, is_lasting
from flows.kafka.topics import TopicNames
from flows.messages.dead_letter import DeadLetter, Record, read_record
from flows.support.errors import RalmError

Progress = Callable[[int, int], None]
"""Told how many messages were passed, and of how many."""
_TIMEOUT_S = 15.0
_PATIENCE_S = 60.0
"""Without a message or the end of a partition for so long, reading fails."""
_POLL = 500


@dataclass(frozen=True)
class Filters:
    """Which dead letters are meant; None leaves nothing out.

    Attributes:
        reason: their reason.
        topic: where they were read.
        key: their original key.
        since: refused at or after this, ms since the epoch.
    """

    reason: str | None = None
    topic: str | None = None
    key: bytes | None = None
    since: int | None = None

    def take(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.reason is None or letter.reason == self.reason)
            and (self.topic is None or letter.topic == self.topic)
            and (self.key is None or letter.key == self.key)
            and (self.since is None or letter.time >= self.since)
        )


def read_records(settings: Settings, since: int | None, progress: Progress = lambda *_: None) -> Iterator[Record]:
    """Everything that the topic of dead letters has now, each partition in order.

    Args:
        settings: the settings.
        since: leave out what the broker took before this, ms since the epoch.
        progress: told now and then.

    Raises:
        RalmError: when it cannot be read.
    """
    for message in read_to_end(settings, TopicNames.of(settings).dead_letters, since=since, progress=progress):
        yield read_record(message)


def read_from(settings: Settings, partition: int, offset: int) -> Iterator[Record]:
    """A partition of the topic of dead letters from an offset on.

    Raises:
        RalmError: when there is no such message or it cannot be read.
    """
    topic = TopicNames.of(settings).dead_letters
    for message in read_to_end(settings, topic, start=(partition, offset)):
        yield read_record(message)


def read_to_end(
    settings: Settings,
    topic: str,
    *,
    since: int | None = None,
    start: tuple[int, int] | None = None,
    progress: Progress = lambda *_: None,
) -> Iterator[Message]:
    """Everything that a topic has now, each partition in order.

    Args:
        settings: the settings.
        topic: its name.
        since: leave out what the broker took before this, ms since the epoch.
        start: read only this partition, from this offset on.
        progress: told now and then.

    Raises:
        RalmError: when it cannot be read.
    """
    errors: Errors = deque(maxlen=1)
    config = consumer_config(
        settings,
        **{
            "group.id": f"ralm-read-{uuid4().hex}",  # never joined: partitions are assigned
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "error_cb": errors.append,
            "log_level": 0,  # the error that is raised says it all
        },
    )
    with closing(Consumer(config)) as consumer:
        try:
            reading = _Reading(consumer, topic, progress, errors)
            yield from reading.messages(_spans(consumer, settings, topic, since, start))
        except KafkaException as error:
            msg = f"the topic {topic} at {settings.bootstrap_servers} cannot be read: {_words(error)}"
            raise RalmError(msg) from error


Errors: TypeAlias = deque[KafkaError]
"""The last error that the client has told, if any."""
Spans = dict[int, tuple[int, int]]
"""First offset and end of each partition that has something."""


def _spans(
    consumer: Consumer, settings: Settings, topic: str, since: int | None, start: tuple[int, int] | None
) -> Spans:
    try:
        known = consumer.list_topics(timeout=_TIMEOUT_S).topics  # of all: to ask for one by name may make it
    except KafkaException as error:
        msg = f"no broker answers at {settings.bootstrap_servers} ({_words(error)}): is it running, and is that its "
        raise RalmError(msg + "address (bootstrap_servers) and its security (security_protocol)?") from error
    if topic not in known:
        msg = f"the broker at {settings.bootstrap_servers} has no topic {topic}: run `ralm topics` to make it"
        raise RalmError(msg)
    partitions = list(known[topic].partitions)
    spans = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=_TIMEOUT_S) for p in partitions}
    if start is not None:
        spans = {start[0]: (start[1], _end_after(topic, spans, *start))}
    if since is not None and spans:
        places = [TopicPartition(topic, p, since) for p in spans]
        found = {place.partition: place.offset for place in consumer.offsets_for_times(places, timeout=_TIMEOUT_S)}
        spans = {p: (max(first, found[p]) if found[p] >= 0 else end, end) for p, (first, end) in spans.items()}
    return {p: (first, end) for p, (first, end) in spans.items() if first < end}


def _end_after(topic: str, spans: Spans, partition: int, offset: int) -> int:
    if partition not in spans:
        msg = f"{topic} has no partition {partition}: it has 0 to {max(spans)}"
        raise RalmError(msg)
    first, end = spans[partition]
    if not first <= offset < end:
        has = f"offsets {first} to {end - 1}" if first < end else "nothing"
        msg = f"{topic}[{partition}] has no offset {offset}: it has {has}"
        raise RalmError(msg)
    return end


class _Reading:
    def __init__(
        self,
        consumer: Consumer,
        topic: str,
        progress: Progress,
        errors: Errors,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consumer = consumer
        self._topic = topic
        self._progress = progress
        self._errors = errors
        self._clock = clock
        self._heard = clock()

    def messages(self, spans: Spans) -> Iterator[Message]:
        self._consumer.assign([TopicPartition(self._topic, p, first) for p, (first, _) in spans.items()])
        total, left = sum(end - first for first, end in spans.values()), dict(spans)
        self._heard = self._clock()
        while left:
            polled = self._consumer.consume(_POLL, timeout=0.2)
            self._listen(polled)
            for message in polled:
                partition, offset = message.partition() or 0, message.offset() or 0
                if self._failed_or_ended(message):
                    left.pop(partition, None)
                elif message.error() is None and partition in left:
                    end = spans[partition][1]
                    if offset < end:
                        yield message
                    left[partition] = (offset + 1, end)
                    if offset + 1 >= end:
                        del left[partition]
            self._progress(total - sum(end - first for first, end in left.values()), total)

    def _listen(self, polled: list[Message]) -> None:
        """Note whether anything came but errors, which the client repeats for as long as it has them."""
        faults = [message.error() for message in polled]
        self._errors.extend(error for error in faults if error is not None and not is_end(error))
        if any(error is None or is_end(error) for error in faults):
            self._heard = self._clock()
            self._errors.clear()
        elif self._clock() - self._heard > _PATIENCE_S:
            why = f" ({self._errors[-1].str()})" if self._errors else ""
            msg = (
                f"nothing came from the topic {self._topic} for {_PATIENCE_S:g} s{why}: look whether the brokers that "
                "have it are up and can be reached, and run this again"
            )
            raise RalmError(msg)

    @staticmethod
    def _failed_or_ended(message: Message) -> bool:
        error = message.error()
        if error is None or error.retriable():
            return False
        if is_lasting(error):
            raise KafkaException(error)
        return is_end(error)


def _words(error: KafkaException) -> str:
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
