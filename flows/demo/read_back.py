"""Reads topics from their first message to their last, for figures that come from the topics and from nowhere else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from flows.config.settings import Settings
from flows.kafka.range_reader import read_to_end
from flows.kafka.topics import TopicNames
from flows.messages.batches import RawMessage
from flows.messages.codec import decode_centroids, decode_click, decode_request
from flows.messages.codec import decode_scores as decode_answer
from flows.messages.rejects import InvalidMessage
from flows.messages.types import Centroids, Click, Request, Scores
from flows.support.errors import RalmError

_M = TypeVar("_M")


@dataclass(frozen=True)
class Sent(Generic[_M]):
    """A message, and its time in the topic, ms since the epoch: the broker's of clicks and requests, else a flow's."""

    message: _M
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
    for letter in read_to_end(settings, names.dead_letters):
        headers = dict(letter.headers() or [])
        topic, partition, offset, reason = (_text(headers[n]) for n in ("topic", "partition", "offset", "reason"))
        dead[topic, int(partition), int(offset)] = reason

    def good(topic: str) -> Iterator[RawMessage]:
        found = read_to_end(settings, topic)
        return (m for m in found if (topic, m.partition() or 0, m.offset() or 0) not in dead)

    centroids = (message for message in good(names.centroids) if message.value() is not None)
    return ReadBack(
        [_sent(decode_click, names.clicks, message) for message in good(names.clicks)],
        [_sent(decode_request, names.requests, message) for message in good(names.requests)],
        [_sent(decode_centroids, names.centroids, message) for message in centroids],
        [_sent(decode_answer, names.scores, message) for message in good(names.scores)],
        dead,
    )


def _sent(decode: Callable[[bytes | None], _M], topic: str, message: RawMessage) -> Sent[_M]:
    try:
        return Sent(decode(message.value()), message.timestamp()[1])
    except InvalidMessage as invalid:
        where = f"{topic}[{message.partition()}] at offset {message.offset()}"
        msg = f"{where} cannot be read and is not among the dead letters: {invalid}"
        raise RalmError(msg) from invalid


def _text(value: str | bytes | None) -> str:
    return value if isinstance(value, str) else (value or b"").decode()
