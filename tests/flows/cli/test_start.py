"""SIGTERM, SIGINT and SIGHUP end a flow with 0 from the first moment, and other commands without a trace."""

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
    number, moment = (
        rng.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)),
        1 + int(events * 0.95 * rng.random() ** 2),
    )
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("arguments", [("run", "seeds", "--check"), ("topics",)])
def test_what_was_not_done_is_not_called_done(tmp_path: Path, arguments: tuple[str, ...], number: int) -> None:
    code, _, err = run(tmp_path, number, 1000, *arguments)
    assert (code, err) == (-number, "")


_BLOCKS = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {{{numbers}}}); {send}; {run}"
_STARTS = "os.execv(sys.executable, [sys.executable, '-m', 'flows.cli.start', *sys.argv[1:]])"


def started_with_blocked(folder: Path, numbers: tuple[int, ...], *arguments: str) -> tuple[int, str]:
    """As `env --block-signal` starts a command; the signals have come before its interpreter does."""
    send = "; ".join(f"os.kill(os.getpid(), {number})" for number in numbers)
    code = _BLOCKS.format(numbers=",".join(map(str, numbers)), send=send, run=_STARTS)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_was_held_back_until_there_is_a_handler_is_not_lost(tmp_path: Path, number: int) -> None:
    code, err = started_with_blocked(tmp_path, (number,), *_RUN)
    assert (code, err) == (0, "ralm: stopped before it had begun: nothing was read\n")
    assert started_with_blocked(tmp_path, (number,), "topics") == (-number, "")


def test_the_release_of_a_brake_that_comes_too_early_ends_no_flow(tmp_path: Path) -> None:
    code, err = started_with_blocked(tmp_path, (signal.SIGUSR1,), "run", "look-alike", "--window", "never")
    assert code == 2, err


def test_a_command_that_no_terminal_holds_takes_no_notice_when_one_is_closed(tmp_path: Path) -> None:
    code, _, err = run(tmp_path, signal.SIGHUP, 1000, "topics", "--widnow", "1s", before=("nohup",))
    assert (code, "No such option" in err) == (2, True), err


@pytest.mark.parametrize("more", [(), ("-X", "utf8=0")])
def test_a_locale_of_ascii_alone_leaves_texts_as_they_are(tmp_path: Path, more: tuple[str, ...]) -> None:
    """What was typed is UTF-8, whatever the locale has; a second interpreter is begun once at most."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, *more, "-m", "flows.cli.start", "train", "Žofie"]
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | ascii_only, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert ("there is no data set Žofie" in done.stderr) is not bool(more), done.stderr
    assert "Traceback" not in done.stderr


_TRAINS = """
import os, sys
import flows.cli.main as cli
import ralm.encoders.spectral  # what is interrupted is the work
import state.bundle.bundle as bundle
number, wrote = int(sys.argv.pop(1)), []
def stop_at_the_first_file(event, arguments):
    if event == "open" and not wrote and "bundle-" in str(arguments[0]):
        wrote.append(arguments)
        os.kill(os.getpid(), number)
sys.addaudithook(stop_at_the_first_file)
import flows.cli.start as start
try:
    start.main()
finally:
    assert wrote
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_command_that_is_stopped_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    shutil.copytree(Path(__file__).parents[3] / "examples/own_data", tmp_path / "own")
    prepare = ("data", "own", "--from", "own", "--data-dir", "data")
    subprocess.run([sys.executable, "-m", "flows.cli.start", *prepare], cwd=tmp_path, check=True)
    before = sorted(tmp_path.iterdir())
    command = [sys.executable, "-c", _TRAINS, str(number), "train", "own", "--data-dir", "data", "--bundle", "bundle"]
    done = subprocess.run(
        [*command, "--encoder", "spectral"], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == (-number if number == signal.SIGINT else 128 + number), done.stderr
    assert done.stderr.splitlines()[-1] == f"ralm: stopped by {signal.Signals(number).name}"
    assert "Traceback" not in done.stderr
    assert sorted(tmp_path.iterdir()) == before
