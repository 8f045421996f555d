"""Makes the topics that are missing, and says how those that exist differ from the plan; changes none."""

from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, NewTopic, ResourceType, TopicMetadata

from flows.config.fields import format_duration
from flows.config.settings import Settings
from flows.kafka.config import client_config
from flows.kafka.probe import ASK_TIMEOUT_S, BrokerProbe
from flows.kafka.topics import COMPACT, TopicNames, TopicPlan, plan_topics
from flows.support.errors import RalmError


@dataclass(frozen=True)
class Difference:
    """How a topic is not as planned.

    Attributes:
        text: for a person, what to do included.
        matters: whether messages could be lost, or the dataflows slowed or misled.
    """

    text: str
    matters: bool = True


@dataclass(frozen=True)
class TopicState:
    """What became of a topic.

    Attributes:
        plan: how it must be.
        state: ``made``, ``missing`` (dry run), ``as planned`` or ``differs``.
        differences: how it differs.
    """

    plan: TopicPlan
    state: str
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Found:
    """A topic as the broker has it: ``config`` are its settings by name."""

    partitions: int
    replicas: int
    config: dict[str, str | None]


def make_topics(settings: Settings, *, dry_run: bool = False, timeout_s: float = ASK_TIMEOUT_S) -> list[TopicState]:
    """Make the topics that are missing and compare those that exist.

    Args:
        settings: the settings.
        dry_run: make none.
        timeout_s: how long each question to the broker may take.

    Raises:
        RalmError: when the broker does not answer or refuses; says what to do.
    """
    broker = _Broker(settings, timeout_s)
    known = broker.topics()
    states = []
    for plan in plan_topics(settings):
        if plan.name in known:
            differences = tuple(differences_of(plan, broker.found(plan.name, known[plan.name])))
            states.append(TopicState(plan, "differs" if differences else "as planned", differences))
        elif dry_run:
            states.append(TopicState(plan, "missing"))
        else:
            broker.make(plan)
            states.append(TopicState(plan, "made"))
    return _with_partners(states, {name: len(topic.partitions) for name, topic in known.items()}, settings)


def differences_of(plan: TopicPlan, found: Found) -> list[Difference]:
    """How a topic differs from its plan."""
    differences = []
    if found.partitions != plan.partitions:
        advice = "set partitions to it, or make the topic anew: a change moves keys to other partitions"
        differences.append(Difference(f"{found.partitions} partitions, planned {plan.partitions}; {advice}"))
    if found.replicas != plan.replication_factor:
        text = f"{found.replicas} replicas, planned {plan.replication_factor}"
        differences.append(Difference(text, found.replicas < plan.replication_factor))
    cleanup = found.config.get("cleanup.policy")
    if cleanup != plan.cleanup:
        lost = (
            "the last message of a key could go" if plan.cleanup == COMPACT else "all but a key's last message could go"
        )
        differences.append(Difference(f"cleanup.policy {cleanup}, planned {plan.cleanup}; {lost}"))
    differences.extend(_retention(plan, found.config.get("retention.ms")))
    return differences


def _retention(plan: TopicPlan, found: str | None) -> list[Difference]:
    if plan.retention is None or found is None or int(found) == plan.retention:
        return []
    forever = int(found) < 0
    text = "for ever" if forever else format_duration(int(found))
    shorter = not forever and int(found) < plan.retention
    return [Difference(f"kept {text}, planned {format_duration(plan.retention)}", shorter)]


def _with_partners(states: list[TopicState], partitions: dict[str, int], settings: Settings) -> list[TopicState]:
    """Say where clicks and candidates have not as many partitions as each other."""
    names = TopicNames.of(settings)
    size = {plan.name: partitions.get(plan.name, plan.partitions) for plan in plan_topics(settings)}
    if size[names.clicks] == size[names.candidates]:
        return states
    text = f"{names.clicks} has {size[names.clicks]} partitions, {names.candidates} has {size[names.candidates]}"
    apart = Difference(f"{text}: an item's clicks and its candidate would not meet")
    return [
        TopicState(state.plan, state.state, (*state.differences, apart))
        if state.plan.name == names.candidates
        else state
        for state in states
    ]


class _Broker:
    """The broker's answers, or errors that say what to do. It keeps its client, which must outlive the futures."""

    def __init__(self, settings: Settings, timeout_s: float) -> None:
        self._servers = settings.bootstrap_servers
        self._timeout = timeout_s
        self._probe = BrokerProbe(client_config(settings), timeout_s)
        self._admin = self._probe.admin

    def topics(self) -> dict[str, TopicMetadata]:
        """All topics of the broker."""
        return self._probe.list_topics_or_explain()

    def found(self, name: str, topic: TopicMetadata) -> Found:
        """A topic as the broker has it."""
        resource = ConfigResource(ResourceType.TOPIC, name)
        config = self._answer(f"say the settings of topic {name}", self._admin.describe_configs([resource]))
        replicas = min((len(part.replicas) for part in topic.partitions.values()), default=0)
        return Found(len(topic.partitions), replicas, {name: entry.value for name, entry in config.items()})

    def make(self, plan: TopicPlan) -> None:
        """Make a topic."""
        topic = NewTopic(plan.name, plan.partitions, plan.replication_factor, config=plan.config)
        futures = self._admin.create_topics([topic], operation_timeout=self._timeout)
        self._answer(f"make the topic {plan.name}", futures)

    def _answer(self, what: str, futures: dict[Any, Any]) -> Any:
        try:
            return next(iter(futures.values())).result(timeout=self._timeout + 5.0)
        except KafkaException as error:
            msg = f"the broker at {self._servers} does not {what}: {error.args[0].str()}{_advice(error.args[0])}"
            raise RalmError(msg) from error
        except TimeoutError as error:
            msg = f"the broker at {self._servers} did not {what} within {self._timeout:g} s"
            raise RalmError(msg) from error


def _advice(error: KafkaError) -> str:
    advice = {
        KafkaError.INVALID_REPLICATION_FACTOR: "\nSet replication_factor to the number of brokers or fewer.",
        KafkaError.TOPIC_AUTHORIZATION_FAILED: "\nThe user needs the rights Create and DescribeConfigs on the topics.",
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "\nThe user needs the right Create on the cluster or the topics.",
        KafkaError.TOPIC_ALREADY_EXISTS: "\nSomeone else has just made it: run this again to compare.",
    }
    return advice.get(error.code(), "")
