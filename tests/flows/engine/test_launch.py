"""How a flow ends when the engine, a producer or a store has failed: with its cause, and nothing raised over it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.engine import failures, launch
from flows.engine.launch import _engine_cause
from flows.engine.sink import SinkPart
from flows.kafka.producer import Producer
from flows.messages.batches import OutMessage
from flows.support.errors import RalmError
from state.directory import recovery_folders

RECOVERY = Path("/srv/ralm/recovery")


class PanicException(BaseException):
    """Named like the engine's."""


@pytest.fixture(autouse=True)
def _nothing_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_raised", [])


def test_a_full_disk_under_the_recovery_data_is_said() -> None:
    found = _engine_cause(RuntimeError("SqliteFailure(Error { code: DiskFull }, ...)"), RECOVERY)
    assert found is not None
    assert str(RECOVERY) in str(found)
    assert "start again" in str(found)


def test_a_panic_without_a_reason_points_at_the_peers_and_the_disk() -> None:
    found = _engine_cause(PanicException("Send thread panic"), RECOVERY)
    assert found is not None
    assert "another process" in str(found)
    assert str(RECOVERY) in str(found)


def test_an_address_that_cannot_be_listened_on_is_said() -> None:
    error = RuntimeError("(src/run.rs:274:10) failed to initialize networking: Address already in use (os error 98)")
    assert "cannot listen at its entry in addresses" in str(_engine_cause(error, RECOVERY))


def test_a_panic_whose_reason_is_known_and_a_fault_of_the_program_are_left_alone() -> None:
    assert _engine_cause(TypeError("x"), RECOVERY) is None
    failures._raised.append(TypeError("x"))
    assert _engine_cause(PanicException("Send thread panic"), RECOVERY) is None


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


def test_recovery_data_that_is_still_being_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def make(folder: str, _: int) -> None:
        (Path(folder) / "part-0.sqlite3").touch()
        seen.append((Path(folder).parent, recovery_folders(tmp_path)))

    monkeypatch.setattr(launch, "init_db_dir", make)
    path = tmp_path / "recovery" / "look-alike"
    launch._prepare_recovery(path, 1)
    assert seen == [(path.parent, [])]
    assert recovery_folders(tmp_path) == [path]


def test_who_may_read_recovery_data_is_what_the_umask_says(tmp_path: Path, under: Callable[[int], object]) -> None:
    under(0o027)
    launch._prepare_recovery(tmp_path / "recovery" / "look-alike", 1)
    assert (tmp_path / "recovery" / "look-alike").stat().st_mode & 0o777 == 0o750
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "recovery" / "look-alike").iterdir()} == {0o640}
    assert not list((tmp_path / "recovery").glob(".*"))
