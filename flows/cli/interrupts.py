"""How a command that works for long is stopped: by SIGTERM as by Ctrl-C."""

import signal
from types import FrameType


def interrupt_on_signals() -> None:
    """Raise KeyboardInterrupt at SIGTERM and SIGINT; a shell's background job is started with SIGINT ignored."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
