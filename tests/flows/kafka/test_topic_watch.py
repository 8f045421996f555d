"""What is noticed of a topic that is deleted, grows, or is made anew under a flow. No broker answers."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest

from flows.kafka import topic_watch
from flows.kafka.probe import TopicIdentity
from flows.kafka.topic_marks import TopicMarks
from flows.kafka.topic_watch import BrokerAsker, TopicWatch
from flows.support.errors import RalmError
from state.store.meta import TopicMark

NAMES = {"clicks": "t.clicks", "scores": "t.scores", "centroids": "t.centroids"}
LOOKS = topic_watch._EVIDENCE_EVERY


class Asker:
    """Topics as a test has them, and what it says of those without an id."""

    def __init__(self, **topics: TopicIdentity) -> None:
        self.topics = topics
        self.why = ""
        self.lost = 5
        self.asked: list[str] = []

    def identities(self, topics: list[str]) -> Mapping[str, TopicIdentity]:
        return {f"t.{kind}": found for kind, found in self.topics.items() if f"t.{kind}" in topics}

    def another(self, kind: str, topic: str, partitions: int) -> str:
        self.asked.append(f"{topic} of {partitions}")
        return self.why if kind in ("clicks", "centroids") else ""

    def deleted(self, topic: str, partitions: int) -> int:
        assert (topic, partitions) == ("t.centroids", 4)
        return self.lost


@pytest.fixture
def told() -> list[tuple[bool, str]]:
    return []


@pytest.fixture
def watching(told: list[tuple[bool, str]]) -> Callable[[Asker], TopicWatch]:
    def watch(asker: Asker) -> TopicWatch:
        kept = frozenset({"clicks", "centroids"})
        read, whole = frozenset({"clicks"}), frozenset({"centroids"})
        made = TopicWatch(NAMES, read, kept, asker, lambda ok, why: told.append((ok, why)), whole)
        made.begin()
        return made

    return watch


def with_ids(prefix: str = "id") -> dict[str, TopicIdentity]:
    return {kind: TopicIdentity(f"{prefix}-{kind}", 4) for kind in NAMES}


def without_ids(partitions: int = 4) -> dict[str, TopicIdentity]:
    return {kind: TopicIdentity("", partitions) for kind in NAMES}


@pytest.mark.parametrize("kind", ["clicks", "centroids"])
def test_another_id_ends_a_flow_that_something_is_made_of(
    watching: Callable[[Asker], TopicWatch], told: list[tuple[bool, str]], kind: str
) -> None:
    asker = Asker(**with_ids())
    watch = watching(asker)
    watch.look()
    assert told == [(True, "")]
    asker.topics[kind] = TopicIdentity("new", 4)
    watch.look()
    with pytest.raises(RalmError, match=f"{kind} was made anew while the flow ran .its id was id-{kind}, and is new"):
        watch.check(kind)
    assert not told[-1][0]
    assert not asker.asked, "the id decides"


def test_a_topic_that_is_only_written_is_written_on(
    watching: Callable[[Asker], TopicWatch], told: list[tuple[bool, str]]
) -> None:
    asker = Asker(**with_ids())
    watch = watching(asker)
    asker.topics["scores"] = TopicIdentity("new", 4)
    watch.look()
    watch.check("scores")
    assert told == [(True, "")]
    assert watch.topic_id("scores") == "new"


@pytest.mark.parametrize("kind", ["clicks", "centroids"])
def test_evidence_tells_of_a_topic_without_an_id(watching: Callable[[Asker], TopicWatch], kind: str) -> None:
    asker = Asker(**without_ids())
    watch = watching(asker)
    assert len(asker.asked) == 3, "what there is at the start is looked at"
    for _ in range(LOOKS):
        watch.look()
        watch.check(kind)
    assert len(asker.asked) == 6
    asker.why = "it ends earlier"
    for _ in range(LOOKS):
        watch.look()
    with pytest.raises(RalmError, match="it ends earlier"):
        watch.check(kind)


def test_a_topic_without_an_id_that_was_gone_or_has_fewer_partitions_is_another(
    watching: Callable[[Asker], TopicWatch], told: list[tuple[bool, str]]
) -> None:
    asker = Asker(**without_ids())
    watch = watching(asker)
    asker.topics |= {"clicks": TopicIdentity(), "centroids": TopicIdentity("", 2)}
    watch.look()
    assert "t.clicks is gone" in told[-1][1]
    watch.check("clicks")
    with pytest.raises(RalmError, match="it had 4 partitions, and has 2"):
        watch.check("centroids")
    asker.topics = without_ids()
    watch.look()
    with pytest.raises(RalmError, match="it was gone for a while"):
        watch.check("clicks")


def test_growth_is_told_of_what_is_read(watching: Callable[[Asker], TopicWatch], told: list[tuple[bool, str]]) -> None:
    asker = Asker(**with_ids())
    watch = watching(asker)
    asker.topics = {kind: TopicIdentity(f"id-{kind}", 6) for kind in NAMES}
    watch.look()
    assert told[-1][1].count("has grown from 4 to 6 partitions") == 1
    assert watch.partitions("centroids") == 6
    watch.check("clicks")


def test_what_was_sent_and_deleted_while_the_flow_ran_ends_it(
    watching: Callable[[Asker], TopicWatch], told: list[tuple[bool, str]]
) -> None:
    asker = Asker(**with_ids())
    watch = watching(asker)
    for _ in range(LOOKS):
        watch.look()
    watch.check("centroids")
    asker.lost = 7
    for _ in range(LOOKS):
        watch.look()
    with pytest.raises(RalmError, match=r"t.centroids were deleted while the flow ran \(2 offsets\): start again"):
        watch.check("centroids")
    assert not told[-1][0]
    watch.check("clicks")


# The evidence


class Broker:
    """Messages by partition and offset: what a broker without topic ids has."""

    def __init__(self, first: int, *partitions: dict[int, int]) -> None:
        self.first, self.partitions = first, list(partitions)

    def bounds(self, _: str, partitions: Iterable[int]) -> dict[int, tuple[int, int]]:
        return {p: (self.first, max(self.partitions[p], default=-1) + 1) for p in partitions}

    def offsets(self, _: str, partitions: Iterable[int], spec: Any) -> dict[int, int]:
        assert spec is topic_watch.EARLIEST
        return dict.fromkeys(partitions, self.first)

    def times(self, _: str, __: Any, offsets: Mapping[int, int]) -> dict[int, int | None]:
        return {p: self.partitions[p].get(offset) for p, offset in offsets.items()}


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Callable[[Broker, TopicMarks], BrokerAsker]:
    def ask(broker: Broker, marks: TopicMarks) -> BrokerAsker:
        asker = BrokerAsker({"bootstrap.servers": "127.0.0.1:1"}, marks)
        monkeypatch.setattr(asker, "_probe", broker)
        monkeypatch.setattr(topic_watch, "message_times", broker.times)
        return asker

    return ask


Asking = Callable[[Broker, TopicMarks], BrokerAsker]


def marked(partition: int, offset: int, time: int) -> TopicMarks:
    marks = TopicMarks()
    marks.set("centroids", partition, TopicMark("", offset, time))
    return marks


def test_a_topic_that_only_grows_is_the_same(asking: Asking) -> None:
    broker = Broker(0, {0: 10, 1: 11}, {})
    asker = asking(broker, marked(0, 1, 11))
    assert not asker.another("centroids", "t", 2)
    broker.partitions[0][2] = 12
    broker.partitions[1][0] = 9
    assert not asker.another("centroids", "t", 2)


def test_what_is_lost_at_the_beginning_is_counted(asking: Asking) -> None:
    assert asking(Broker(3, {5: 10}, {}), TopicMarks()).deleted("t", 2) == 6


def test_one_that_was_never_read_nor_written_is_known_by_its_ends(asking: Asking) -> None:
    broker = Broker(0, {0: 10, 7: 11}, {})
    asker = asking(broker, TopicMarks())
    assert not asker.another("centroids", "t", 2)
    broker.partitions = [{0: 99}, {}]
    assert "partition 0 ends at offset 1, and had offset 7" in asker.another("centroids", "t", 2)


def test_one_that_has_outgrown_the_old_one_is_known_by_a_message(asking: Asking) -> None:
    broker = Broker(0, {0: 10}, {0: 11})
    asker = asking(broker, marked(1, 0, 11))
    assert not asker.another("centroids", "t", 2)
    broker.partitions = [{0: 10}, {0: 50, 1: 51}]
    assert "partition 1 has another message at offset 0" in asker.another("centroids", "t", 2)


def test_a_message_that_was_compacted_away_or_has_expired_says_nothing_and_the_next_takes_its_place(
    asking: Asking,
) -> None:
    for broker in (Broker(0, {1: 11}), Broker(1, {1: 11})):
        marks = marked(0, 0, 10)
        assert not asking(broker, marks).another("centroids", "t", 1)
        assert marks.of("centroids", 0).offset == -1


def test_a_message_that_does_not_come_is_remembered(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = marked(0, 0, 10)
    asker = asking(Broker(0, {0: 10}), marks)
    monkeypatch.setattr(topic_watch, "message_times", lambda *_: {})
    assert not asker.another("centroids", "t", 1)
    assert marks.of("centroids", 0).offset == 0


def test_of_more_and_fewer_partitions_again_the_missing_ones_tell(asking: Asking) -> None:
    asker = asking(Broker(0, {0: 10}, {0: 10}), marked(1, 0, 10))
    assert "partition 1 ends at offset 0" in asker.another("centroids", "t", 1)
