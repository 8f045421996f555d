"""Logging: structlog to standard error, as text for people or as JSON for machines.

What libraries log through the standard library, librdkafka among them, goes the same way.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Collection
from functools import cache
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from flows.support.log_limit import LogLimit
from flows.support.text import without_error_numbers

LEVELS = ("debug", "info", "warning", "error")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
"""Control characters, but for tab and line feed, as they are written in text: what a message holds moves no cursor."""
MASK = "********"
"""Stands for a secret."""
_LOGIN = re.compile(r"(://)[^\s/'\"<>]*@")
"""User and password in an URL."""
_SHORTEST_SECRET = 4
"""A shorter one is in so many words that to mask it would hide the log, and would tell what it is."""
_hidden: tuple[str, ...] = ()
_LINES = 60
"""Warnings and errors of one kind in a minute; then one a minute says how many more there were. What messages alone
can cause is limited further where it is logged."""


def set_up_logs(level: str = "info", form: str = "text", secrets: Collection[str] = ()) -> None:
    """Say what is logged and how.

    Args:
        level: least level that is logged, one of ``LEVELS``; of libraries warnings at least, unless it is ``debug``.
        form: ``text`` or ``json``.
        secrets: what no line may hold, whoever logs it; ``masked`` knows them from then on.
    """
    global _hidden  # noqa: PLW0603 (as the logs themselves, one for the process)
    _hidden = tuple(secrets)
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        _without_error_numbers,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if form == "json"
        else [_without_control, _console()]
    )
    last.append(_mask_line)
    structlog.configure(
        processors=[_NoFlood(), *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _Stderr()
    handler.addFilter(_NoForeignFlood())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_module, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    kafka = logging.getLogger("librdkafka")
    kafka.filters = [*(other for other in kafka.filters if not isinstance(other, _AtMost)), _AtMost()]
    root = logging.getLogger()
    root.handlers = [other for other in root.handlers if not isinstance(other, _Stderr)] + [handler]
    root.setLevel(number if level == "debug" else max(number, logging.WARNING))


def masked(text: str, secrets: Collection[str] = ()) -> str:
    """A text without secrets: these, those that the logs were set up with, and who logs in to an URL.

    >>> masked("the password s3cret is wrong", ["s3cret"])
    'the password ******** is wrong'
    >>> masked("cannot reach https://me:pa55@host/token")
    'cannot reach https://********@host/token'
    """
    for secret in sorted({*secrets, *_hidden}, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            for written in _ways_of_writing(secret):
                text = text.replace(written, MASK)
    return _LOGIN.sub(rf"\1{MASK}@", text) if "://" in text else text


@cache
def _ways_of_writing(text: str) -> list[str]:
    """As Python and JSON show a text or its bytes, also inside one another; the longest first."""
    ways = {text, repr(text)[1:-1], repr(text.encode())[2:-1]}
    for _ in range(2):
        ways |= {json.dumps(way, ensure_ascii=ascii_only)[1:-1] for way in ways for ascii_only in (True, False)}
    return sorted(ways, key=len, reverse=True)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that names its module."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(module=name)
    return logger


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is standard error now; a test or a progress bar may have put another in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _NoFlood:
    """Leaves warnings and errors out that come again and again, as from each item of each window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = LogLimit(_LINES, clock)

    def __call__(self, _: Any, method: str, event: EventDict) -> EventDict:
        if logging.getLevelNamesMapping().get(method.upper(), logging.ERROR) >= logging.WARNING:
            left_out = self._limit.passes((event.get("module"), event.get("event")))
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                event["more_like_it"] = left_out + event.get("more_like_it", 0)
        return event


class _AtMost(logging.Filter):
    """Lets so many lines a second through, and all warnings.

    With ``debug=all`` librdkafka's threads make lines faster than we can write them. What waits grows then, and
    closing a client, which writes what waits, never ends.
    """

    def __init__(self, lines: int = 500) -> None:
        super().__init__()
        self._lines = lines
        self._second = self._passed = self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            return True
        if int(record.created) != self._second:
            self._second, self._passed = int(record.created), 0
        self._passed += 1
        if self._passed > self._lines:
            self._left_out += 1
            return False
        if self._left_out:
            record.msg = f"{record.msg} ({self._left_out} lines before this one were left out)"
            self._left_out = 0
        return True


class _NoForeignFlood(logging.Filter):
    """The same for what comes through the standard library; of librdkafka each name that it gives a line is a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._limit = LogLimit(_LINES)

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        first = str(record.args[0]) if record.name == "librdkafka" and isinstance(record.args, tuple) else ""
        left_out = self._limit.passes((record.name, str(record.msg), first))
        if left_out:
            record.msg = f"{record.msg} ({left_out} more like it before this one)"
        return left_out is not None


def _console() -> structlog.dev.ConsoleRenderer:
    """For people; without the local variables in tracebacks, since there are passwords among them."""
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


def _add_module(_: Any, __: str, event: EventDict) -> EventDict:
    event["module"] = event["_record"].name
    return event


def _without_error_numbers(_: Any, __: str, event: EventDict) -> EventDict:
    return {key: without_error_numbers(value) if isinstance(value, str) else value for key, value in event.items()}


def _mask_line(_: Any, __: str, line: Any) -> Any:
    """The last step, so that it sees what libraries wrote and what tracebacks say."""
    return masked(line) if isinstance(line, str) else line


def _without_control(_: Any, __: str, event: EventDict) -> EventDict:
    return {key: value.translate(_CONTROL) if isinstance(value, str) else value for key, value in event.items()}
