"""Stopping at a signal: the flag that asks a flow to drain, and the exit of a process that has not begun.

While the engine waits for the other processes of a cluster to join, for ever, it does not let Python handle signals:
the wake-up descriptor is written all the same, and a thread that waits for it ends the process.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from flows.support.logs import get_logger

log = get_logger(__name__)


_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopFlag:
    """A flag that takes no lock, so that a signal's handler may set it whatever the thread that it interrupts holds."""

    def __init__(self) -> None:
        self._set = False
        self._reads, self._writes = os.pipe()

    def set(self, number: int) -> None:
        """Set it.

        Args:
            number: the signal's.
        """
        self._set = True
        os.write(self._writes, bytes([number]))

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def wait(self) -> int:
        """Wait until it is set; the signal's number."""
        return os.read(self._reads, 1)[0]


def stop_at_signals(stop: Callable[[int, FrameType | None], None]) -> dict[int, Any]:
    """Call this at SIGTERM, SIGINT and SIGHUP; returns the handler that each of them had before.

    A shell starts a job in the background with SIGINT ignored, and ``nohup`` a command with SIGHUP: the one is taken
    all the same, since whoever sends it means it, the other is not.
    """
    before: dict[int, Any] = {}
    for number in _STOPS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, stop)
    return before


def ignore_signals() -> None:
    """Ignore from now on what had a handler, for a process that has drained and only ends.

    While the interpreter is taken down it gives up its handlers, and a signal would then be the process's end.
    """
    for number in (*_STOPS, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)


def watch_for_signals(begun: Callable[[], bool]) -> None:
    """Exit with 0 at a signal that stops until the dataflow has begun; then leave them to their handlers.

    Call it from the main thread.

    Args:
        begun: says that messages are read. Before, there is nothing to drain.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)

    def watch() -> None:
        while number := ours.recv(1):
            if number[0] in _STOPS and not begun():
                log.info(
                    "stopped before the cluster had begun: nothing was read", signal=signal.Signals(number[0]).name
                )
                os._exit(0)

    threading.Thread(target=watch, name="signals", daemon=True).start()
