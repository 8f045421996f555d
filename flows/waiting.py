"""Ends a process that still waits for the rest of its cluster when it is told to stop.

While the engine waits for the other processes to join, for ever, it does not let Python handle signals. The
interpreter's wake-up descriptor is written to all the same, and a thread of ours reads it.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable

from flows.logs import get_logger

log = get_logger(__name__)

_STOPS = (signal.SIGTERM, signal.SIGINT)


def watch_for_signals(begun: Callable[[], bool]) -> None:
    """Exit with 0 at SIGTERM or SIGINT until the dataflow has begun; then leave them to their handlers.

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
