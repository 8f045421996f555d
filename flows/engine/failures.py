"""Remembers what a step of the dataflow raised: in a cluster the engine keeps only that a thread panicked.

The engine answers a step's error with a panic, of which Rust writes lines of its own to standard error, with a
backtrace where the environment asks for one. They say nothing that the log has not said by then, and are no lines of a
log; so from the first error on, until the engine has ended, what is not ours goes nowhere. At ``debug`` it stays.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flows.support.logs import get_logger
from flows.support.lossy import lossy_text

log = get_logger(__name__)


class _Quiet:
    """Takes standard error away from all but our own log."""

    def __init__(self) -> None:
        self._before: Any = None

    def begin(self) -> None:
        """From now on; nothing happens where standard error is not what it usually is, as in tests."""
        try:
            if self._before is not None or logging.getLogger().isEnabledFor(logging.DEBUG) or sys.stderr.fileno() != 2:
                return
            ours, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        except (OSError, AttributeError):
            return
        self._before = sys.stderr
        sys.stderr = lossy_text(ours, closes=True)
        os.dup2(nowhere, 2)
        os.close(nowhere)

    def end(self) -> None:
        """As it was."""
        if self._before is not None:
            os.dup2(sys.stderr.fileno(), 2)
            sys.stderr, self._before = self._before, None


_quiet = _Quiet()


@contextmanager
def only_our_words() -> Iterator[None]:
    """While the engine runs: once a step has failed, standard error is our log's alone."""
    try:
        yield
    finally:
        _quiet.end()


P = ParamSpec("P")
R = TypeVar("R")
_raised: list[Exception] = []


def report_failure(step: Callable[P, R]) -> Callable[P, R]:
    """Log what a step raises and remember it for ``first_failure``; it is raised on.

    Logged at once, since a panic in a second thread aborts the process before anyone can report the first.
    """

    @wraps(step)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except StopIteration:
            raise
        except Exception as error:
            if not _raised:
                _raised.append(error)
                log.error("the flow stops", why=str(error))
                _quiet.begin()
            raise

    return call


def first_failure() -> Exception | None:
    """What a step of this process raised first."""
    return _raised[0] if _raised else None
