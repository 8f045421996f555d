"""``make_topics`` where a broker answers as no test broker does: refused settings, hidden topics, slow brokers."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.config.settings import Settings
from flows.kafka import admin
from flows.kafka.admin import make_topics
from flows.kafka.facts import TopicFacts
from flows.kafka.topics import TopicPlan, plan_topics
from flows.support.errors import RalmError

SETTINGS = Settings(partitions=2)
PLANS = {plan.name: plan for plan in plan_topics(SETTINGS)}


def as_made(plan: TopicPlan, config: dict[str, str]) -> TopicFacts:
    """A topic as a broker has it that makes topics as it is told to."""
    return TopicFacts(plan.partitions, plan.replication_factor, config=config)


class Broker:
    """Stands in for the cluster and for its client."""

    def __init__(self, facts: dict[str, TopicFacts] | None = None, late: tuple[str, ...] = ()) -> None:
        self.facts = facts or {}
        self.refused: dict[str, int] = {}
        self.refused_config: int | None = None
        self.made: dict[str, dict[str, str]] = {}
        self.admin = self
        self._late = list(late)

    def connect(self) -> None:
        """It answers."""

    def topics(self, names: Any) -> dict[str, TopicFacts]:
        return {name: self.facts.get(name, TopicFacts()) for name in names}

    def known_topics(self, names: Any, _: float) -> dict[str, TopicFacts]:
        return self.topics(names)

    def unheard(self, _: Any, __: float) -> list[str]:
        return self._late

    def create_topics(self, topics: Any, **_: Any) -> dict[str, "Future[None]"]:
        return {topic.topic: self._create(topic) for topic in topics}

    def _create(self, topic: Any) -> "Future[None]":
        future: Future[None] = Future()
        code = self.refused.get(topic.topic)
        if code is None and {"segment.bytes", "message.timestamp.type"} & set(topic.config):
            code = self.refused_config
        if code is None:
            self.made[topic.topic] = topic.config
            self.facts[topic.topic] = as_made(PLANS[topic.topic], topic.config)
            future.set_result(None)
        else:
            future.set_exception(KafkaException(KafkaError(code, "refused")))
        return future


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a broker in place of the real ones."""

    def put(broker: Broker) -> Broker:
        monkeypatch.setattr(admin, "Cluster", lambda *_: broker)
        return broker

    return put


def test_all_topics_are_made_with_their_settings(use: Any) -> None:
    broker = use(Broker())
    assert {state.state for state in make_topics(SETTINGS)} == {"made"}
    assert broker.made == {plan.name: plan.config for plan in PLANS.values()}
    assert {state.state for state in make_topics(SETTINGS)} == {"as planned"}


@pytest.mark.parametrize("code", [KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION])
def test_a_broker_that_takes_few_settings_gets_the_topic_without_them(use: Any, code: int) -> None:
    broker = use(Broker())
    broker.refused_config = code
    states = {state.plan.name: state for state in make_topics(SETTINGS)}
    assert {state.state for state in states.values()} == {"made"}
    assert broker.made["centroids"] == {"cleanup.policy": "compact"}
    (difference,) = states["centroids"].differences
    assert "does not take segment.bytes" in difference.text
    assert not difference.matters
    (difference,) = states["clicks"].differences
    assert "does not take message.timestamp.type: its times are judged by the clock of the machine" in difference.text
    assert not difference.matters
    (difference,) = states["scores"].differences
    assert "does not take message.timestamp.type: what a flow writes there has its own machine's" in difference.text


def test_a_topic_that_is_there_and_hidden_is_said_to_be_uncompared(use: Any) -> None:
    broker = use(Broker({"clicks": TopicFacts(hidden=True)}))
    broker.refused["clicks"] = KafkaError.TOPIC_ALREADY_EXISTS
    states = {state.plan.name: state for state in make_topics(SETTINGS)}
    assert states["clicks"].state == "unchecked"
    (difference,) = states["clicks"].differences
    assert "needs the rights Describe and DescribeConfigs" in difference.text
    assert difference.matters
    assert states["requests"].state == "made"


def test_a_dry_run_cannot_know_whether_a_hidden_topic_is_missing(use: Any) -> None:
    broker = use(Broker({"clicks": TopicFacts(hidden=True)}))
    states = {state.plan.name: state.state for state in make_topics(SETTINGS, dry_run=True)}
    assert (states["clicks"], states["scores"]) == ("unchecked", "missing")
    assert broker.made == {}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "make the topic clicks: refused\nThe user needs the right Create"),
        (KafkaError.INVALID_REPLICATION_FACTOR, "Set replication_factor"),
    ],
)
def test_a_refusal_says_what_to_do(use: Any, code: int, words: str) -> None:
    broker = use(Broker())
    broker.refused["clicks"] = code
    with pytest.raises(RalmError, match=words):
        make_topics(SETTINGS)


def test_a_broker_that_does_not_describe_a_topic_is_an_error(use: Any) -> None:
    use(Broker({"clicks": TopicFacts(trouble="Local: Timed out")}))
    with pytest.raises(RalmError, match="does not describe the topic clicks: Local: Timed out"):
        make_topics(SETTINGS)


def test_brokers_that_do_not_know_a_new_topic_yet_are_named(use: Any) -> None:
    use(Broker(late=("b:9092",)))
    state = make_topics(SETTINGS)[0]
    assert state.state == "made"
    assert "b:9092" in state.differences[0].text
    assert not state.differences[0].matters
