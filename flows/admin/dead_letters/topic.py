"""Reads the dead letters topic, for tools."""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappush, heappushpop

from flows.config.settings import Settings
from flows.kafka.range_reader import ReadProgress, read_to_end
from flows.kafka.topics import TopicNames
from flows.messages.dead_letter import DeadLetter, Record, read_record


@dataclass(frozen=True)
class Filters:
    """Which dead letters are meant; None leaves nothing out.

    Attributes:
        reason: their reason.
        topic: where they were read.
        key: their original key.
        since: refused at or after this, ms since the epoch.
    """

    reason: str | None = None
    topic: str | None = None
    key: bytes | None = None
    since: int | None = None

    def take(self, letter: DeadLetter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.reason is None or letter.reason == self.reason)
            and (self.topic is None or letter.topic == self.topic)
            and (self.key is None or letter.key == self.key)
            and (self.since is None or letter.time >= self.since)
        )


class Newest:
    """Keeps the newest letters of all partitions, which are read one after the other.

    Args:
        most: how many; 0 keeps all.

    Attributes:
        left_out: how many older ones were not kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[tuple[int, int, int, DeadLetter]] = []
        self.left_out = 0

    def add(self, letter: DeadLetter) -> None:
        """Keep a letter, unless there are enough that are newer."""
        entry = (letter.time, letter.partition, letter.offset, letter)
        if not self._most or len(self._kept) < self._most:
            heappush(self._kept, entry)
        else:
            heappushpop(self._kept, entry)
            self.left_out += 1

    def letters(self) -> list[DeadLetter]:
        """Those that were kept, oldest first."""
        return [letter for *_, letter in sorted(self._kept)]


def read_records(settings: Settings, since: int | None, progress: ReadProgress = lambda *_: None) -> Iterator[Record]:
    """Everything that the dead letters topic has now, each partition in order.

    Args:
        settings: the settings.
        since: leave out what the broker took before this, ms since the epoch.
        progress: called now and then.

    Raises:
        RalmError: when it cannot be read.
    """
    for message in read_to_end(settings, TopicNames.of(settings).dead_letters, since=since, progress=progress):
        yield read_record(message)


def read_from(settings: Settings, partition: int, offset: int) -> Iterator[Record]:
    """A partition of the dead letters topic from an offset on.

    Raises:
        RalmError: when there is no such message or it cannot be read.
    """
    topic = TopicNames.of(settings).dead_letters
    for message in read_to_end(settings, topic, start=(partition, offset)):
        yield read_record(message)
