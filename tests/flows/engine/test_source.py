"""A worker rests once all its partitions had nothing, and never while one has something."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Message
from hypothesis import given
from hypothesis import strategies as st

from flows.engine.source import IdleBackoff, PartitionReader, SourceOptions


@given(st.integers(1, 6), st.lists(st.booleans(), max_size=60))
def test_it_rests_only_after_a_turn_without_anything(partitions: int, turns: list[bool]) -> None:
    rests: list[float] = []
    idle, empty = IdleBackoff(rests.append), 0
    for _ in range(partitions):
        idle.opened()
    for has_something in turns:
        before = len(rests)
        if has_something:
            idle.took()
            empty = 0
        else:
            idle.empty()
            empty += 1
        assert len(rests) - before == (empty == partitions)
        empty = 0 if empty == partitions else empty


def test_partitions_that_are_closed_are_not_waited_for() -> None:
    rests: list[float] = []
    idle = IdleBackoff(rests.append)
    idle.opened()
    idle.opened()
    idle.closed()
    idle.empty()
    assert len(rests) == 1


def test_rests_grow_once_nothing_came_for_long() -> None:
    rests: list[float] = []
    idle = IdleBackoff(rests.append)
    idle.opened()
    for _ in range(300):
        idle.empty()
    assert rests[0] < rests[-1] <= 0.02
    idle.took()
    idle.empty()
    assert rests[-1] == rests[0]


class EmptyTopic:
    """A reader whose partition stands at its end."""

    def add(self, *_: Any) -> None:
        pass

    def take(self, _: int) -> list[Any]:
        return []

    def at_end(self, _: int) -> bool:
        return True

    def position(self, _: int) -> int:
        return 7

    def lag(self, _: int) -> int:
        return 0


class FilledTopic(EmptyTopic):
    """A reader that stands at the end when it is told to, and then has a message at each poll."""

    messages = 0
    ends = False

    def take(self, _: int) -> list[Any]:
        return [Message("clicks", 0, 0)] * self.messages

    def at_end(self, _: int) -> bool:
        return self.ends


def test_messages_came_after_the_reader_last_stood_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("flows.engine.source.time.monotonic", lambda: clock.now)
    options, topic = SourceOptions("requests", "requests", {}, 10, lambda *_: 7, lambda: False), FilledTopic()
    reader = PartitionReader(options, topic, 0)  # type: ignore[arg-type]

    def waited(messages: int, *, ends: bool) -> int | None:
        clock.now += 1.0
        topic.messages, topic.ends = messages, ends
        (batch,) = reader.next_batch()
        return batch.waited

    assert [waited(1, ends=False), waited(1, ends=True)] == [None, None]  # a backlog
    assert [waited(1, ends=False), waited(1, ends=False), waited(1, ends=True)] == [1000, 2000, 3000]
    assert [waited(0, ends=True), waited(1, ends=True)] == [1000, 1000]


def test_that_it_stands_at_the_end_is_not_known_after_a_pause_or_in_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what waited meanwhile would count as new, and be answered long after its time."""
    clock = SimpleNamespace(now=100.0, last_error=0.0)
    monkeypatch.setattr("flows.engine.source.time.monotonic", lambda: clock.now)
    options = SourceOptions(
        "requests", "requests", {}, 10, lambda *_: 7, lambda: False, last_error=lambda: clock.last_error
    )
    topic = FilledTopic()
    reader = PartitionReader(options, topic, 0)  # type: ignore[arg-type]

    def waited(messages: int, after: float = 1.0) -> int | None:
        clock.now += after
        topic.messages, topic.ends = messages, True
        return next((batch.waited for batch in reader.next_batch()), None)

    assert [waited(1), waited(1)] == [None, 1000]
    assert [waited(0, 600), waited(1)] == [600_000, 601_000]  # stopped for ten minutes; the client had not fetched yet
    assert waited(1) == 1000
    for _ in range(20):  # nothing comes, and a minute later the client says that it is cut off
        waited(0)
    clock.last_error = clock.now
    assert [waited(0), waited(0), waited(1)] == [1000, 2000, 3000]
    assert waited(1) == 1000
    for _ in range(20):
        waited(0)
    assert waited(1) == 1000


def test_a_partition_that_may_not_be_read_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0, is_open=True)
    monkeypatch.setattr("flows.engine.source.time.monotonic", lambda: clock.now)
    options = SourceOptions("clicks", "clicks", {}, 10, lambda *_: 7, lambda: False, open=lambda: clock.is_open)
    reader = PartitionReader(options, EmptyTopic(), 0)  # type: ignore[arg-type]

    def idle() -> list[int]:
        clock.now += 1.0
        return [batch.idle for batch in reader.next_batch()]

    assert [idle(), idle()] == [[1000], [2000]]
    clock.is_open = False
    assert [idle(), idle()] == [[], []]
    clock.is_open = True
    assert [idle(), idle()] == [[1000], [2000]]


class MovingTopic(EmptyTopic):
    """A reader that moves on with each look, and what was committed."""

    def __init__(self) -> None:
        self.at = 7
        self.committed: list[tuple[int, int]] = []

    def position(self, _: int) -> int:
        return self.at

    def commit(self, partition: int, offset: int, _: str) -> None:
        self.committed.append((partition, offset))


def test_what_was_read_is_committed_once_the_next_epoch_ends() -> None:
    topic = MovingTopic()
    reader = PartitionReader(SourceOptions("clicks", "clicks", {}, 10, lambda *_: 7, lambda: False), topic, 3)  # type: ignore[arg-type]
    for position in (9, 12, 12):
        topic.at = position
        reader.snapshot()
    assert topic.committed == [(3, 9), (3, 12)]


def test_a_partition_waits_for_another_topic() -> None:
    told: list[int] = []
    waits = SourceOptions("clicks", "clicks", {}, 10, lambda *_: 7, lambda: False, after=lambda p: p in told)
    candidates = SourceOptions("candidates", "candidates", {}, 10, lambda *_: 7, lambda: False)
    clicks = PartitionReader(waits, MovingTopic(), 3)  # type: ignore[arg-type]
    other = PartitionReader(candidates, EmptyTopic(), 3, told.append)  # type: ignore[arg-type]
    clicks._reader.at = 8  # type: ignore[attr-defined]
    assert clicks.next_batch() == []
    other.next_batch()
    assert told == [3]
    assert [batch.next_offset for batch in clicks.next_batch()] == [8]
