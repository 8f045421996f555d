"""The brake on dead letters: a flow stops reading a topic of which too many messages cannot be used.

A brake counts what the decoder refuses of one topic in this process: over the last messages, and in a row. Good
messages cost an addition a batch. Counting begins with the process, and anew when the brake is released.
"""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from flows.config.groups import BrakeSettings
from flows.messages.batches import RawBatch
from flows.messages.rejects import Reason
from flows.support.logs import get_logger
from monitoring import metrics

log = get_logger(__name__)

RELEASE_SIGNAL: Final = "SIGUSR1"
"""Releases the brakes of a process."""
Refused: TypeAlias = tuple[int, int, Reason]
"""A message that cannot be used: its place in the batch, its offset, and why."""


class DeadLetterBrake:
    """The brake of one topic; shared by the threads that read its partitions.

    Args:
        kind: what the topic is in the contract.
        topic: its name.
        limits: when the brake is set.
        on_change: called when the brake is set or released.

    Attributes:
        why: why the topic is not read on; empty while it is.
    """

    def __init__(self, kind: str, topic: str, limits: BrakeSettings, on_change: Callable[[], None]) -> None:
        self._kind, self._topic, self._limits, self._on_change = kind, topic, limits, on_change
        self._keep = max(limits.dead_letter_min_sample, limits.dead_letter_max_run)
        self._lock = threading.Lock()
        self.why = ""
        self._released = False
        self._begin()

    def _begin(self) -> None:
        self._seen = self._run = 0
        self._last_refused = -1
        self._refused: deque[tuple[int, int, int, Reason]] = deque(maxlen=self._keep)
        """Of the last unusable messages: number since the beginning, partition, offset, reason."""

    def open(self) -> bool:
        """Whether the topic may be read; to be called before each poll: a release takes effect here."""
        if self._released:
            with self._lock:
                self._release()
        return not self.why

    def release(self) -> None:
        """Let the topic be read on; takes no lock, so that a signal's handler may call it."""
        self._released = bool(self.why)

    def count(self, raw: RawBatch, refused: Sequence[Refused]) -> None:
        """Count a batch.

        Args:
            raw: the batch.
            refused: those of its messages that cannot be used, in order.
        """
        with self._lock:
            longest = self._note(raw, refused)
            if not self.why and self._is_beyond(longest):
                self._stop(longest)

    def _note(self, raw: RawBatch, refused: Sequence[Refused]) -> int:
        """Take a batch into the counts; the longest run of unusable messages that ends in it."""
        while self._refused and self._refused[0][0] < self._seen - self._limits.dead_letter_min_sample:
            self._refused.popleft()
        longest = 0
        for place, offset, reason in refused:
            number = self._seen + place
            self._run = self._run + 1 if number == self._last_refused + 1 else 1
            self._last_refused, longest = number, max(longest, self._run)
            self._refused.append((number, raw.partition, offset, reason))
        self._seen += len(raw.messages)
        return longest

    def _is_beyond(self, longest: int) -> bool:
        limits = self._limits
        ratio, sample = limits.dead_letter_max_ratio, limits.dead_letter_min_sample
        if limits.dead_letter_max_run and longest >= limits.dead_letter_max_run:
            return True
        if not ratio or self._seen < sample:
            return False
        return sum(number >= self._seen - sample for number, *_ in self._refused) > ratio * sample

    def _stop(self, longest: int) -> None:
        unusable, of = len(self._refused), self._seen - self._refused[0][0]
        ((reason, most),) = Counter(reason for *_, reason in self._refused).most_common(1)
        spans: dict[int, tuple[int, int]] = {}
        for _, partition, offset, _ in self._refused:
            spans[partition] = spans.get(partition, (offset, offset))[0], offset
        offsets = ", ".join(f"[{partition}] {first} to {last}" for partition, (first, last) in sorted(spans.items()))
        self.why = (
            f"{self._topic} is not read on: {unusable} of its last {of} messages cannot be used, {longest} in a row; "
            f"{most} of them are {reason}; partition and offsets: {offsets}. Nothing is lost: they are dead letters, "
            f"and what comes after them waits in the topic. Stop what sends them, then send {RELEASE_SIGNAL} to "
            f"process {os.getpid()} to read on, or restart with a higher dead_letter_max_ratio or dead_letter_max_run "
            "(0: never stop)"
        )
        metrics.DEAD_LETTER_BRAKE.labels(self._kind).set(1)
        log.error(
            "too many dead letters: the topic is not read on",
            topic=self._topic,
            unusable=unusable,
            of=of,
            in_a_row=longest,
            reason=reason,
            with_reason=most,
            offsets=offsets,
            to_read_on=f"kill -USR1 {os.getpid()}",
        )
        self._on_change()

    def _release(self) -> None:
        if not self._released:  # another thread was first
            return
        self._begin()
        self.why, self._released = "", False
        metrics.DEAD_LETTER_BRAKE.labels(self._kind).set(0)
        log.info("the topic is read on", topic=self._topic)
        self._on_change()
