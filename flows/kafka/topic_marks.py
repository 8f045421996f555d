"""By what partitions are known again: kept while a flow reads, in stores, and beside committed offsets."""

import json
from collections.abc import Mapping
from typing import Any

from flows.messages.batches import RawMessage, UnreadableBatch
from state.nesting import json_of
from state.store.meta import NO_MARK, TopicMark

_MOST_PARTITIONS = 100_000
"""More than a state directory has names for."""


def encode_mark(mark: TopicMark, first_count: int = 0, *, more: bool = False) -> str:
    """As it is committed beside an offset, with how many partitions the topic had at first (0: not known).

    Args:
        mark: the mark.
        first_count: how many partitions.
        more: whether the store has clicks of a topic too that was there before.

    >>> encode_mark(TopicMark("6QxO", 3, 1700000000000))
    '["6QxO", 3, 1700000000000]'
    >>> encode_mark(TopicMark("6QxO", 3, 1700000000000), 4)
    '["6QxO", 3, 1700000000000, 4]'
    >>> encode_mark(TopicMark("6QxO", 3, 1700000000000), 4, more=True)
    '["6QxO", 3, 1700000000000, 4, 1]'
    """
    return json.dumps([*mark, first_count, 1] if more else [*mark, first_count] if first_count else mark)


def decode_mark(text: str) -> TopicMark:
    """Read it back; what others have committed tells nothing.

    >>> decode_mark('["6QxO", 3, 1700000000000]').offset, decode_mark("of another client").offset
    (3, -1)
    """
    try:
        topic_id, offset, at = _committed(text)[:3]
    except ValueError:
        return NO_MARK
    if (type(topic_id), type(offset), type(at)) != (str, int, int):
        return NO_MARK
    if not (-1 <= offset < 2**63 and -(2**63) <= at < 2**63):
        return NO_MARK
    return TopicMark(topic_id, offset, at)


def decode_first_count(text: str) -> int:
    """How many partitions a topic had at first, as was committed beside an offset; 0 where that says nothing of it.

    >>> decode_first_count('["6QxO", 3, 1700000000000, 4]'), decode_first_count('["6QxO", 3, 1700000000000]')
    (4, 0)
    """
    found = _committed(text)[3:]
    return int(found[0]) if found and type(found[0]) is int and 0 < found[0] < _MOST_PARTITIONS else 0


def decode_more(text: str) -> bool:
    """Whether the store has clicks of a topic too that was there before, as was committed beside an offset.

    >>> decode_more('["6QxO", 3, 1700000000000, 4, 1]'), decode_more('["6QxO", 3, 1700000000000, 4]')
    (True, False)
    """
    return _committed(text)[4:] == [1]


def _committed(text: str) -> list[Any]:
    """What was committed beside an offset; nothing where that cannot be read."""
    try:
        found = json_of(text)
    except (ValueError, TypeError):
        return []
    return found if isinstance(found, list) else []


def is_within(mark: TopicMark, bounds: tuple[int, int]) -> bool:
    """Whether a partition may have the message of a mark."""
    return max(0, bounds[0]) <= mark.offset < bounds[1]


class TopicMarks:
    """The marks of the partitions that a process reads; may be used by several threads.

    Where a topic has an id, its last message is remembered: should the topic lose its end, it is another one then.
    Without an id the first one is, until it has expired: should the topic be made anew, what is read on from it must
    not pass for what was read before.
    """

    def __init__(self) -> None:
        self._marks: dict[tuple[str, int], TopicMark] = {}

    def set(self, kind: str, partition: int, mark: TopicMark) -> None:
        """Begin with a mark."""
        self._marks[kind, partition] = mark

    def of(self, kind: str, partition: int) -> TopicMark:
        """The mark of a partition."""
        return self._marks.get((kind, partition), NO_MARK)

    def of_kind(self, kind: str) -> Mapping[int, TopicMark]:
        """The marks of a topic, by partition."""
        return {place[1]: mark for place, mark in list(self._marks.items()) if place[0] == kind}

    def note(self, kind: str, partition: int, message: RawMessage) -> None:
        """Note a message that was read."""
        if isinstance(message, UnreadableBatch):
            return  # its time is not known, and cannot be asked for
        before = self.of(kind, partition)
        if before.topic_id or before.offset < 0:
            self.set(kind, partition, TopicMark(before.topic_id, message.offset() or 0, message.timestamp()[1]))

    def expire(self, kind: str, partition: int) -> None:
        """Note that the message of a mark is not there any more: the next one takes its place."""
        self.set(kind, partition, TopicMark(self.of(kind, partition).topic_id))
