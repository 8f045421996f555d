"""The topics: their names and how they must be."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Self

from flows.config.rules import TOPICS
from flows.config.settings import Settings
from flows.kafka.errors import reach_of

STORED = ("clicks", "candidates")
"""The kinds of topics that stores are filled from."""
COMPACT = "compact"
DELETE = "delete"
COMPACTION = {
    "segment.bytes": 64 * 1024 * 1024,
    "segment.ms": 3_600_000,
    "min.cleanable.dirty.ratio": 0.1,
    "max.compaction.lag.ms": 86_400_000,
}
"""How soon a compacted topic forgets what is superseded, and so how much a start reads.

The segment that is written to is never compacted: with Kafka's defaults up to a GiB of each partition, for 7 days.
"""


TIMESTAMP_TYPE = "message.timestamp.type"
LOG_APPEND_TIME = "LogAppendTime"
"""The broker writes when it took a message. Else its producer writes it, whose clock may be wrong."""
_JUDGED = "its times are judged by the clock of the machine that reads them, and by another one if they are read again"
_REFUSED = (
    "what a flow writes there has its own machine's time: brokers refuse it once that clock is further ahead than "
    "message.timestamp.after.max.ms (an hour in Kafka 4)"
)
_DELETED = f"{_REFUSED}, and it is kept for too short where that clock is behind"
"""What it means that messages have their producer's time: of topics that are read, of centroids, of what is kept by
time."""


@dataclass(frozen=True)
class TopicNames:
    """The topics' names, prefix and all."""

    clicks: str
    candidates: str
    requests: str
    centroids: str
    scores: str
    dead_letters: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The names that the settings give."""
        return cls(**{topic: settings.topic_prefix + getattr(settings, f"topic_{topic}") for topic in TOPICS})

    def __iter__(self) -> Iterator[str]:
        return iter(astuple(self))


@dataclass(frozen=True)
class TopicPlan:
    """How a topic must be.

    Attributes:
        name: its name, prefix and all.
        partitions: clicks and candidates must have as many as each other, so that an item's meet.
        replication_factor: copies of each partition.
        cleanup: the broker's ``cleanup.policy``: ``delete`` forgets by time, ``compact`` keeps each key's last message.
        retention: ms that messages are kept; None for a compacted topic.
        unless_stamped: what it means if the broker does not give each message its time; empty where that is all the
            same, and such a topic is made.
        reach: by which arguments Kafka's own tools reach the brokers.
    """

    name: str
    partitions: int
    replication_factor: int
    cleanup: str
    retention: int | None
    unless_stamped: str = ""
    reach: str = "--bootstrap-server BROKER"

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings of the topic."""
        return {**self.needed_config, **self.wished_config}

    @property
    def wished_config(self) -> dict[str, str]:
        """Those that it works without, but not as well; managed brokers let few be set."""
        compaction = COMPACTION if self.cleanup == COMPACT else {}
        stamped = {TIMESTAMP_TYPE: LOG_APPEND_TIME} if self.unless_stamped else {}
        return {**{name: str(value) for name, value in compaction.items()}, **stamped}

    @property
    def needed_config(self) -> dict[str, str]:
        """Those of the broker's settings that the topic cannot do without."""
        kept = {} if self.retention is None else {"retention.ms": str(self.retention)}
        return {"cleanup.policy": self.cleanup, **kept}


def plan_topics(settings: Settings) -> list[TopicPlan]:
    """How the topics must be."""
    names = TopicNames.of(settings)
    replicas, partitions = settings.replication_factor, settings.partitions
    reach = reach_of(settings.bootstrap_servers, settings.security_protocol)

    def plan(name: str, cleanup: str, retention: int | None, unless_stamped: str) -> TopicPlan:
        return TopicPlan(name, partitions, replicas, cleanup, retention, unless_stamped, reach)

    return [
        plan(names.clicks, DELETE, settings.retention, _JUDGED),
        plan(names.candidates, COMPACT, None, ""),
        plan(names.requests, DELETE, settings.retention, _JUDGED),
        plan(names.centroids, COMPACT, None, _REFUSED),
        plan(names.scores, DELETE, settings.retention, _DELETED),
        plan(names.dead_letters, DELETE, settings.dead_letters_retention, _DELETED),
    ]
