"""Event-time windows of one partition: tumbling, aligned to the epoch, closed by a watermark."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flows.config.groups import WindowSettings
from flows.messages.batches import ClickBatch
from ralm.features import Ints


class WindowClock:
    """The watermark, the windows that it has closed, and how far an idle partition has come.

    The watermark is the greatest event time seen less ``allowed_lateness``; a click that is ahead of the clock that
    judged it counts as of that clock, so that none moves the watermark beyond it. Where it closes windows, and so what
    is late, follows from the clicks alone, and a replay of yesterday closes the windows that yesterday closed.

    While the partition is idle, time goes on by the time that passed since its newest message came: ``reached`` is how
    far. Items are clustered and served as of it, but it is no evidence: it closes nothing, nothing is late for its
    sake, it is not kept over a restart but made again, and the next message ends it.

    Args:
        options: how event time is cut.
        newest: greatest event time seen that the clock had reached, ms; None before the first click.
        closed: end of the last closed window, ms; windows end at or before it are closed.
        heard: the clock when the newest message came, ms; None before the first.
    """

    def __init__(
        self, options: WindowSettings, newest: int | None = None, closed: int = 0, heard: int | None = None
    ) -> None:
        self._options = options
        self.newest = newest
        self.closed = closed
        self.heard = heard
        self.reached = closed
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
            The end of the last window that closes before a part, ms, or None, and the part (it may be empty).
        """
        if batch.heard is not None:
            self.heard = batch.heard
        if not batch.idle:
            self._idle, self.reached = 0, self.closed
        if not len(batch.times):
            yield None, batch
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

    def reach(self, batch: ClickBatch) -> int | None:
        """The end of the last window that an idle partition has reached, ms; None where it has reached no further one.

        Args:
            batch: what the reader said last.
        """
        if self.newest is None or not batch.idle or batch.idle < self._options.idle_after:
            return None
        # By the time since the message came, so that a restart loses nothing; by the time since it was read where the
        # clock has been set back.
        self._idle = batch.idle if self.heard is None else max(batch.idle, batch.now - self.heard)
        reached = self._floor(self.newest - self._options.allowed_lateness + self._idle)
        if reached <= self.reached:
            return None
        self.reached = reached
        return reached

    def window_ends(self, times: Ints) -> tuple[Ints, int]:
        """The window with whose close each click is folded in.

        A late click's own window is closed: it is folded in with the window that closes next.

        Args:
            times: event times, int64[n], ms.

        Returns:
            Window ends, int64[n], ms, and the number of late clicks.
        """
        return self.closing(self.own_ends(times))

    def closing(self, ends: Ints) -> tuple[Ints, int]:
        """The same of clicks whose own windows end at ``ends``, int64[n], ms."""
        late = ends <= self.closed
        count = int(np.count_nonzero(late))
        return np.where(late, self.next_end(), ends) if count else ends, count

    def own_ends(self, times: Ints) -> Ints:
        """The end of the window in which each time lies: int64[n], ms."""
        length = self._options.window
        return (times // length + 1) * length

    def next_end(self) -> int:
        """The end of the window that closes next, ms."""
        return self._floor(self.closed) + self._options.window

    def _floor(self, time: int) -> int:
        return time // self._options.window * self._options.window

    def _close(self, watermark: int) -> int | None:
        """Close every window that the watermark has passed."""
        passed = self._floor(watermark)
        if passed <= self.closed:
            return None
        self.closed = self.reached = passed
        return passed
