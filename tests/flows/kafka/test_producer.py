"""The sink without a broker: it lives while it waits, and says what to do when it has waited in vain."""

from itertools import pairwise
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Message

from flows.kafka.producer import Delivery
from flows.messages.batches import OutMessage
from flows.support.errors import RalmError


class SilentBroker:
    """A producer whose broker takes nothing before a moment, on a clock that only waiting moves."""

    def __init__(self, answers_at: float, error: KafkaError | None = None) -> None:
        self.now, self.answers_at, self.error = 0.0, answers_at, error

    def produce(self, *_: Any, **__: Any) -> None:
        if self.now < self.answers_at:
            raise BufferError
        if self.error is not None:
            raise KafkaException(self.error)

    def poll(self, timeout: float) -> int:
        self.now += timeout
        return 0

    def flush(self, timeout: float) -> int:
        self.now += timeout
        return 0 if self.now >= self.answers_at else 2


def delivery_to(broker: SilentBroker, beats: list[float], timeout: float = 60.0) -> Delivery:
    made = Delivery("scores", "t.scores", {}, timeout, lambda: beats.append(broker.now), lambda: broker.now)
    made._producer = broker
    return made


def longest_silence(beats: list[float], end: float) -> float:
    return max(later - sooner for sooner, later in pairwise([0.0, *beats, end]))


def test_a_sink_that_waits_for_its_broker_gives_signs_of_life() -> None:
    broker, beats = SilentBroker(answers_at=50.0), []
    delivery_to(broker, beats).settle()
    assert broker.now == pytest.approx(50.0)
    assert longest_silence(beats, broker.now) <= 1.0


def test_a_sink_whose_queue_is_full_gives_signs_of_life() -> None:
    broker, beats = SilentBroker(answers_at=50.0), []
    delivery_to(broker, beats).send([OutMessage(b"k", b"v")])
    assert longest_silence(beats, broker.now) <= 1.0


def test_a_broker_that_takes_nothing_ends_the_wait_in_words() -> None:
    broker, beats = SilentBroker(answers_at=1000.0), []
    with pytest.raises(RalmError, match=r"2 messages to t\.scores were not taken .* within 60 s") as caught:
        delivery_to(broker, beats).settle()
    assert broker.now == pytest.approx(65.0)
    assert longest_silence(beats, broker.now) <= 1.0
    for words in ("replicas are in sync", "delivery_timeout", "Nothing is lost", "last snapshot"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError._MSG_TIMED_OUT, "can be reached"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "the right Write on t.scores"),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "`ralm topics`"),
    ],
)
def test_what_was_not_delivered_is_said_with_what_to_do(code: int, words: str) -> None:
    refused = delivery_to(SilentBroker(0.0), [])
    refused._delivered(KafkaError(code), Message(topic="t.scores", key=b"u-1"))
    broken = delivery_to(SilentBroker(0.0, KafkaError(code)), [])
    for delivery, what in ((refused, "not delivered"), (broken, "cannot be sent")):
        with pytest.raises(RalmError, match=what) as caught:
            delivery.send([OutMessage(b"u-1", b"v")])
        for part in ("t.scores", "u-1", words, "Nothing is lost"):
            assert part in str(caught.value)


def test_a_topic_that_takes_only_shorter_messages_is_said_with_its_setting() -> None:
    delivery = delivery_to(SilentBroker(0.0), [])
    delivery._delivered(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), Message(topic="t.scores", key=b"u-1"))
    with pytest.raises(RalmError, match="not delivered") as caught:
        delivery.settle()
    for words in ("the topic t.scores", "max.message.bytes=1048588", "message.max.bytes", "lower max_top_k", "Nothing"):
        assert words in str(caught.value)
