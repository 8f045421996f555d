"""What a reader makes of the errors that come instead of messages."""

from typing import Any

import pytest
from confluent_kafka import KafkaError
from hand_clock import HandClock

from flows.kafka.consumer import TopicReader
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
    with pytest.raises(RalmError, match=r"clicks\[3\] at offset 7.*kafka-delete-records"):
        reader.take(3)


def test_a_batch_that_cannot_be_read_somewhere_else_has_a_minute_of_its_own(
    polled: tuple[TopicReader, list[Any]], clock: HandClock
) -> None:
    reader, next_poll = polled
    next_poll[:] = [Failed(KafkaError._BAD_MSG)]
    assert reader.take(3) == []
    reader._partitions[3].position = 9
    clock.now = 61.0
    assert reader.take(3) == []


def test_what_passes_is_waited_for_and_what_does_not_is_raised(polled: tuple[TopicReader, list[Any]]) -> None:
    reader, next_poll = polled
    next_poll[:] = [Failed(KafkaError._TRANSPORT)]
    assert reader.take(3) == []
    next_poll[:] = [Failed(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(RalmError, match="cannot be read"):
        reader.take(3)


def test_a_broker_that_does_not_say_where_a_partition_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.kafka.consumer.LIST_TIMEOUT_S", 0.1)
    reader = TopicReader("clicks", CONFIG, 10)
    with pytest.raises(RalmError, match=r"clicks\[0\]: the broker at 127.0.0.1:1 does not say"):
        reader.add(0, None)
    with pytest.raises(RalmError, match=r"clicks\[0\]"):
        reader.end(0)
