"""What flows between the steps of the dataflows: whole batches, in columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flows.messages.rejects import InvalidMessage
from flows.messages.types import Request
from ralm.features import Ints

Headers: TypeAlias = list[tuple[str, str | bytes | None]]


NO_TIMESTAMP: Final = 0
"""The kind of timestamp of a message that has none."""
APPEND_TIME: Final = 2
"""The kind of timestamp that the broker sets (``message.timestamp.type=LogAppendTime``); others are the producer's."""


class RawMessage(Protocol):
    """A message as the Kafka client hands it over; what is used of it here."""

    def __len__(self) -> int: ...  # bytes of the value
    def key(self) -> bytes | None:
        """Its key, or None."""
        ...

    def value(self) -> bytes | None:
        """Its value; None is a tombstone."""
        ...

    def headers(self) -> Any:
        """Its headers; what may come is read by ``headers_of``."""
        ...

    def timestamp(self) -> tuple[int, int]:
        """Kind (``NO_TIMESTAMP``, or who set it) and ms since the epoch."""
        ...

    def partition(self) -> int | None:
        """Its partition."""
        ...

    def offset(self) -> int | None:
        """Its offset in the partition."""
        ...


def judging_clock(message: RawMessage, now: int) -> int:
    """The clock that judges a message's times, ms since the epoch: the broker's where it says when the message came.

    Args:
        message: the message.
        now: wall clock, ms since the epoch, which judges otherwise.
    """
    kind, at = message.timestamp()
    return at if kind == APPEND_TIME else now


@dataclass(frozen=True)
class UnreadableBatch:
    """Stands for the messages of offsets that cannot be read; a message without key and value.

    Attributes:
        of: the partition.
        first: the first of the offsets.
        last: the last of them.
        why: the client's words.
    """

    of: int
    first: int
    last: int
    why: str

    def __len__(self) -> int:
        return 0

    def key(self) -> bytes | None:
        """None."""
        return None

    def value(self) -> bytes | None:
        """None."""
        return None

    def headers(self) -> Headers:
        """None are known."""
        return []

    def timestamp(self) -> tuple[int, int]:
        """It is not known."""
        return NO_TIMESTAMP, 0

    def partition(self) -> int:
        """The partition."""
        return self.of

    def offset(self) -> int:
        """The first of the offsets."""
        return self.first


@dataclass(frozen=True)
class RawBatch:
    """Messages of one partition as the broker gave them; never leaves the worker that read it.

    Attributes:
        kind: what the topic is in the contract, for example ``clicks``.
        topic: the topic's name.
        partition: its number.
        messages: in offset order; may be empty.
        next_offset: the offset after the last of them.
        idle: ms since the last message, while the reader stands at the partition's end; else 0.
        now: wall clock when they were read, ms since the epoch.
        waited: the longest that they can have been in the topic, ms: since then the reader last stood at the end; None
            where it has not yet.
    """

    kind: str
    topic: str
    partition: int
    messages: Sequence[RawMessage]
    next_offset: int
    idle: int
    now: int
    waited: int | None = None


@dataclass(frozen=True)
class ClickBatch:
    """The good clicks of a raw batch.

    Attributes:
        partition: the Kafka partition.
        next_offset: the offset after the raw batch, whatever of it was good.
        idle: as in ``RawBatch``.
        item_ids: the distinct items of the batch.
        items: for each click its place in ``item_ids``, int64[n].
        users: user keys, uint64[n].
        times: event times, int64[n], ms since the epoch.
        offsets: int64[n], ascending.
        clocks: of each click that is ahead of the clock that judged it that clock, of others their time or more,
            int64[n], ms; None: none is ahead.
        now: as in ``RawBatch``.
        heard: the clock when the last message of the raw batch came, good or not, ms: the broker's append time, else
            the wall clock when it was read; None where there was no message.
    """

    partition: int
    next_offset: int
    idle: int
    item_ids: list[str]
    items: Ints
    users: NDArray[np.uint64]
    times: Ints
    offsets: Ints
    clocks: Ints | None = None
    now: int = 0
    heard: int | None = None

    @property
    def evidence(self) -> Ints:
        """The time that each click shows to have come, int64[n], ms: its own, but not beyond the clock."""
        return self.times if self.clocks is None else np.minimum(self.times, self.clocks)

    def rows(self, start: int, stop: int) -> "ClickBatch":
        """The clicks from one place up to another; ``next_offset`` is the offset of the click that follows, if any."""
        if (start, stop) == (0, len(self.offsets)):
            return self
        ids, items = np.unique(self.items[start:stop], return_inverse=True)
        return ClickBatch(
            self.partition,
            self.next_offset if stop == len(self.offsets) else int(self.offsets[stop]),
            self.idle,
            [self.item_ids[place] for place in ids.tolist()],
            items,
            self.users[start:stop],
            self.times[start:stop],
            self.offsets[start:stop],
            None if self.clocks is None else self.clocks[start:stop],
            self.now,
            self.heard,
        )


@dataclass(frozen=True)
class CandidateChange:
    """One good message of the candidates topic.

    Attributes:
        offset: its offset.
        item_id: the item.
        retired: whether it retires the item: it says so, or it is a tombstone.
        expires_at: event time until which the item is a candidate, ms, or None.
    """

    offset: int
    item_id: str
    retired: bool
    expires_at: int | None


@dataclass(frozen=True)
class CandidateBatch:
    """The good messages of a raw batch of the candidates topic.

    Attributes:
        partition: the Kafka partition.
        next_offset: the offset after the raw batch.
        changes: in offset order.
    """

    partition: int
    next_offset: int
    changes: list[CandidateChange]


@dataclass(frozen=True)
class RequestBatch:
    """The good requests of a raw batch.

    Attributes:
        partition: the Kafka partition.
        requests: in offset order.
        sent: when each request came to the topic, ms since the epoch, as far as is known: the broker's time, or the
            producer's, but no earlier than the reader last stood at the end; 0 where there is none.
    """

    partition: int
    requests: list[Request]
    sent: list[int]


@dataclass(frozen=True)
class OutMessage:
    """A message on its way to a topic.

    Attributes:
        key: its key, or None.
        value: its value; None is a tombstone.
        headers: its headers.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers = field(default_factory=list)


class UnreadableHeaders(InvalidMessage):
    """A message with headers that cannot be read; they must not be asked for again."""


def headers_of(message: RawMessage) -> Headers:
    """A message's headers.

    Raises:
        UnreadableHeaders: when a name is not UTF-8. The client library then has a hole in its list, and hands it over
            without an error the next time; a look at the hole would end the process.
    """
    try:
        headers = message.headers() or []
    except (SystemError, UnicodeDecodeError):
        raise UnreadableHeaders("not_utf8", "the name of a header is not UTF-8") from None
    return list(headers.items()) if isinstance(headers, dict) else headers
