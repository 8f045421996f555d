"""Reading a span ends where the client says that it ends, and never in silence."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from hand_clock import HandClock
from transactions import transaction

from flows.config.settings import Settings
from flows.kafka import range_reader
from flows.kafka.config import consumer_config
from flows.kafka.probe import BrokerProbe
from flows.kafka.range_reader import RangeReader, Span, read_to_end
from flows.kafka.topics import TopicNames
from flows.support.errors import RalmError

MOVED = KafkaError(KafkaError.LEADER_NOT_AVAILABLE, "no leader yet", retriable=True)


class Polls:
    """A consumer that gives one poll after another, each of which takes ten seconds."""

    def __init__(self, clock: HandClock, polls: list[list[Message]], then: list[Message]) -> None:
        self._clock, self._polls, self._then = clock, polls, then

    def assign(self, _: Any) -> None:
        pass

    def consume(self, *_: Any, **__: Any) -> list[Message]:
        self._clock.now += 10.0
        assert self._clock.now < 1000.0, "it would wait for ever"
        return self._polls.pop(0) if self._polls else self._then

    def close(self) -> None:
        pass


class NoAnswer:
    """A broker that says nothing of itself."""

    def __init__(self, _: Any) -> None:
        pass

    def bounds(self, *_: Any) -> Any:
        raise RalmError


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def read(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Offsets that are read of a span of partition 0."""

    def reading(span: Span, polls: list[list[Message]], then: list[Message], told: KafkaError | None = None) -> Any:
        monkeypatch.setattr(range_reader, "Consumer", lambda _: Polls(clock, polls, then))
        monkeypatch.setattr(range_reader, "BrokerProbe", NoAnswer)
        reader = RangeReader("letters", {"bootstrap.servers": "a:1"}, clock=clock)
        if told is not None:
            reader._on_error(told)
        return [message.offset() for chunk in reader.read({0: span}) for message in chunk.messages]

    return reading


def message(offset: int, error: KafkaError | None = None) -> Message:
    return Message(topic="letters", partition=0, offset=offset, value=b"v", error=error)


def messages(first: int, end: int) -> list[Message]:
    return [message(offset) for offset in range(first, end)]


def end(offset: int) -> Message:
    return message(offset, KafkaError(KafkaError._PARTITION_EOF))


@pytest.mark.parametrize(
    ("polls", "expected"),
    [
        ([[*messages(0, 60), end(60)], [end(60)], messages(60, 100)], 100),
        ([messages(0, 99), [end(100)]], 99),
        ([[*messages(0, 99), message(105)]], 99),
        ([[end(100)]], 0),
    ],
    ids=["a new leader ends early", "marks at the end", "marks in the middle", "all of it aborted"],
)
def test_all_up_to_the_end_is_read(read: Callable[..., list[int]], polls: list[list[Message]], expected: int) -> None:
    assert read((0, 100), polls, []) == list(range(expected))


def test_a_span_without_offsets_asks_nobody(read: Callable[..., list[int]]) -> None:
    assert read((7, 7), [], []) == []


@pytest.mark.parametrize("code", [KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT])
def test_errors_are_no_progress_and_the_last_is_said(
    read: Callable[..., list[int]], clock: HandClock, code: int
) -> None:
    with pytest.raises(RalmError, match=r"nothing came from the topic letters for 60 s \(it is away\): \[0\] stands"):
        read((0, 5), [[message(0)]], [message(1, KafkaError(code, "it is away", retriable=code > 0))])
    assert clock.now == pytest.approx(80.0)


def test_what_the_client_has_said_beside_is_said_too(read: Callable[..., list[int]]) -> None:
    with pytest.raises(RalmError, match=r"\(no leader yet\): \[0\] stands at 0 and is to reach 5. Look whether"):
        read((0, 5), [], [], MOVED)


def test_an_error_that_was_over_is_not_said(read: Callable[..., list[int]]) -> None:
    with pytest.raises(RalmError, match=r"for 60 s: \[0\] stands at 1"):
        read((0, 5), [[message(0, MOVED)], [message(0)]], [])


def test_slow_is_not_silent(read: Callable[..., list[int]]) -> None:
    slow = [part for offset in range(9) for part in ([], [message(offset, MOVED)], [], [message(offset)])]
    assert read((0, 20), [*slow, [end(20)]], []) == list(range(9))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "the topic letters at a:1 cannot be read"),
        (KafkaError.OFFSET_OUT_OF_RANGE, "deleted while they were read"),
        (KafkaError._AUTO_OFFSET_RESET, "deleted while they were read"),
    ],
)
def test_what_lasts_is_raised(read: Callable[..., list[int]], code: int, text: str) -> None:
    with pytest.raises(RalmError, match=text):
        read((0, 5), [], [message(0, KafkaError(code))])


@pytest.mark.broker
def test_a_topic_is_read_to_its_end_behind_aborted_records_and_marks(
    topics: Callable[..., Settings], broker: str, client: Any
) -> None:
    settings = topics(partitions=2)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [(b"k", b"other")], partition=1)
    transaction(broker, name, [b"1", b"2"], commit=True)
    transaction(broker, name, [b"never"] * 20, commit=False)
    done: list[tuple[int, int]] = []
    found = list(read_to_end(settings, name, progress=lambda *passed: done.append(passed)))
    assert sorted(message.value() or b"" for message in found) == [b"1", b"2", b"other"]
    assert done[-1][0] == done[-1][1] >= 23
    bounds = BrokerProbe(consumer_config(settings)).bounds(name, [0])
    assert bounds[0][1] > 20, "the end lies behind the aborted records"
    chunks = list(RangeReader(name, consumer_config(settings)).read(bounds))
    assert [message.value() for chunk in chunks for message in chunk.messages] == [b"1", b"2"]
    assert chunks[-1].next_offset == bounds[0][1]


@pytest.mark.broker
def test_reading_from_a_time_or_a_place(topics: Callable[..., Settings], client: Any) -> None:
    settings = topics(partitions=2)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [(b"k", str(number).encode()) for number in range(5)], partition=0)

    def values(**given: Any) -> list[bytes]:
        return [message.value() or b"" for message in read_to_end(settings, name, **given)]

    assert values(start=(0, 3)) == [b"3", b"4"]
    third = next(m for m in read_to_end(settings, name) if m.offset() == 2)
    assert b"2" in values(since=third.timestamp()[1])
    assert values(since=third.timestamp()[1] + 3_600_000) == []
    with pytest.raises(RalmError, match=r"has no offset 9: it has offsets 0 to 4"):
        values(start=(0, 9))
    with pytest.raises(RalmError, match="has no partition 7: it has 0 to 1"):
        values(start=(7, 0))


def test_a_broker_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_reader, "BrokerProbe", lambda config: BrokerProbe(config, timeout_s=0.5))
    with pytest.raises(RalmError, match=r"no broker answers at 127.0.0.1:1 within 0.5 s"):
        list(read_to_end(Settings(bootstrap_servers="127.0.0.1:1"), "clicks"))


def delete_up_to(servers: str, offsets: Mapping[tuple[str, int], int]) -> None:
    places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
    admin = AdminClient({"bootstrap.servers": servers})  # must outlive its futures
    for future in admin.delete_records(places).values():
        future.result(timeout=20)
