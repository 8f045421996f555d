"""Reading again: an end that comes too early, as with a new leader, is no end."""

from typing import Any

import pytest
from confluent_kafka import KafkaError

from flows.kafka.range_reader import History


class Entry:
    """What a poll gives: a message, or the end of the partition. Only a cluster that loses a leader ends early."""

    def __init__(self, offset: int, code: int | None = None) -> None:
        self._offset = offset
        self._error = None if code is None else KafkaError(code)

    def offset(self) -> int:
        return self._offset

    def error(self) -> KafkaError | None:
        return self._error


class Broker:
    """Stands for a consumer."""

    def __init__(self, polls: list[list[Entry]]) -> None:
        self._polls = iter(polls)

    def get_watermark_offsets(self, *_: Any, **__: Any) -> tuple[int, int]:
        return 0, 100

    def assign(self, _: Any) -> None:
        pass

    def consume(self, *_: Any, **__: Any) -> list[Entry]:
        return next(self._polls)

    def close(self) -> None:
        pass


def end(offset: int) -> Entry:
    return Entry(offset, KafkaError._PARTITION_EOF)


@pytest.mark.parametrize(
    ("polls", "read"),
    [
        ([[Entry(o) for o in range(60)] + [end(60)], [end(60)], [Entry(o) for o in range(60, 100)]], 100),
        ([[Entry(o) for o in range(99)], [end(100)]], 99),
    ],
    ids=["a new leader ends early", "the last is a transaction's mark"],
)
def test_all_up_to_the_end_is_read(polls: list[list[Entry]], read: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.kafka.range_reader.Consumer", lambda _: Broker(polls))
    history = History({}, "complete", lambda _: None)
    batches = list(history.read("clicks", "clicks", 0, (0, 100)))
    assert sum(len(batch.messages) for batch in batches) == read
