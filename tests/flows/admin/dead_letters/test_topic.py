"""Reading a topic to its end ends, whatever the broker does."""

from collections import deque
from typing import Any

import pytest
from confluent_kafka import KafkaError, Message

from flows.admin.dead_letters.topic import Spans, _Reading
from flows.support.errors import RalmError

END = KafkaError(KafkaError._PARTITION_EOF)
MOVED = KafkaError(KafkaError.LEADER_NOT_AVAILABLE, "no leader yet", retriable=True)


class Told:
    """A consumer that gives what it is told to, one poll after another, each of which takes ten seconds."""

    def __init__(self, polls: list[list[Message]], then: list[Message]) -> None:
        self.now, self._polls, self._then = 0.0, polls, then

    def assign(self, _: Any) -> None:
        pass

    def consume(self, *_: Any, **__: Any) -> list[Message]:
        self.now += 10.0
        assert self.now < 1000.0, "it would wait for ever"
        return self._polls.pop(0) if self._polls else self._then


def read(consumer: Told, spans: Spans, told: list[KafkaError] | None = None) -> list[int]:
    reading = _Reading(consumer, "letters", lambda *_: None, deque(told or [], 1), lambda: consumer.now)  # type: ignore[arg-type]
    return [message.offset() or 0 for message in reading.messages(spans)]


def message(offset: int, error: KafkaError | None = None) -> Message:
    return Message(topic="letters", partition=0, offset=offset, value=b"v", error=error)


@pytest.mark.parametrize("code", [KafkaError.LEADER_NOT_AVAILABLE, KafkaError._TRANSPORT])
def test_errors_are_no_sign_of_life_and_the_last_is_said(code: int) -> None:
    consumer = Told([[message(0)]], then=[message(1, KafkaError(code, "it is away", retriable=code > 0))])
    with pytest.raises(RalmError, match=r"nothing came from the topic letters for 60 s \(it is away\)"):
        read(consumer, {0: (0, 5)})
    assert consumer.now == pytest.approx(80.0)


def test_what_the_client_has_told_beside_is_said_too() -> None:
    with pytest.raises(RalmError, match=r"\(no leader yet\): look whether"):
        read(Told([], then=[]), {0: (0, 5)}, [MOVED])


def test_an_error_that_was_over_is_not_said() -> None:
    with pytest.raises(RalmError, match=r"for 60 s: look whether"):
        read(Told([[message(0, MOVED)], [message(0)]], then=[]), {0: (0, 5)})


def test_slow_is_not_silent_and_the_end_of_a_partition_ends_it() -> None:
    slow = [part for offset in range(9) for part in ([], [message(offset, MOVED)], [], [message(offset)])]
    assert read(Told([*slow, [message(9, END)]], then=[]), {0: (0, 20)}) == list(range(9))
