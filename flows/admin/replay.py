"""Replays events to Kafka in event-time order, at a chosen speed."""

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from flows.admin.replay_files import Events
from flows.kafka.producer import Producer, ProducerRecord

_LONGEST_WAIT_S = 0.2
_TELL_EVERY = 500


class Pace:
    """Says when an event is due: event time runs ``speed`` times as fast as real time, from the first event on.

    Args:
        speed: 60 is a minute of event time each second; None is as fast as it goes.
        wait: waits for some seconds.
        clock: seconds that only go forward.
    """

    def __init__(
        self, speed: float | None, wait: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._speed = speed
        self._wait = wait
        self._clock = clock
        self._began: tuple[int, float] | None = None

    def keep(self, ts: int) -> None:
        """Wait until an event of this time (ms) is due."""
        if self._speed is None:
            return
        if self._began is None:
            self._began = ts, self._clock()
        first, start = self._began
        due = start + (ts - first) / 1000 / self._speed
        while (left := due - self._clock()) > 0:
            self._wait(min(left, _LONGEST_WAIT_S))


def in_time_order(streams: Sequence[Events]) -> Iterator[tuple[int, ProducerRecord]]:
    """All events of some streams with their times (ms); of the same moment, those of an earlier stream come first."""
    if not streams:
        return
    stream = np.repeat(np.arange(len(streams)), [len(events) for events in streams])
    place = np.concatenate([np.arange(len(events)) for events in streams])
    times = np.concatenate([events.times for events in streams])
    for row in np.argsort(times, kind="stable").tolist():
        yield int(times[row]), streams[stream[row]].message(int(place[row]))


def replay(
    streams: Sequence[Events], producer: Producer, pace: Pace, progress: Callable[[int], None] = lambda _: None
) -> int:
    """Send all events of some streams in event-time order.

    Args:
        streams: of events of the same moment, those of an earlier stream are sent first.
        producer: what sends them.
        pace: when each is due.
        progress: called now and then with how many were sent.

    Returns:
        How many were sent and delivered.

    Raises:
        RalmError: when something was not delivered.
    """
    sent = 0
    try:
        for ts, message in in_time_order(streams):
            pace.keep(ts)
            producer.send(message)
            sent += 1
            if sent % _TELL_EVERY == 0:
                progress(sent)
    finally:
        producer.flush()
    progress(sent)
    return sent
