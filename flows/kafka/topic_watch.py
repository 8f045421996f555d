"""Looks every few seconds whether a flow's topics are still those that it began with.

The client library does not say when a topic is deleted, or deleted and made anew: it reads on at the old offset, and
passes over what is new before that. Nor does it read partitions that are added. So somebody must ask.

* A topic that was made anew ends the flow: the next start knows what to do, or what to ask.
* A topic of which the flow sent what lasts, and that has lost messages at its beginning, ends it too: the next start
  sends all of it again.
* A topic that is gone, or has partitions that nobody reads, makes the flow not ready until that has changed.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flows.kafka.message_times import message_times
from flows.kafka.probe import EARLIEST, BrokerProbe, TopicIdentity
from flows.kafka.topic_marks import TopicMarks, is_within
from flows.support.errors import RalmError
from flows.support.logs import get_logger
from flows.support.text import counted

log = get_logger(__name__)

LOOK_EVERY_S = 5.0
_EVIDENCE_EVERY = 3
"""Looks between two that ask for more than what topics there are."""


class TopicAsker(Protocol):
    """What the watch asks of the brokers."""

    def identities(self, topics: list[str]) -> Mapping[str, TopicIdentity]:
        """The identity of each topic that the brokers speak of."""
        ...

    def another(self, kind: str, topic: str, partitions: int) -> str:
        """Why a topic without an id is another one than it was; empty where nothing says so."""
        ...

    def deleted(self, topic: str, partitions: int) -> int:
        """How many offsets a topic has lost at its beginning."""
        ...


class TopicWatch:
    """Watches the topics of a process.

    Args:
        topics: their names, by kind.
        read: the kinds that do not follow growth by themselves.
        kept: the kinds that something here is made of, so that another topic in their place ends the flow.
        asker: asks the brokers.
        tell: called when it changes whether all is as it must be, with the reason if not.
        whole: the kinds that must keep what was sent to them.
    """

    def __init__(
        self,
        topics: Mapping[str, str],
        read: frozenset[str],
        kept: frozenset[str],
        asker: TopicAsker,
        tell: Callable[[bool, str], None],
        whole: frozenset[str] = frozenset(),
    ) -> None:
        self._topics = dict(topics)
        self._read = read
        self._kept = kept
        self._asker = asker
        self._tell = tell
        self._whole = whole
        self._deleted: dict[str, int] = {}
        self._first: dict[str, TopicIdentity] = {}
        self._counts: dict[str, int] = {}
        self._missing: set[str] = set()
        self._anew: dict[str, str] = {}
        self._said: str | None = None
        self._looks = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="topic-watch", daemon=True)

    @classmethod
    def blind(cls) -> "TopicWatch":
        """One that watches nothing."""
        return cls({}, frozenset(), frozenset(), _Nobody(), lambda *_: None)

    def begin(self) -> None:
        """Look for the first time: what is there now is what is watched.

        Raises:
            RalmError: when no broker answers.
        """
        found = self._asker.identities(list(self._topics.values()))
        self._first = {kind: found[name] for kind, name in self._topics.items() if name in found}
        for kind, identity in self._first.items():
            if identity.partitions and not identity.topic_id:
                self._asker.another(kind, self._topics[kind], identity.partitions)  # so that it knows it from now on
            if identity.partitions and kind in self._whole:
                self._deleted[kind] = self._asker.deleted(self._topics[kind], identity.partitions)
        self._say([])

    def start(self) -> None:
        """Go on looking."""
        self._thread.start()

    def topic_id(self, kind: str) -> str:
        """The id of a topic, empty where the broker gives none."""
        return self._first.get(kind, TopicIdentity()).topic_id

    def partitions(self, kind: str) -> int:
        """How many partitions a topic had at the last look, 0 where that is not known."""
        return self._counts.get(kind, 0)

    def check(self, kind: str) -> None:
        """See that a topic is the one that was there at the start.

        Raises:
            RalmError: when it was made anew.
        """
        if kind in self._anew:
            raise RalmError(self._anew[kind])

    def look(self) -> None:
        """Look once."""
        found = self._asker.identities(list(self._topics.values()))
        self._looks += 1
        self._say([text for kind, name in self._topics.items() if (text := self._judge(kind, name, found.get(name)))])

    def close(self) -> None:
        """End the looking."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=2.0)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look()
            except RalmError:  # no broker answers: the readers say so
                continue
            except Exception:
                log.exception("the topics cannot be looked at")

    def _judge(self, kind: str, name: str, now: TopicIdentity | None) -> str:
        """What is not as it must be with a topic; empty when all is."""
        if now is None:
            return ""
        was = self._first.setdefault(kind, now)
        self._counts[kind] = max(self._counts.get(kind, 0), now.partitions)
        if not now.partitions:
            self._missing |= {kind} if was.partitions else set()
            return f"the topic {name} is gone: somebody deleted it" if was.partitions else ""
        if not was.partitions:
            return f"the topic {name} was made while the flow ran: start the flow again, and it is read"
        if why := self._why_anew(kind, name, was, now):
            return self._note_anew(kind, name, now, why)
        if why := self._why_not_whole(kind, name, now):
            self._anew[kind] = why
            return why
        if now.partitions > was.partitions and kind in self._read:
            return (
                f"the topic {name} has grown from {was.partitions} to {now.partitions} partitions, and the new ones "
                "are not read: start the flow again"
            )
        return ""

    def _note_anew(self, kind: str, name: str, now: TopicIdentity, why: str) -> str:
        if kind not in self._kept:
            log.warning("a topic was made anew; it is written on", topic=name, why=why)
            self._missing.discard(kind)
            self._first[kind] = now
            return ""
        self._anew[kind] = (
            f"the topic {name} was made anew while the flow ran ({why}): start again; where the state was filled from "
            "the old one, the start says what to do"
        )
        return self._anew[kind]

    def _why_anew(self, kind: str, name: str, was: TopicIdentity, now: TopicIdentity) -> str:
        if was.topic_id and now.topic_id:
            return "" if was.topic_id == now.topic_id else f"its id was {was.topic_id}, and is {now.topic_id}"
        if kind in self._missing:
            return "it was gone for a while"
        if now.partitions < was.partitions:
            return f"it had {counted(was.partitions, 'partition')}, and has {now.partitions}"
        return self._asker.another(kind, name, now.partitions) if self._looks % _EVIDENCE_EVERY == 0 else ""

    def _why_not_whole(self, kind: str, name: str, now: TopicIdentity) -> str:
        """What to say of a topic that has lost some of what was sent to it; compaction takes no offsets away."""
        if kind not in self._deleted or self._looks % _EVIDENCE_EVERY:
            return ""
        lost = self._asker.deleted(name, now.partitions) - self._deleted[kind]
        why = f"the first messages of the topic {name} were deleted while the flow ran ({counted(lost, 'offset')})"
        return f"{why}: start again, and all that is to be there is sent again" if lost > 0 else ""

    def _say(self, wrong: list[str]) -> None:
        text = "; ".join(wrong)
        if text == self._said:
            return
        if text:
            log.warning(text)
        elif self._said:
            log.info("the topics are as they were again")
        self._said = text
        self._tell(not text, text)


class _Nobody:
    """Knows of no topics."""

    def identities(self, topics: list[str]) -> Mapping[str, TopicIdentity]:
        del topics
        return {}

    def another(self, kind: str, topic: str, partitions: int) -> str:
        del kind, topic, partitions
        return ""

    def deleted(self, topic: str, partitions: int) -> int:
        del topic, partitions
        return 0


class BrokerAsker:
    """Asks the brokers.

    A topic without an id is known again by where its partitions end, which only ever grows, and by a message of each
    that was read or written.

    Args:
        config: librdkafka's settings of a consumer.
        marks: of what was read and written.
    """

    def __init__(self, config: dict[str, Any], marks: TopicMarks) -> None:
        self._config = config
        self._marks = marks
        self._probe = BrokerProbe(config)
        self._ends: dict[str, dict[int, int]] = {}

    def identities(self, topics: list[str]) -> Mapping[str, TopicIdentity]:
        """The identity of each topic that the brokers speak of."""
        return self._probe.identities(topics)

    def deleted(self, topic: str, partitions: int) -> int:
        """How many offsets a topic has lost at its beginning, in all its partitions.

        Raises:
            RalmError: when the broker does not answer.
        """
        return sum(self._probe.offsets(topic, range(partitions), EARLIEST).values())

    def another(self, kind: str, topic: str, partitions: int) -> str:
        """Why a topic without an id is another one than it was; empty where nothing says so.

        Raises:
            RalmError: when the broker does not answer.
        """
        marks = {partition: mark for partition, mark in self._marks.of_kind(kind).items() if mark.offset >= 0}
        bounds = self._probe.bounds(topic, range(partitions))
        ends = {partition: end for partition, (_, end) in bounds.items()}
        before = self._ends.get(topic, {}) | {partition: mark.offset + 1 for partition, mark in marks.items()}
        for partition, end in before.items():
            if ends.get(partition, 0) < end:
                return f"partition {partition} ends at offset {ends.get(partition, 0)}, and had offset {end - 1}"
        there = {partition: mark.offset for partition, mark in marks.items() if is_within(mark, bounds[partition])}
        times = message_times(topic, self._config, there)
        for partition, time in times.items():
            if time is not None and time != marks[partition].time:
                return f"partition {partition} has another message at offset {marks[partition].offset}"
        for partition in marks:
            if partition not in there or times.get(partition, 0) is None:  # deleted, or compacted away
                self._marks.expire(kind, partition)
        self._ends[topic] = ends
        return ""
