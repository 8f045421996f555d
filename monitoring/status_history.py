"""Counters of the last minutes, so that the status page can say what is so now and not what was since the start."""

import time
from collections import deque
from collections.abc import Callable

from monitoring.samples import Samples

SPAN_S = 300.0
"""How far back it goes, seconds."""
_EVERY_S = 10.0
_NAMES = (
    "ralm_messages_read_total",
    "ralm_messages_written_total",
    "ralm_clicks_total",
    "ralm_requests_total",
    "ralm_dead_letters_total",
    "ralm_request_to_score_seconds_bucket",
)


class StatusHistory:
    """Samples of the counters that the status page compares with, some thirty of them.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: deque[tuple[float, Samples]] = deque()

    def due(self) -> bool:
        """Whether it is time for the next sample."""
        return not self._kept or self._clock() - self._kept[-1][0] >= _EVERY_S

    def add(self, samples: Samples) -> None:
        """Keep the counters among some samples."""
        now = self._clock()
        self._kept.append((now, samples.only(_NAMES)))
        while len(self._kept) > 2 and now - self._kept[1][0] >= SPAN_S:
            self._kept.popleft()

    def before(self) -> tuple[float, Samples]:
        """How many seconds ago the oldest sample was taken, and it; nothing and 0 s where there is none."""
        if not self._kept:
            return 0.0, Samples([])
        taken, samples = self._kept[0]
        return self._clock() - taken, samples
