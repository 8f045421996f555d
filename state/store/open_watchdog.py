"""Ends the process when RocksDB never returns from opening a store.

Some damage to a MANIFEST or a log, as small as one flipped bit, makes RocksDB's reader loop forever, and its binding
holds the interpreter meanwhile: no Python thread can notice. ``faulthandler`` waits in a thread of C. It writes every
thread's stack to standard error and ends the process with code 1.
"""

import faulthandler
import os
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FunctionType
from typing import TypeVar

from rocksdict import Rdict

from state.store.layout import WAY_OUT

_T = TypeVar("_T")
OPEN_LIMIT_S = 60.0
"""No store should take so long: RocksDB replays at most 64 MB of log and looks at the ends of its files."""
_LATE = (
    "Where its disk is slow or fails, start again once that is over: nothing is lost. If `ralm state verify` does not "
    f"end either, it is damaged. {WAY_OUT}"
)

_lock = threading.Lock()
_deadlines: dict[object, float] = {}


def open_watched(path: Path, opening: Callable[[], Rdict]) -> Rdict:
    """Open a store, or end the process with code 1 after ``OPEN_LIMIT_S``; several threads may open stores at once.

    Args:
        path: the store's directory, named on standard error with the remedy when the process ends.
        opening: opens it; what it raises is passed on.
    """
    me = object()
    _watch(me, monotonic() + OPEN_LIMIT_S)
    try:
        return _named(opening, f"the store in {path} does not open within {OPEN_LIMIT_S:g} s. {_LATE}")()
    finally:
        _watch(me, None)


def _watch(opening: object, deadline: float | None) -> None:
    """Note when an opening must be done, None once it is, and set the process's one timer to the earliest of all."""
    with _lock:
        _deadlines.pop(opening, None)
        if deadline is not None:
            _deadlines[opening] = deadline
        if not _deadlines:
            faulthandler.cancel_dump_traceback_later()
            return
        left = max(0.001, min(_deadlines.values()) - monotonic())
        faulthandler.dump_traceback_later(left, exit=True, file=_standard_error())


def _standard_error() -> int:
    try:
        return os.fstat(2) and 2
    except OSError:  # closed: the process is to end all the same
        return os.open(os.devnull, os.O_WRONLY)


def _named(opening: Callable[[], _T], message: str) -> Callable[[], _T]:
    """The same with a frame around it whose file is called ``message``: all that faulthandler writes is frames."""
    code = _call.__code__.replace(co_filename=message)
    return lambda: FunctionType(code, globals())(opening)


def _call(opening: Callable[[], _T]) -> _T:
    return opening()
