"""What brokers say of topics: waiting for those they have not heard of, asking each of several."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from flows.config.settings import Settings
from flows.kafka import facts as module
from flows.kafka.facts import Cluster, TopicFacts
from flows.kafka.topics import COMPACTION, TopicNames

THERE = TopicFacts(partitions=2, replicas=1)


class Slow(Cluster):
    """A cluster that tells of topics only from the n-th question on."""

    def __init__(self, after: int, first: TopicFacts = TopicFacts()) -> None:  # noqa: B008 (immutable)
        super().__init__(Settings(bootstrap_servers="127.0.0.1:1"), 0.1)
        self.asked: list[list[str]] = []
        self.everywhere: list[list[str]] = []
        self._after, self._first = after, first

    def topics(self, names: Any) -> dict[str, TopicFacts]:
        self.asked.append(list(names))
        known = len(self.asked) > self._after
        return {name: THERE if known or name == "old" else self._first for name in names}

    def unheard(self, names: Any, deadline: float) -> list[str]:
        del deadline
        self.everywhere.append(list(names))
        return []


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ASK_AGAIN_S", 0.001)


def test_topics_that_are_there_are_asked_for_once() -> None:
    cluster = Slow(0)
    waited: list[list[str]] = []
    assert cluster.known_topics(["a", "b"], 60, waiting=waited.append) == {"a": THERE, "b": THERE}
    assert (cluster.asked, cluster.everywhere, waited) == ([["a", "b"]], [], [])


@pytest.mark.parametrize("first", [TopicFacts(), TopicFacts(2, 1, leaderless=(1,)), TopicFacts(trouble="no leader")])
def test_new_topics_are_waited_for_and_then_asked_for_at_each_broker(first: TopicFacts) -> None:
    cluster = Slow(3, first)
    waited: list[list[str]] = []
    assert cluster.known_topics(["old", "new"], 60, waiting=waited.append) == {"old": THERE, "new": THERE}
    assert cluster.asked == [["old", "new"], ["new"], ["new"], ["new"]]
    assert cluster.everywhere == [["new"]]
    assert waited == [["new"]], "it is said once"


def test_topics_that_do_not_come_are_missing_after_a_while() -> None:
    cluster = Slow(10**9)
    found = cluster.known_topics(["a"], 0.02)
    assert found["a"].missing
    assert len(cluster.asked) > 1
    assert cluster.everywhere == []


def test_who_is_to_stop_does_not_wait_for_topics() -> None:
    cluster = Slow(10**9)
    assert cluster.known_topics(["a"], 600, stopped=lambda: True)["a"].missing
    assert len(cluster.asked) == 1


def test_a_hidden_topic_is_not_waited_for() -> None:
    cluster = Slow(10**9, TopicFacts(hidden=True))
    assert cluster.known_topics(["a"], 600)["a"].hidden


def test_each_of_several_brokers_is_asked_until_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(Settings(), 0.1)
    brokers = {number: SimpleNamespace(host=f"h{number}", port=9092) for number in range(3)}
    monkeypatch.setattr(cluster, "admin", SimpleNamespace(list_topics=lambda timeout: SimpleNamespace(brokers=brokers)))
    asked: list[str] = []

    def knows(address: str, names: Any) -> bool:
        asked.append(address)
        return address == "h0:9092" or (address == "h2:9092" and asked.count(address) > 2)

    monkeypatch.setattr(cluster, "_knows", knows)
    assert cluster.unheard(["a"], time.monotonic() + 0.05) == ["h1:9092"]
    assert asked.count("h0:9092") == 1
    assert asked.count("h2:9092") == 3


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicFacts()),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicFacts(hidden=True)),
        (KafkaError._TIMED_OUT, TopicFacts(trouble="Local: Timed out")),
    ],
)
def test_what_an_error_says_of_a_topic(code: int, found: TopicFacts) -> None:
    future: Any = SimpleNamespace(result=lambda timeout: (_ for _ in ()).throw(KafkaException(KafkaError(code))))
    assert Cluster(Settings(), 0.1)._facts(future, None) == found


@pytest.mark.broker
def test_a_real_broker_describes_topics_and_makes_none(topics: Callable[..., Settings]) -> None:
    settings = topics(partitions=3)
    names = TopicNames.of(settings)
    nowhere = f"t{uuid4().hex}.nowhere"
    cluster = Cluster(settings)
    cluster.connect()
    found = cluster.topics([names.clicks, names.centroids, nowhere])
    assert (found[names.clicks].partitions, found[names.clicks].replicas) == (3, 1)
    assert all(each.settled for name, each in found.items() if name != nowhere)
    assert found[nowhere].missing
    config = found[names.centroids].config
    assert config is not None
    assert config["cleanup.policy"] == "compact"
    assert {name: float(config[name] or "nan") for name in COMPACTION} == COMPACTION
    assert nowhere not in cluster.admin.list_topics(timeout=15).topics


@pytest.mark.broker
def test_a_topic_that_another_makes_meanwhile_is_found(broker: str) -> None:
    settings = Settings(bootstrap_servers=broker)
    cluster, name = Cluster(settings), f"t{uuid4().hex}.late"
    cluster.connect()
    made: list[Any] = []

    def make(late: list[str]) -> None:
        admin = AdminClient({"bootstrap.servers": broker})
        made.extend([admin, admin.create_topics([NewTopic(late[0], 2, 1)])[late[0]].result(timeout=15)])

    assert cluster.known_topics([name], 30, waiting=make)[name].partitions == 2
