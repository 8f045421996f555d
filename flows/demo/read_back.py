"""Reads topics from their first message to their last, for figures that come from the topics and from nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.topics import TopicNames
from flows.messages.codec import decode_centroids, decode_click, decode_request
from flows.messages.codec import decode_scores as decode_answer
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Centroids, Click, Request, Scores
from flows.support.errors import RalmError

M = TypeVar("M")
_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class Sent(Generic[M]):
    """A message, and when its producer handed it in: ms since the epoch."""

    message: M
    at: int


@dataclass(frozen=True)
class ReadBack:
    """What the topics hold.

    Attributes:
        clicks: that no dead letter names, in offset order of each partition.
        requests: the same.
        centroids: that compaction has left, without tombstones.
        answers: all of them.
        dead_letters: reason of each message that was refused, by topic, partition and offset.
    """

    clicks: list[Sent[Click]]
    requests: list[Sent[Request]]
    centroids: list[Sent[Centroids]]
    answers: list[Sent[Scores]]
    dead_letters: dict[tuple[str, int, int], str]


def read_back(settings: Settings) -> ReadBack:
    """Read all topics to their present ends.

    Raises:
        RalmError: when the broker does not answer, or a message can neither be read nor is among the dead letters.
    """
    names = TopicNames.of(settings)
    dead: dict[tuple[str, int, int], str] = {}
    for letter in read_topic(settings, names.dead_letters):
        headers = dict(letter.headers() or [])
        topic, partition, offset, reason = (_text(headers[n]) for n in ("topic", "partition", "offset", "reason"))
        dead[topic, int(partition), int(offset)] = reason

    def good(topic: str) -> Iterator[Message]:
        found = read_topic(settings, topic)
        return (m for m in found if (topic, m.partition() or 0, m.offset() or 0) not in dead)

    centroids = (message for message in good(names.centroids) if message.value() is not None)
    return ReadBack(
        [_sent(decode_click, message) for message in good(names.clicks)],
        [_sent(decode_request, message) for message in good(names.requests)],
        [_sent(decode_centroids, message) for message in centroids],
        [_sent(decode_answer, message) for message in good(names.scores)],
        dead,
    )


def _sent(decode: Callable[[bytes | None], M], message: Message) -> Sent[M]:
    try:
        return Sent(decode(message.value()), message.timestamp()[1])
    except InvalidMessage as invalid:
        where = f"{message.topic()}[{message.partition()}] at offset {message.offset()}"
        msg = f"{where} cannot be read and is not among the dead letters: {invalid}"
        raise RalmError(msg) from invalid


def read_topic(settings: Settings, topic: str) -> Iterator[Message]:
    """Everything that a topic has now.

    Raises:
        RalmError: when it cannot be read.
    """
    with closing(Consumer(consumer_config(settings, **{"group.id": f"ralm-read-{uuid4().hex}"}))) as consumer:
        try:
            yield from _to_the_end(consumer, topic)
        except (KafkaException, KeyError) as error:
            msg = f"the topic {topic} cannot be read: {error}"
            raise RalmError(msg) from error


def _to_the_end(consumer: Consumer, topic: str) -> Iterator[Message]:
    ends: dict[int, int] = {}
    for partition in consumer.list_topics(timeout=_TIMEOUT_S).topics[topic].partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=_TIMEOUT_S)
        if end > first:
            ends[partition] = end
            consumer.incremental_assign([TopicPartition(topic, partition, first)])
    while ends:
        for message in consumer.consume(1000, timeout=0.1):
            error = message.error()
            if error is not None:
                raise KafkaException(error)
            yield message
        for place in consumer.position([TopicPartition(topic, partition) for partition in ends]):
            if place.offset >= ends[place.partition]:
                del ends[place.partition]


def _text(value: str | bytes | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode()
