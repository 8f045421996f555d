"""A child process that does not outlive us, in a process group of its own: Ctrl-C reaches it only through us."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.support.errors import RalmError

_DIES_WITH_PARENT = """
import ctypes, os, signal, sys
parent, command = int(sys.argv[1]), sys.argv[2:]
try:
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
except (OSError, AttributeError):
    pass  # only Linux has it
if os.getppid() == parent:
    os.execv(command[0], command)
"""


class ChildProcess:
    """A running child; use it as a context, or stop it.

    On Linux the child gets SIGTERM when the thread that started it ends, however that comes about.

    Args:
        name: what it is, for error messages.
        command: the program's path and its arguments.
        log: file that its output is appended to.
        env: its environment; None is ours.

    Attributes:
        name: as given.
        log: as given.

    Raises:
        RalmError: when it cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.log = log
        launcher = [sys.executable, "-I", "-S", "-c", _DIES_WITH_PARENT, str(os.getpid()), *command]
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(  # noqa: S603 (our own command)
                    launcher,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=None if env is None else dict(env),
                    start_new_session=True,
                )
        except OSError as error:
            msg = f"{name} cannot be started: {error}"
            raise RalmError(msg) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code (minus the signal's number when a signal ended it), None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """See that it runs.

        Raises:
            RalmError: with the end of its log, when it has ended.
        """
        code = self.exit_code()
        if code is not None:
            msg = f"{self.name} has ended with {code}; the end of {self.log}:\n{self.tail()}"
            raise RalmError(msg)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask it to end (SIGTERM) and wait; after the timeout, or at Ctrl-C, kill it.

        Returns:
            Its exit code.
        """
        self.send(signal.SIGCONT)  # a paused process takes no other signal
        self.send(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return self.kill()
        except BaseException:
            self.kill()
            raise

    def kill(self) -> int:
        """Kill it and wait; the exit code."""
        self.send(signal.SIGKILL)
        return self._process.wait()

    def tail(self, lines: int = 15) -> str:
        """The last lines of its log."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (nothing)"
