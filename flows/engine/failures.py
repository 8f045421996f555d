"""What a step of the dataflow has raised, for people: in a cluster the engine keeps only that a thread panicked."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from flows.support.logs import get_logger

log = get_logger(__name__)

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
            raise

    return call


def first_failure() -> Exception | None:
    """What a step of this process raised first."""
    return _raised[0] if _raised else None
