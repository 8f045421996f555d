"""What a broker says of partitions, for those who decide where to begin."""

from flows.kafka.topic_marks import decode_mark, encode_mark
from state.store.meta import NO_MARK, TopicMark


class Facts:
    """Stands for what a broker says of a topic's partitions: the same of each.

    Args:
        first: their first offset.
        end: their end.
        committed: what the group has committed.
        mark: what was committed beside that.
        time: of the messages by which a topic is known again, ms; None where none comes.
        had: how many partitions the topic had at first, as was committed too.
        more: whether it was committed that the store has more than the topic.

    Attributes:
        commits: partition and offset of each commit.
    """

    topic = "clicks"

    def __init__(
        self,
        first: int,
        end: int,
        committed: int | None = None,
        mark: TopicMark = NO_MARK,
        time: int | None = None,
        had: int = 0,
        *,
        more: bool = False,
    ) -> None:
        self._more = more
        self._bounds, self._committed, self._mark, self._time, self._had = (first, end), committed, mark, time, had
        self.commits: list[tuple[int, int]] = []

    def bounds(self, _: int) -> tuple[int, int]:
        return self._bounds

    def committed(self, _: int) -> int | None:
        return self._committed

    def committed_mark(self, _: int) -> str:
        return encode_mark(self._mark, self._had, more=self._more)

    def message_time(self, _: int, offset: int) -> int | None:
        assert self._bounds[0] <= offset < self._bounds[1]
        return self._time

    def commit(self, partition: int, offset: int, mark: str = "") -> None:
        assert decode_mark(mark).offset == -1
        self.commits.append((partition, offset))
