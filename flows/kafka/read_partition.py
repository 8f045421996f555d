"""How far a partition is read, and what stands in the way."""

from dataclasses import dataclass, field

from confluent_kafka import Message

from flows.kafka.standstill import Standstill
from flows.kafka.step_over import StepOver
from flows.messages.batches import RawMessage


@dataclass
class ReadPartition:
    """A partition that is read.

    Attributes:
        position: the offset from which on nothing was taken.
        fetched: the offset that follows what has come so far: messages, and at the partition's end the end that the
            client reports, which lies beyond the last message where transactions have left marks or aborted records.
        messages: what waits to be taken, in offset order.
        at_end: whether the client has reported the end after the last message.
        failure: why it cannot be read on.
        unreadable: the offset at which a batch cannot be read, and since when.
        damaged: the offset at which a batch has a wrong checksum.
        stepping: the search for the end of such a batch.
        gone: since when the broker does not have the offset that is to be read next.
        ask_again: when to ask for it again.
        asks: the offset to ask for then, if it is not the one that follows.
        still: the offset from which nothing comes although there is more, and since when.
        standstill: the look at why that is.
    """

    position: int
    fetched: int
    messages: list[RawMessage] = field(default_factory=list)
    at_end: bool = False
    failure: str | None = None
    unreadable: tuple[int, float] | None = None
    damaged: int | None = None
    stepping: StepOver | None = None
    gone: float | None = None
    ask_again: float | None = None
    asks: int | None = None
    still: tuple[int, float] | None = None
    standstill: Standstill | None = None

    def note(self, message: Message, *, is_end: bool) -> None:
        """A message that waits from now on, or in its place the partition's end."""
        offset = message.offset() or 0
        if not is_end:
            self.messages.append(message)
        self.fetched = max(self.fetched, offset) if is_end else offset + 1
        self.at_end = is_end
        self.gone = None

    def take(self) -> list[RawMessage]:
        """What waits; the position moves behind it."""
        taken, self.messages = self.messages, []
        self.position = self.fetched
        return taken

    def unreadable_for(self, now: float) -> float:
        """For how many seconds the batch that comes next cannot be read.

        Args:
            now: seconds that never go back.
        """
        if self.unreadable is None or self.unreadable[0] != self.fetched:
            self.unreadable = (self.fetched, now)
        return now - self.unreadable[1]
