"""Whether the flow lives and whether it is ready; ``monitoring/health_server.py`` tells whoever asks.

Three questions, three answers, never mixed: ``/-/healthy`` (should the process be restarted?), ``/-/ready`` (is it
working on messages?) and ``/metrics`` (how is it doing?). A flow that waits for its broker is healthy and not ready.
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from monitoring.metrics import HEARTBEAT, READY


class Health:
    """What a flow knows of its own state; every method may be called from any thread.

    It also keeps ``ralm_heartbeat_timestamp_seconds`` and ``ralm_ready``, so that alerts and probes never disagree.

    >>> health = Health(["index"])
    >>> health.beat()
    >>> health.set("index", False, "reading the centroids topic")
    >>> health.ready()[0], health.healthy()
    (False, True)

    Args:
        conditions: names of what must hold before the flow is ready; none holds at first.
        heartbeat_timeout_s: seconds without a beat after which the flow counts as stuck.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        conditions: Iterable[str],
        heartbeat_timeout_s: float = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = heartbeat_timeout_s
        self._clock = clock
        self._lock = threading.Lock()
        self._last_beat: float | None = None
        self._conditions: dict[str, tuple[bool, str]] = {}
        for name in conditions:
            self._conditions[name] = (False, "not reached yet")
            READY.labels(name).set(0)

    def set(self, name: str, ok: bool, why: str = "") -> None:
        """Say whether a condition holds, and if not, why, as a sentence for the person on call.

        Raises:
            ValueError: when there is no such condition.
        """
        with self._lock:
            if name not in self._conditions:
                msg = f"no condition {name!r}; there are: {', '.join(self._conditions) or 'none'}"
                raise ValueError(msg)
            self._conditions[name] = (ok, why)
            READY.labels(name).set(ok)

    def beat(self) -> None:
        """Give a sign of life; cheap enough for every poll."""
        self._last_beat = self._clock()
        HEARTBEAT.set_to_current_time()

    def healthy(self) -> bool:
        """Whether the last beat is recent. Before the first one the flow is starting, which may take long: healthy."""
        age = self._beat_age()
        return age is None or age <= self._timeout

    def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether all conditions hold and the flow beats, and a report with the reason for each that does not."""
        with self._lock:
            conditions = dict(self._conditions)
        report = {name: {"ok": ok} | ({"why": why} if why else {}) for name, (ok, why) in conditions.items()}
        life = self._life()
        ready = life["healthy"] and life["heartbeat_age_s"] is not None and all(ok for ok, _ in conditions.values())
        return ready, {"ready": ready, **life, "conditions": report}

    def report(self) -> tuple[bool, dict[str, Any]]:
        """``healthy`` with the age of the heartbeat in seconds, None before the first."""
        life = self._life()
        return life["healthy"], life

    def _life(self) -> dict[str, Any]:
        age = self._beat_age()
        healthy = age is None or age <= self._timeout
        return {
            "healthy": healthy,
            "heartbeat_age_s": None if age is None else round(age, 3),
            "heartbeat_timeout_s": self._timeout,
        }

    def _beat_age(self) -> float | None:
        last = self._last_beat  # read once: another thread may beat in between
        return None if last is None else self._clock() - last
