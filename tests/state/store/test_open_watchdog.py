"""A store that RocksDB never returns from ends the process, which names the store and the remedy."""

import os
import subprocess
import sys
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from hand_clock import HandClock
from store_history import Crashed

from state.store import open_watchdog
from state.store.open_watchdog import open_watched

pytestmark = pytest.mark.slow  # together too long for `make quick`

LIMITED = "import sys; from pathlib import Path; from state.store import open_watchdog as w; w.OPEN_LIMIT_S = 1.0\n"
OPENINGS = {
    "to write": "from state.store.rocks import open_to_write; open_to_write(Path(sys.argv[1]))",
    "to read": "from state.store.seed_store import SeedStore; SeedStore.inspect(Path(sys.argv[1]))",
    "to check": "from state.store.check import check_store; check_store(Path(sys.argv[1]), 9, lambda _: None)",
}


def spoil(path: Path, pattern: str) -> None:
    """Flip the bit in the second record's type that makes it one of a recycled log, at which RocksDB loops."""
    file = max(path.glob(pattern), key=lambda each: each.stat().st_size)
    data = bytearray(file.read_bytes())
    data[7 + int.from_bytes(data[4:6], "little") + 6] |= 4
    file.write_bytes(data)


@pytest.mark.parametrize("pattern", ["MANIFEST-*", "*.log"])
@pytest.mark.parametrize("opening", OPENINGS)
def test_a_store_that_never_opens_ends_the_process(
    crashed: Crashed, tmp_path: Path, pattern: str, opening: str
) -> None:
    path = crashed.copy(tmp_path / "00003")
    spoil(path, pattern)
    before = {file.name: file.read_bytes() for file in path.iterdir() if not file.name.startswith(("LOG", "LOCK"))}
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED + OPENINGS[opening], path], check=False, capture_output=True, text=True
    )
    assert ended.returncode == 1
    assert f"the store in {path} does not open within 1 s" in ended.stderr
    assert "Move that directory away" in ended.stderr
    assert "ralm state restore" in ended.stderr
    assert {name: (path / name).read_bytes() for name in before} == before


def test_it_ends_without_a_standard_error_too(crashed: Crashed, tmp_path: Path) -> None:
    path = crashed.copy(tmp_path / "00003")
    spoil(path, "*.log")
    code = f"import os; os.close(2)\n{LIMITED}{OPENINGS['to read']}"
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == 1


Timers = list[float | None]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandClock:
    made = HandClock(100.0)
    monkeypatch.setattr(open_watchdog, "monotonic", made)
    return made


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch, clock: HandClock) -> Timers:
    """The times at which the process would end, as the timer was set; None where it was cancelled."""
    found: Timers = []

    def arm(seconds: float, *, exit: bool, file: int) -> None:  # noqa: A002 (faulthandler's own names)
        assert exit
        os.fstat(file)
        found.append(clock.now + seconds)

    monkeypatch.setattr(open_watchdog.faulthandler, "dump_traceback_later", arm)
    monkeypatch.setattr(open_watchdog.faulthandler, "cancel_dump_traceback_later", lambda: found.append(None))
    return found


def test_the_timer_is_cancelled_however_an_opening_ends(timers: Timers) -> None:
    done: Any = object()
    assert open_watched(Path("a"), lambda: done) is done

    def fail() -> Any:
        raise ValueError("no store")

    with pytest.raises(ValueError, match="no store"):
        open_watched(Path("b"), fail)
    assert timers == [160.0, None, 160.0, None]


def test_of_several_openings_the_oldest_sets_the_timer(timers: Timers, clock: HandClock) -> None:
    begun, ended = Barrier(2), Barrier(2)

    def first() -> Any:
        begun.wait(20)
        ended.wait(20)

    thread = Thread(target=open_watched, args=(Path("first"), first))
    thread.start()
    begun.wait(20)
    clock.now = 130.0
    open_watched(Path("second"), lambda: None)  # type: ignore[arg-type, return-value]

    def third() -> Any:
        ended.wait(20)
        thread.join(20)

    clock.now = 140.0
    open_watched(Path("third"), third)
    assert timers == [160.0, 160.0, 160.0, 160.0, 200.0, None]
