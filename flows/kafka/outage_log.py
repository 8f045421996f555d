"""Logs an outage of the broker in a few lines, whatever the number of clients and of their errors.

Each client of a process reports the same outage several times a second: by its error callback, in place of messages
and in the library's own log. They all end here. The first error makes a line; while the outage lasts there is at most
one more a minute, with the number of errors since; the first answer after it makes the last line.
"""

import logging
import math
import re
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaError, ThrottleEvent

from flows.kafka.errors import WAITING, is_unreachable, refusal_advice
from flows.support.log_limit import LogLimit
from flows.support.logs import get_logger

log = get_logger(__name__)

_REPEAT_S = 60.0
_CALM_S = 20.0
"""Without an error for so long an answer ends the outage. The client tries a broker again every 15 s at most, so that
one of three that stays away is one outage, though the other two answer meanwhile."""
_OUTAGE_LINES = ("FAIL", "ERROR", "REQTMOUT", "TIMEOUT", "SESSTMOUT", "COORDQUERY", "GETPID", "CONNECT", "FATAL")
"""Kinds of lines in the library's log that repeat what the error callback says."""
_ANSWERED = ("COORDQUERY", "GETPID", "FATAL")
"""Those among them of a broker that answers, but not with what was asked for."""
_THREAD = re.compile(r"^\[thrd:[^]]*\]: ")


class OutageLog:
    """What the clients of a process have heard of the broker; may be used by many threads.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._last, self._said = -math.inf, 0.0
        self._errors = self._unsaid = 0
        self._waits: set[str] = set()
        """What somebody must do and was said in this outage: as many as there are topics, and kinds of refusals."""
        self._slowed = LogLimit(1, clock)

    @property
    def last_error(self) -> float:
        """When an error was noted last, by the clock; minus infinity before the first."""
        return self._last

    def error(self, error: KafkaError, where: str | None = None) -> None:
        """Note an error that a client goes on after.

        Args:
            error: the error.
            where: what was read or written, if that is known.
        """
        if error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 (public); the errors beside it say why
            return
        text = f"broker {'unreachable' if is_unreachable(error) else 'error'}: {error.str()}"
        advice = refusal_advice(error)
        if advice is not None:
            text = f"{text}. {advice}"
        self._note(text if where is None else f"{text} ({where})", advice or (where or "").partition(WAITING)[2])

    def slowed(self, event: ThrottleEvent) -> None:
        """Note that a broker has a client wait for its quota, or no longer does; said once a minute."""
        if event.throttle_time > 0 and (left_out := self._slowed.passes("quota")) is not None:
            more = {"more_like_it": left_out} if left_out else {}
            log.warning(
                "a quota of the brokers slows this client down",
                broker=event.broker_name,
                waits_s=round(event.throttle_time, 3),
                **more,
            )

    def library_line(self, line: str, kind: str = "") -> None:
        """Note a line of the library's log that tells of an outage.

        Args:
            line: the line.
            kind: the library's name for such lines.
        """
        self._note(f"broker {'error' if kind in _ANSWERED else 'unreachable'}: {line}")

    def answered(self) -> None:
        """Note that a broker has answered; cheap where there is no outage."""
        if self._began is None:
            return
        with self._lock:
            now = self._clock()
            if self._began is None or now - self._last < _CALM_S:
                return
            lasted, errors = round(self._last - self._began, 1), self._errors
            self._began, self._errors, self._unsaid = None, 0, 0
            self._waits.clear()
        log.info("broker reachable again", errors=errors, lasted_s=lasted)

    def _note(self, text: str, waits_for: str = "") -> None:
        """Note an error; once in an outage each kind of them is said, and what somebody must do.

        A password that was changed while brokers were away would else not be named as long as that outage lasts.
        """
        with self._lock:
            now = self._last = self._clock()
            self._errors += 1
            kind = text.partition(":")[0]
            known = (waits_for or kind) in self._waits
            self._waits |= {waits_for, kind}
            if self._began is not None and now - self._said < _REPEAT_S and known:
                self._unsaid += 1
                return
            if self._began is None:
                self._began = now
            self._said, unsaid, self._unsaid = now, self._unsaid, 0
        if unsaid:
            log.warning(text, more_errors=unsaid)
        else:
            log.warning(text)


outage_log = OutageLog()
"""The log of this process, for all its clients."""


class _OutageFilter(logging.Filter):
    """Takes lines of outages out of the library's log; with the level debug everything is logged as it comes."""

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.args[0] if isinstance(record.args, tuple) and len(record.args) == 3 else None
        if kind not in _OUTAGE_LINES or logging.getLogger().isEnabledFor(logging.DEBUG):
            return True
        if record.levelno >= logging.WARNING:
            outage_log.library_line(_THREAD.sub("", str(record.args[2])), str(kind))  # type: ignore[index]
        return False


def library_logger() -> logging.Logger:
    """The logger to give to a client of the library."""
    logger = logging.getLogger("librdkafka")
    if not any(isinstance(each, _OutageFilter) for each in logger.filters):
        logger.addFilter(_OutageFilter())
    return logger
