"""Event-time windows of one partition: tumbling, aligned to the epoch, closed by a watermark."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flows.config.groups import WindowSettings
from flows.messages.batches import ClickBatch
from ralm.features import Ints


class WindowClock:
    """The watermark and the windows that it has closed.

    The watermark is the greatest event time seen less ``allowed_lateness``; a click that is ahead of the clock that
    judged it counts as of that clock, so that none moves the watermark beyond it. While the partition is idle it moves
    on by the time that passed, so that the last window closes too. A replay of yesterday closes the windows that
    yesterday closed.

    Args:
        options: how event time is cut.
        newest: greatest event time seen that the clock had reached, ms; None before the first click.
        closed: end of the last closed window, ms; windows end at or before it are closed.
    """

    def __init__(self, options: WindowSettings, newest: int | None = None, closed: int = 0) -> None:
        self._options = options
        self.newest = newest
        self.closed = closed
        self._idle = 0

    @property
    def watermark(self) -> int | None:
        """No click before it is expected any more, ms; None before the first click."""
        return None if self.newest is None else self.newest - self._options.allowed_lateness + self._idle

    def cut(self, batch: ClickBatch) -> Iterator[tuple[int | None, ClickBatch]]:
        """Cut a batch where windows close, so that what a click meets depends on the clicks before it and no batch.

        Args:
            batch: clicks in offset order.

        Yields:
            The end of the last window that closes before a part, ms, or None, and the part (the first may be empty).
        """
        self._idle = batch.idle if batch.idle >= self._options.idle_after else 0
        if not len(batch.times):
            yield self._close(self.watermark), batch
            return
        evidence = batch.evidence
        first = evidence[0] if self.newest is None else self.newest
        newest = np.maximum(np.maximum.accumulate(evidence), first)
        ends = (newest - self._options.allowed_lateness) // self._options.window
        starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(ends)]
        for start, stop in pairwise(starts):
            closed = self._close(int(newest[start]) - self._options.allowed_lateness)
            self.newest = int(newest[stop - 1])
            yield closed, batch.rows(start, stop)

    def window_ends(self, times: Ints) -> tuple[Ints, int]:
        """The window in which each click will be clustered, and how many clicks are late.

        A late click's own window is closed: it counts for the window that closes next.

        Args:
            times: event times, int64[n], ms.

        Returns:
            Window ends, int64[n], ms, and the number of late clicks.
        """
        length = self._options.window
        ends = (times // length + 1) * length
        late = ends <= self.closed
        return np.where(late, self.closed + length, ends), int(late.sum())

    def next_end(self) -> int:
        """The end of the window that closes next, ms."""
        return self.closed + self._options.window

    def _close(self, watermark: int | None) -> int | None:
        """Close every window that the watermark has passed."""
        if watermark is None:
            return None
        passed = watermark // self._options.window * self._options.window
        if passed <= self.closed:
            return None
        self.closed = passed
        return passed
