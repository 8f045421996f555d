"""Makes the topics that are missing, and says how those that exist differ from the plan; changes none."""

import time
from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from flows.config.fields import format_duration
from flows.config.settings import Settings
from flows.kafka.errors import alter_topic
from flows.kafka.facts import Cluster, TopicFacts
from flows.kafka.probe import ASK_TIMEOUT_S
from flows.kafka.topics import (
    COMPACT,
    COMPACTION,
    DELETE,
    LOG_APPEND_TIME,
    TIMESTAMP_TYPE,
    TopicNames,
    TopicPlan,
    plan_topics,
)
from flows.support.errors import RalmError
from flows.support.text import counted

_CONFIG = (KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION)
"""A broker does not take a topic's settings; managed ones let few be set."""
_NEEDS_DESCRIBE = "the user needs the rights Describe and DescribeConfigs on it"
_ADVICE = {
    KafkaError.INVALID_REPLICATION_FACTOR: "\nSet replication_factor to the number of brokers or fewer.",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "\nThe user needs the right Create on the cluster or the topic; or, if the topic is there already, Describe "
        "and DescribeConfigs on it."
    ),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "\nThe user needs the right Create on the cluster or the topics.",
}


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
        state: ``made``, ``missing`` (dry run), ``as planned``, ``differs`` or ``unchecked``.
        differences: how it differs.
    """

    plan: TopicPlan
    state: str
    differences: tuple[Difference, ...] = ()


def make_topics(settings: Settings, *, dry_run: bool = False, timeout_s: float = ASK_TIMEOUT_S) -> list[TopicState]:
    """Make the topics that are missing, wait until the brokers know them, and compare those that exist.

    Args:
        settings: the settings.
        dry_run: make none.
        timeout_s: how long each question to the broker may take.

    Raises:
        RalmError: when the broker does not answer or refuses; says what to do.
    """
    cluster, plans = Cluster(settings, timeout_s), plan_topics(settings)
    cluster.connect()
    found = cluster.topics([plan.name for plan in plans])
    for name, facts in found.items():
        if facts.trouble:
            msg = f"the broker at {settings.bootstrap_servers} does not describe the topic {name}: {facts.trouble}"
            raise RalmError(msg)
    maker = _Maker(cluster, settings.bootstrap_servers, timeout_s)
    if not dry_run:
        maker.make([plan for plan in plans if not found[plan.name].partitions])
    states = [_state(plan, found[plan.name], maker.made.get(plan.name)) for plan in plans]
    return _with_partners(
        states, {name: facts.partitions for name, facts in found.items() if facts.partitions}, settings
    )


def differences_of(plan: TopicPlan, found: TopicFacts) -> list[Difference]:
    """How a topic differs from its plan."""
    differences = []
    if found.partitions != plan.partitions:
        advice = f"say --partitions {found.partitions}: a change of the topic moves keys to other partitions"
        differences.append(Difference(f"{counted(found.partitions, 'partition')}, planned {plan.partitions}; {advice}"))
    if found.replicas != plan.replication_factor:
        text = f"{found.replicas} replicas, planned {plan.replication_factor}"
        differences.append(Difference(text, found.replicas < plan.replication_factor))
    if found.config is None:
        text = "its settings cannot be compared: the user has no right DescribeConfigs on it"
        return [*differences, Difference(text)]
    cleanup = cleanup_difference(plan, found.config.get("cleanup.policy"))
    differences += [Difference(cleanup)] if cleanup else []
    differences.extend(_retention(plan, found.config.get("retention.ms")))
    minor = [timestamp_difference(plan, found), "" if cleanup else compaction_difference(plan, found)]
    return differences + [Difference(text, matters=False) for text in minor if text]


def cleanup_difference(plan: TopicPlan, found: str | None) -> str:
    """How a topic's ``cleanup.policy`` is not as planned; empty when it is."""
    if found == plan.cleanup:
        return ""
    lost = "the last message of a key could go" if plan.cleanup == COMPACT else "all but a key's last message could go"
    config, later = {"cleanup.policy": plan.cleanup}, ""
    if plan.cleanup == DELETE and DELETE not in (found or ""):  # its old messages would be deleted at once, unread
        config |= {"retention.ms": "-1"}
        later = f", and retention.ms to {plan.retention} once all of it has been read"
    alter = alter_topic(plan.reach, plan.name, config)
    return f"cleanup.policy {found}, planned {plan.cleanup}; {lost}: alter it with `{alter}`{later}"


def compaction_difference(plan: TopicPlan, found: TopicFacts) -> str:
    """How a compacted topic keeps more of what is superseded than planned; empty when it does not."""
    config = found.config or {}
    values = {name: config.get(name) for name in COMPACTION} if plan.cleanup == COMPACT else {}
    slow = {name: value for name, value in values.items() if value is not None and float(value) > COMPACTION[name]}
    if not slow:
        return ""
    have = ", ".join(f"{name} {value} (planned {COMPACTION[name]})" for name, value in slow.items())
    alter = alter_topic(plan.reach, plan.name, {name: str(COMPACTION[name]) for name in slow})
    return f"{have}; a start may read much that is long superseded: alter it with `{alter}`"


def timestamp_difference(plan: TopicPlan, found: TopicFacts) -> str:
    """How a topic whose messages should get the broker's time has the producers'; empty when it has not."""
    have = (found.config or {}).get(TIMESTAMP_TYPE)
    if not plan.unless_stamped or have in (None, LOG_APPEND_TIME):
        return ""
    alter = alter_topic(plan.reach, plan.name, {TIMESTAMP_TYPE: LOG_APPEND_TIME})
    return f"{TIMESTAMP_TYPE} {have}, planned {LOG_APPEND_TIME}; {plan.unless_stamped}: alter it with `{alter}`"


def _not_taken(plan: TopicPlan) -> str:
    """What it means that a broker makes a topic only without what it would be better with."""
    so = ["a start may read much that is superseded"] if plan.cleanup == COMPACT else []
    so += [plan.unless_stamped] if plan.unless_stamped else []
    return f"the broker does not take {', '.join(plan.wished_config)}: {'; '.join(so)}"


def _state(plan: TopicPlan, found: TopicFacts, made: list[Difference] | None) -> TopicState:
    if made is not None:
        return TopicState(plan, "unchecked" if any(d.matters for d in made) else "made", tuple(made))
    if found.hidden:
        return TopicState(plan, "unchecked", (Difference(f"missing, or hidden from the user: {_NEEDS_DESCRIBE}"),))
    if found.missing:
        return TopicState(plan, "missing")
    differences = tuple(differences_of(plan, found))
    return TopicState(plan, "differs" if differences else "as planned", differences)


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


class _Maker:
    """Makes topics.

    Attributes:
        made: those that are there now, and what is to be said of each.
    """

    def __init__(self, cluster: Cluster, servers: str, timeout_s: float) -> None:
        self._cluster = cluster
        self._servers = servers
        self._timeout = timeout_s
        self.made: dict[str, list[Difference]] = {}

    def make(self, plans: Collection[TopicPlan]) -> None:
        """Make topics, and wait until the brokers know them and who leads them."""
        wished = {plan.name: plan for plan in plans}
        errors = self._create([(plan, plan.config) for plan in plans])
        plain = {name for name, error in errors.items() if error is not None and error.code() in _CONFIG}
        errors |= self._create([(plan, plan.needed_config) for plan in plans if plan.name in plain])
        for name, error in errors.items():
            self.made[name] = self._said(name, error)
            if error is None and name in plain:
                self.made[name].append(Difference(_not_taken(wished[name]), matters=False))
        self._settle([name for name, error in errors.items() if error is None])

    def _create(self, wanted: list[tuple[TopicPlan, dict[str, str]]]) -> dict[str, KafkaError | None]:
        """Make topics with these settings; what each was refused for."""
        if not wanted:
            return {}
        new = [NewTopic(plan.name, plan.partitions, plan.replication_factor, config=config) for plan, config in wanted]
        futures = self._cluster.admin.create_topics(new, operation_timeout=self._timeout)
        return {name: self._error(name, future) for name, future in futures.items()}

    def _error(self, name: str, future: "Future[None]") -> KafkaError | None:
        try:
            future.result(timeout=self._timeout + 5.0)
        except KafkaException as error:
            refusal: KafkaError = error.args[0]
            return refusal
        except TimeoutError as error:
            msg = f"the broker at {self._servers} did not make the topic {name} within {self._timeout:g} s"
            raise RalmError(msg) from error
        return None

    def _said(self, name: str, error: KafkaError | None) -> list[Difference]:
        if error is None:
            return []
        if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return [Difference(f"it is there, but hidden from the user, and so not compared: {_NEEDS_DESCRIBE}")]
        why = f"{error.str()}{_ADVICE.get(error.code(), '')}"
        raise RalmError(f"the broker at {self._servers} does not make the topic {name}: {why}")

    def _settle(self, names: list[str]) -> None:
        """Wait until every broker knows the topics, so that a flow may start at once."""
        deadline = time.monotonic() + self._timeout
        facts = self._cluster.known_topics(names, self._timeout)
        seen = [name for name in names if not facts[name].hidden]
        unheard = self._cluster.unheard(seen, deadline) if seen else []
        for name in seen:
            if unheard or not facts[name].settled:
                where = ", ".join(unheard) or "each partition has no leader yet"
                text = f"made, but the brokers do not all know it yet ({where}): wait before you start a flow"
                self.made[name].append(Difference(text, matters=False))
