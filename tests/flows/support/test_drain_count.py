from pathlib import Path

import pytest

from flows.support.drain_count import DrainCount
from monitoring import metrics


def count(folder: Path, process_id: int = 0) -> tuple[DrainCount, float]:
    """What a process that starts finds."""
    before = metrics.DRAINED_STOPS._value.get()
    made = DrainCount(folder, process_id)
    return made, metrics.DRAINED_STOPS._value.get() - before


def test_drains_are_counted_and_crashes_are_not(tmp_path: Path) -> None:
    for drains in range(3):
        process, found = count(tmp_path)
        assert found == drains
        _, found = count(tmp_path)  # the one before crashed
        assert found == drains
        process.drained()
    assert count(tmp_path, process_id=1)[1] == 0, "each process has its own"
    assert [path.name for path in tmp_path.iterdir()] == ["process-0.drains"]


@pytest.mark.parametrize("damage", [b"", b"three", b"-4", b"\xff\xfe"])
def test_a_damaged_count_begins_again(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "process-0.drains").write_bytes(damage)
    process, found = count(tmp_path)
    assert found == 0
    process.drained()
    assert count(tmp_path)[1] == 1


def test_a_count_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    process, _ = count(tmp_path)
    tmp_path.joinpath("process-0.drains").mkdir()
    process.drained()
