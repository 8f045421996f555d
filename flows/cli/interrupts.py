"""How a command is stopped: by SIGTERM, and by a terminal that is closed, as by Ctrl-C. It leaves nothing behind."""

import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

from flows.support.signals import stop_at_signals

_TOGETHER_S = 1.0
"""Of two signals that come so close the second is of the same wish: it must not cut off what the first has begun to
clear away."""


class Interrupts:
    """Raises KeyboardInterrupt at SIGTERM, SIGINT and SIGHUP, within a context.

    Attributes:
        number: the signal that came; None until then.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._came = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = stop_at_signals(self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        now, came = time.monotonic(), self._came
        if self.number is None or now - came > _TOGETHER_S:
            self.number, self._came = number, now
            raise KeyboardInterrupt
