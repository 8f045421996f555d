"""A command that a library aborts, or the system kills, is done once more, whichever streams it has."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

_READS = """
import os, sys
from flows.cli.watch import watch_over_command
from flows.support import ends
deadly = int(sys.argv.pop(1)), int(sys.argv.pop(1))
watch_over_command()
if deadly[ends.once]:
    os.kill(os.getpid(), deadly[ends.once])
print("read", "by batch" if ends.once else "at once")
sys.exit(3)
"""
"""A command that two signals end, the first time and the second; 0 is none."""
_NO_FORK = """
import os
def fork():
    raise BlockingIOError(11, "Resource temporarily unavailable")
os.fork = fork
"""
_WATCHED = (("dead-letters", "list"), ("run", "look-alike", "--check"), ("ask", "u"))


def command(
    first: int, second: int, *arguments: str, source: str = _READS, before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess[str]:
    given = [sys.executable, "-c", source, str(int(first)), str(int(second)), *arguments]
    return subprocess.run(given, text=True, timeout=60, check=False, preexec_fn=before, capture_output=True)


@pytest.mark.parametrize("arguments", _WATCHED)
def test_what_ends_a_command_is_said_and_read_around(arguments: tuple[str, ...]) -> None:
    done = command(signal.SIGABRT, 0, *arguments)
    assert (done.returncode, done.stdout) == (3, "read by batch\n")
    assert done.stderr.startswith("ralm: what was read ended the command (signal 6): it ")
    twice = command(signal.SIGKILL, signal.SIGSEGV, *arguments)
    assert (twice.returncode, twice.stdout) == (1, "")
    assert "ended again (signal 11), and not by a batch" in twice.stderr
    assert command(0, 0, *arguments).stdout == "read at once\n"


@pytest.mark.parametrize("arguments", [("topics",), ("run", "look-alike"), ("ask", "--help"), ()])
def test_a_flow_and_what_reads_nothing_are_not_watched(arguments: tuple[str, ...]) -> None:
    assert command(signal.SIGABRT, 0, *arguments).returncode == -signal.SIGABRT


def test_it_is_done_once_more_also_where_nothing_can_be_said() -> None:
    done = command(signal.SIGABRT, 0, *_WATCHED[0], before=lambda: os.close(2))
    assert (done.returncode, done.stdout) == (3, "read by batch\n")


def test_where_there_may_be_no_second_process_it_is_not_watched() -> None:
    done = command(signal.SIGABRT, 0, *_WATCHED[0], source=_NO_FORK + _READS)
    assert done.returncode == -signal.SIGABRT, done.stderr
