"""A consumer is closed in bounded time, whether or not the broker answers."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import Consumer

from flows.kafka.consumer_end import close_with_timeout


def test_a_consumer_is_closed() -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0})
    assert close_with_timeout(consumer, "clicks")
    with pytest.raises(RuntimeError):
        consumer.poll(0)


def test_one_that_is_not_answered_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    answered = threading.Event()
    silent: Any = SimpleNamespace(close=answered.wait)
    assert not close_with_timeout(silent, "clicks", timeout_s=0.01)
    assert "did not close in time" in "".join(capsys.readouterr())
    answered.set()
