"""SIGTERM and SIGINT end a flow with 0 from the first moment, whatever it is doing then."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

_KILLED_AT = """
import os, sys
number, moment, events = int(sys.argv[1]), int(sys.argv[2]), 0
def count(*_):
    global events
    events += 1
    if events == moment:
        os.kill(os.getpid(), number)
del sys.argv[1:3]
import flows.cli.start as start
sys.addaudithook(count)
try:
    start.main()
finally:
    print("events", events)
"""
"""A process that sends itself a signal when the interpreter has reported so many imports, opened files and the like."""
_RUN = ("run", "look-alike", "--bundle", "none", "--bootstrap-servers", "127.0.0.1:1")
_AS_FIRST = ("unshare", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


def run(folder: Path, number: int, moment: int, *arguments: str, before: tuple[str, ...] = ()) -> tuple[int, str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RALM_")}
    command = [*before, sys.executable, "-c", _KILLED_AT, str(number), str(moment), *arguments]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many events there are until a flow without a bundle and a broker is asked to stop for want of both."""
    code, out, err = run(tmp_path_factory.mktemp("whole"), signal.SIGTERM, 0, "run", "look-alike", "--window", "never")
    assert code == 2, err
    return int(out.split()[-1])


@pytest.mark.parametrize("draw", range(10))
def test_a_signal_at_any_moment_ends_a_flow_with_0(tmp_path: Path, events: int, draw: int) -> None:
    rng = random.Random(draw)
    number, moment = rng.choice((signal.SIGTERM, signal.SIGINT)), 1 + int(events * 0.95 * rng.random() ** 2)
    code, _, err = run(tmp_path, number, moment, *_RUN)
    assert code == 0, f"signal {number} at event {moment}: {err}"
    assert "nothing was read" in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_so_does_one_to_the_first_process_of_a_container(tmp_path: Path, events: int) -> None:
    if (
        shutil.which("unshare") is None
        or subprocess.run([*_AS_FIRST, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("this user may not make process namespaces")
    assert run(tmp_path, signal.SIGTERM, events // 2, *_RUN, before=_AS_FIRST)[0] == 0
    assert run(tmp_path, signal.SIGTERM, 1000, "topics", before=_AS_FIRST)[0] == 128 + signal.SIGTERM


@pytest.mark.parametrize("arguments", [("run", "seeds", "--check"), ("topics",)])
def test_what_was_not_done_is_not_called_done(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert run(tmp_path, signal.SIGTERM, 1000, *arguments)[0] == -signal.SIGTERM
