"""How a flow ends when the engine, a producer or a store has failed: with its cause, and nothing raised over it."""

from typing import Any

import pytest

from flows.engine import failures
from flows.engine.launch import _engine_cause
from flows.engine.sink import SinkPart
from flows.kafka.producer import Producer
from flows.messages.batches import OutMessage
from flows.support.errors import RalmError


class PanicException(BaseException):
    """Named like the engine's."""


@pytest.fixture(autouse=True)
def _nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_raised", [])


def test_a_panic_without_a_reason_points_at_the_peers() -> None:
    found = _engine_cause(PanicException("Send thread panic"))
    assert found is not None
    assert "another process" in str(found)


def test_an_address_that_cannot_be_listened_on_is_said() -> None:
    error = RuntimeError("(src/run.rs:274:10) failed to initialize networking: Address already in use (os error 98)")
    assert "cannot listen at its entry in addresses" in str(_engine_cause(error))


def test_a_panic_whose_reason_is_known_and_a_fault_of_the_program_are_left_alone() -> None:
    assert _engine_cause(TypeError("x")) is None
    failures._raised.append(TypeError("x"))
    assert _engine_cause(PanicException("Send thread panic")) is None


class _Broken:
    """A producer with a fatal error, as the client has it."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def produce(self, *_: Any, **__: Any) -> None:
        raise BufferError

    def poll(self, _: float) -> int:
        raise self._error

    flush = poll


def test_a_fatal_error_of_the_producer_is_said_and_closing_is_silent() -> None:
    error = SystemError("returned NULL without setting an exception")
    producer = Producer({}, 1.0)
    producer._producer = _Broken(error)
    part = SinkPart(producer, "topic-1")
    with pytest.raises(RalmError, match="topic-1 cannot go on"):
        part.write_batch([OutMessage(b"k", b"v")])
    with pytest.raises(RalmError, match="topic-1 cannot go on"):
        part.snapshot()
    part.close()
