"""Finds the end of a batch that cannot be read, by asking for the offsets behind it.

A broker answers with the batch that holds an offset, so that one asked for within the batch fails like its first. The
client does not say where the batch ends. Offsets are asked for one by one, since most such batches hold one message;
after some of them the steps grow, and what lies between the last that fails and the first that can be read is halved.
Where a readable batch lies between two that cannot be read, beyond the first steps, it may be passed over with
them: whoever steps over says which offsets.
"""

from typing import Self

_SINGLE_STEPS = 32


def read_on(batches: str) -> str:
    """How to read on behind a batch that cannot be read, and what that costs.

    Args:
        batches: which are to be stepped over: ``oversized`` or ``all``.
    """
    return (
        f"start with --step-over {batches}: the batch becomes a dead letter that names its offsets, and what follows "
        "it is read. Nothing else is lost."
    )


class StepOver:
    """The search for the first offset that can be read again.

    Args:
        first: the offset at which a batch cannot be read.
        why: the client's words.

    Attributes:
        first: as given.
        why: as given.
        probe: the offset to ask for.
    """

    def __init__(self, first: int, why: str) -> None:
        self.first, self.why = first, why
        self._bad, self._good = first, -1
        self._step, self._steps = 1, 0
        self.probe = first + 1

    @classmethod
    def of(cls, first: int, end: int, why: str) -> Self:
        """A search that has found where the batch ends."""
        search = cls(first, why)
        search._bad, search._good = end - 1, end
        return search

    @property
    def found(self) -> int | None:
        """The first offset that can be read again; None while that is not known."""
        return self._good if self._good == self._bad + 1 else None

    def unreadable(self, end: int) -> None:
        """The probe cannot be read.

        Args:
            end: the partition's end, as far as it is known; else negative.
        """
        self._bad = max(self._bad, self.probe)
        self._steps += 1
        if self._steps > _SINGLE_STEPS:
            self._step *= 2
        self._choose(end)

    def readable(self, end: int) -> None:
        """The probe can be read, or is the partition's end."""
        self._good = self.probe
        self._choose(end)

    def _choose(self, end: int) -> None:
        if self._good >= 0:
            self.probe = self._good if self.found is not None else (self._bad + self._good) // 2
            return
        self.probe = self._bad + self._step
        if end > self._bad:
            self.probe = min(self.probe, end)
