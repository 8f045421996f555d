"""Following a topic: positions, starts, and what a reader makes of the errors that come instead of messages."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from hand_clock import HandClock
from transactions import transaction
from waiting import close_in_time, wait_until

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.topics import TopicNames
from flows.support.errors import RalmError

CONFIG = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}


class Failed:
    """A polled message that is an error; only the library can make one, and only a damaged topic this kind."""

    def __init__(self, code: int) -> None:
        self._error = KafkaError(code)

    def error(self) -> KafkaError:
        return self._error

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 7


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def polled(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> tuple[TopicReader, list[Any]]:
    reader, next_poll = TopicReader("clicks", CONFIG, 10, clock), list[Any]()
    reader.add(3, 7)

    class Polls:
        def consume(self, *_: Any, **__: Any) -> list[Any]:
            return next_poll

        def __getattr__(self, name: str) -> Any:
            return getattr(consumer, name)

    consumer = reader._consumer
    monkeypatch.setattr(reader, "_consumer", Polls())
    return reader, next_poll


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION])
def test_a_batch_that_stays_unreadable_stops_the_flow_in_words(
    code: int, polled: tuple[TopicReader, list[Any]], clock: HandClock
) -> None:
    reader, next_poll = polled
    next_poll[:] = [Failed(code)]
    assert reader.take(3) == []
    clock.now = 59.0
    assert reader.take(3) == []
    clock.now = 61.0
    with pytest.raises(RalmError, match=r"clicks\[3\] at offset 7.*--step-over (all|oversized)"):
        reader.take(3)


def test_a_batch_that_cannot_be_read_somewhere_else_has_a_minute_of_its_own(
    polled: tuple[TopicReader, list[Any]], clock: HandClock
) -> None:
    reader, next_poll = polled
    next_poll[:] = [Failed(KafkaError._BAD_MSG)]
    assert reader.take(3) == []
    reader._partitions[3].fetched = 9
    clock.now = 61.0
    assert reader.take(3) == []


def test_what_passes_is_waited_for_and_what_does_not_is_raised(polled: tuple[TopicReader, list[Any]]) -> None:
    reader, next_poll = polled
    next_poll[:] = [Failed(KafkaError._TRANSPORT)]
    assert reader.take(3) == []
    next_poll[:] = [Failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    assert reader.take(3) == []
    next_poll[:] = [Failed(KafkaError.UNSUPPORTED_VERSION)]
    with pytest.raises(RalmError, match="cannot be read"):
        reader.take(3)


class Bounds:
    """What the broker says that it has."""

    def __init__(self, first: int, end: int) -> None:
        self.both = first, end

    def bounds(self, *_: Any) -> dict[int, tuple[int, int]]:
        return {3: self.both}


@pytest.mark.parametrize(
    ("first", "end", "words"),
    [
        (9, 20, r"offset 7 to 8 were deleted.*Keep the state directory.*--rebuild partial.*goes on at offset 9"),
        (0, 5, r"ends at offset 5 and was read up to 7.*Keep the state directory.*--rebuild partial"),
    ],
)
def test_offsets_that_are_gone_cost_no_store(
    first: int, end: int, words: str, polled: tuple[TopicReader, list[Any]], clock: HandClock, monkeypatch: Any
) -> None:
    reader, next_poll = polled
    monkeypatch.setattr(reader, "_probe", lambda: Bounds(first, end))
    next_poll[:] = [Failed(KafkaError._AUTO_OFFSET_RESET)]

    def take_for_two_minutes() -> None:
        for _ in range(3):
            assert reader.take(3) == []
            clock.now += 40.0

    with pytest.raises(RalmError, match=words):
        take_for_two_minutes()


@pytest.mark.parametrize(("first", "end"), [(9, 20), (2, 5)])
def test_what_is_gone_of_a_topic_of_which_nothing_is_kept_is_passed_over(
    first: int, end: int, polled: tuple[TopicReader, list[Any]], clock: HandClock, monkeypatch: Any
) -> None:
    reader, next_poll = polled
    reader._skip_gone = True
    monkeypatch.setattr(reader, "_probe", lambda: Bounds(first, end))
    next_poll[:] = [Failed(KafkaError._AUTO_OFFSET_RESET)]
    for _ in range(3):
        assert reader.take(3) == []
        clock.now += 40.0
    assert reader.position(3) == first


def test_an_offset_that_a_new_leader_lacks_for_a_while_is_waited_for(
    polled: tuple[TopicReader, list[Any]], clock: HandClock, monkeypatch: Any
) -> None:
    reader, next_poll = polled
    broker = Bounds(0, 5)
    monkeypatch.setattr(reader, "_probe", lambda: broker)
    next_poll[:] = [Failed(KafkaError._AUTO_OFFSET_RESET)]
    assert reader.take(3) == []
    broker.both = 0, 9
    for _ in range(9):
        clock.now += 20.0
        assert reader.take(3) == []


@pytest.mark.broker
def test_behind_marks_and_aborted_records_the_lag_is_0_and_the_group_knows(
    topics: Callable[..., Settings], broker: str
) -> None:
    settings = topics(partitions=1)
    name = TopicNames.of(settings).clicks
    transaction(broker, name, [b"1", b"2"], commit=True)
    transaction(broker, name, [b"never"] * 20, commit=False)
    reader = TopicReader(name, consumer_config(settings), 10)
    reader.add(0, 0)
    taken: list[bytes | None] = []
    wait_until(lambda: taken.extend(m.value() for m in reader.take(0)) or reader.at_end(0))
    assert taken == [b"1", b"2"]
    assert reader.position(0) > 20
    assert reader.lag(0) == 0
    assert reader.committed(0) is None
    reader.commit_all({0: reader.position(0)})
    assert reader.committed(0) == reader.position(0)
    group = Consumer(consumer_config(settings))
    wait_until(lambda: group.committed([TopicPartition(name, 0)], timeout=10)[0].offset == reader.position(0))
    close_in_time(group.close)
    reader.close()


@pytest.mark.broker
def test_a_whole_topic_is_followed(topics: Callable[..., Settings], client: Any) -> None:
    settings = topics(partitions=3)
    name = TopicNames.of(settings).scores
    client.send_all(name, [(str(number), b"v") for number in range(20)])
    reader = TopicReader(name, consumer_config(settings), 10)
    ends = reader.add_all()
    assert sum(ends.values()) == 20
    found: list[Any] = []
    wait_until(lambda: found.extend(reader.take_all(0.1)) or len(found) == 20)
    assert all(reader.position(partition) == end for partition, end in ends.items())
    client.send_all(name, [("late", b"v")])
    wait_until(lambda: [m.key() for m in reader.take_all(0.1)] == [b"late"])
    reader.close()
