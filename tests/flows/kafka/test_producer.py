"""The sink without a broker: it lives while it waits, and says what to do when it has waited in vain."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException, Message, ThrottleEvent

from flows.kafka.errors import FLOW_RETRY
from flows.kafka.producer import Producer, ProducerRecord, SinkRole
from flows.kafka.range_reader import RangeReader
from flows.support.errors import RalmError


class SilentBroker:
    """A producer whose broker takes nothing before a moment, on a clock that only waiting moves."""

    def __init__(self, answers_at: float, error: KafkaError | None = None, *, full: bool = False) -> None:
        self.now, self.answers_at, self.error, self.full = 0.0, answers_at, error, full
        self.given: list[Any] = []

    def produce(self, *given: Any, on_delivery: Any, **_: Any) -> None:
        if self.full and self.now < self.answers_at:
            raise BufferError
        if self.error is not None:
            raise KafkaException(self.error)
        self.given.append((given, on_delivery))

    def poll(self, timeout: float) -> int:
        self.now += timeout
        return 0

    def flush(self, timeout: float) -> int:
        self.now += timeout
        return 0 if self.now >= self.answers_at else len(self.given)


def producer_to(broker: SilentBroker, beats: list[float], timeout: float = 60.0, **more: Any) -> Producer:
    role = SinkRole("scores", FLOW_RETRY, lambda: beats.append(broker.now))
    made = Producer({}, timeout, role=more.pop("role", role), clock=lambda: broker.now, **more)
    made._producer = broker  # type: ignore[assignment]
    return made


class BrokerWithRights(SilentBroker):
    """Refuses what it is given until the user has the right again; each answer takes a wait."""

    def __init__(self, answers_at: float) -> None:
        super().__init__(answers_at)
        self.refused, self.tried_at = 0, []
        self.taken: list[bytes] = []

    def poll(self, timeout: float) -> int:
        self.now += timeout
        given, self.given = self.given, []
        error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED) if self.now < self.answers_at else None
        if given:
            self.tried_at.append(self.now)
        for (_, value, *_), on_delivery in given:
            if error is None:
                self.taken.append(value)
            else:
                self.refused += 1
            on_delivery(error, Message(topic="t.scores"))
        return 0

    def flush(self, timeout: float) -> int:
        if self.given:
            self.poll(min(0.01, timeout))
        return 0


def record(value: bytes = b"v") -> ProducerRecord:
    return ProducerRecord("t.scores", b"u-1", value)


@contextmanager
def mock_cluster() -> Iterator[str]:
    """The client library's own toy of a broker."""
    host = confluent_kafka.Producer({"test.mock.num.brokers": 1})
    yield next(str(broker) for broker in host.list_topics(timeout=10).brokers.values()).split("/")[0]
    del host


def longest_silence(beats: list[float], end: float) -> float:
    return max(later - sooner for sooner, later in pairwise([0.0, *beats, end]))


def test_a_sink_that_waits_for_its_broker_gives_signs_of_life() -> None:
    broker, beats = SilentBroker(answers_at=50.0), []
    producer = producer_to(broker, beats)
    producer.send(record())
    producer.flush()
    assert broker.now == pytest.approx(50.0)
    assert longest_silence(beats, broker.now) <= 1.0


def test_a_sink_whose_queue_is_full_gives_signs_of_life() -> None:
    broker, beats = SilentBroker(answers_at=50.0, full=True), []
    producer_to(broker, beats).send(record())
    assert longest_silence(beats, broker.now) <= 1.0


def test_a_broker_that_takes_nothing_ends_the_wait_with_advice() -> None:
    broker, beats = SilentBroker(answers_at=1000.0), []
    producer = producer_to(broker, beats)
    producer.send(record())
    producer.send(record())
    with pytest.raises(RalmError, match=r"2 messages to t\.scores were not taken .* within 60 s") as caught:
        producer.flush()
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
    refused = producer_to(SilentBroker(0.0), [])
    refused._refused = (-301.0, 0.0)  # for more than five minutes
    refused._done(0, record(), KafkaError(code), Message(topic="t.scores", key=b"u-1"))
    broken = producer_to(SilentBroker(0.0, KafkaError(code)), [])
    broken._refused = (-301.0, 0.0)
    for producer, what in ((refused, "not delivered"), (broken, "cannot be sent")):
        with pytest.raises(RalmError, match=what) as caught:
            producer.send(record())
        for part in ("t.scores", "u-1", words, "Nothing is lost", "1 message was not delivered, 0 were"):
            assert part in str(caught.value)


@pytest.mark.parametrize("back_at", [0.5, 7.0, 60.0, 123.4, 290.0])
def test_while_a_right_is_missing_one_message_is_tried_ever_more_seldom_and_all_goes_within_seconds(
    back_at: float,
) -> None:
    broker, beats = BrokerWithRights(back_at), []
    producer = producer_to(broker, beats)
    for number in range(50):
        producer._queued(next(producer._numbers), record(str(number).encode()))
    producer.flush()
    assert sorted(broker.taken, key=int) == [str(number).encode() for number in range(50)]
    assert broker.refused <= 50 + 3 + back_at / 4
    assert broker.now <= back_at + 7
    assert longest_silence(beats, broker.now) <= 1.1


def test_after_it_a_refusal_is_tried_again_soon() -> None:
    broker = BrokerWithRights(60.0)
    producer = producer_to(broker, [])
    producer._queued(0, record())
    producer.flush()
    broker.answers_at = broker.now + 0.9
    producer._queued(1, record())
    producer.flush()
    assert broker.now <= broker.answers_at + 1.2


class SlowBroker(SilentBroker):
    """Takes a message each so many seconds, as a quota lets it, and says so; the others' time ends meanwhile."""

    every = 45.0

    def __init__(self, made: list[Producer]) -> None:
        super().__init__(0.0)
        self.taken: list[bytes] = []
        self.made = made

    def poll(self, timeout: float) -> int:
        self.now += timeout
        given, self.given = self.given, []
        for number, ((_, value, *_), on_delivery) in enumerate(given):
            if number == 0:
                self.taken.append(value)
                self.made[0]._on_slowed(ThrottleEvent("b", 1, self.every))
                on_delivery(None, Message(topic="t.scores"))
                self.now += self.every
            else:
                on_delivery(KafkaError(KafkaError._MSG_TIMED_OUT), Message(topic="t.scores"))
        return 0

    def flush(self, timeout: float) -> int:
        if self.given:
            self.poll(min(0.01, timeout))
        return 0


def test_what_a_quota_holds_back_is_sent_however_long_that_takes() -> None:
    made: list[Producer] = []
    broker = SlowBroker(made)
    made.append(producer := producer_to(broker, []))
    for number in range(20):
        producer._queued(next(producer._numbers), record(str(number).encode()))
    producer.flush()
    assert sorted(broker.taken, key=int) == [str(number).encode() for number in range(20)]
    assert broker.now > 20 * broker.every > 2 * 300.0
    broker.now += 66.0  # the quota is long over: what times out now has another reason
    producer._done(99, record(), KafkaError(KafkaError._MSG_TIMED_OUT), Message(topic="t.scores"))
    with pytest.raises(RalmError, match="whether a quota slows this user down"):
        producer.flush()


def test_a_command_does_not_wait_for_a_quota() -> None:
    producer = producer_to(SilentBroker(0.0), [], role=None)
    producer._on_slowed(ThrottleEvent("b", 1, 10.0))
    producer._done(0, record(), KafkaError(KafkaError._MSG_TIMED_OUT), Message(topic="t.scores"))
    with pytest.raises(RalmError, match="a quota"):
        producer.flush()


def test_a_topic_that_takes_only_shorter_messages_is_said_with_its_setting() -> None:
    producer = producer_to(SilentBroker(0.0), [])
    producer._done(0, record(), KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), Message(topic="t.scores", key=b"u-1"))
    with pytest.raises(RalmError, match="not delivered") as caught:
        producer.flush()
    for words in ("the topic t.scores", "max.message.bytes=1048588", "message.max.bytes", "lower max_top_k", "Nothing"):
        assert words in str(caught.value)


def test_a_tool_learns_of_each_message_and_hears_nothing_of_snapshots() -> None:
    taken: list[ProducerRecord] = []
    producer = producer_to(SilentBroker(0.0), [], role=None, on_delivery=lambda sent, _: taken.append(sent))
    producer._done(1, record(b"1"), None, Message())
    producer._done(2, record(b"2"), KafkaError(KafkaError._MSG_TIMED_OUT), Message())
    producer._done(3, record(b"3"), None, Message())
    assert [sent.value for sent in taken] == [b"1", b"3"]
    with pytest.raises(RalmError, match=r"1 message was not delivered, 2 were") as caught:
        producer.flush()
    assert "snapshot" not in str(caught.value)


def test_an_interrupt_within_a_callback_is_no_error_of_the_client() -> None:
    def interrupted(_: float) -> int:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            msg = "returned a result with an exception set"
            raise SystemError(msg) from error

    producer = producer_to(SilentBroker(0.0), [], role=None)
    producer._producer.poll = interrupted  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        producer.poll(0.1)


def test_headers_are_the_schema_version_unless_they_are_given() -> None:
    with mock_cluster() as servers:
        producer = Producer({"bootstrap.servers": servers}, 10.0)
        producer.send(ProducerRecord("t", b"k", b"v", partition=0))
        producer.send(ProducerRecord("t", b"k", None, [("h", b"1")], partition=0))
        producer.flush()
        assert producer.delivered == 2
        reader = RangeReader("t", {"bootstrap.servers": servers, "group.id": "g"})
        found = [message for chunk in reader.read({0: (0, 2)}) for message in chunk.messages]
    assert [(m.value(), m.headers()) for m in found] == [(b"v", [("schema_version", b"1")]), (None, [("h", b"1")])]
