"""The topics: their names, how they must be, making them and comparing them."""

from dataclasses import dataclass
from typing import Self

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from flows.errors import RalmError
from flows.kafka import client_config
from flows.settings import Settings

_TIMEOUT_S = 15.0


@dataclass(frozen=True)
class TopicNames:
    """The topics' names, prefix and all."""

    clicks: str
    requests: str
    centroids: str
    scores: str
    dead_letters: str

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The names that the settings give."""
        names = (
            settings.topic_clicks,
            settings.topic_requests,
            settings.topic_centroids,
            settings.topic_scores,
            settings.topic_dead_letters,
        )
        return cls(*(settings.topic_prefix + name for name in names))


@dataclass(frozen=True)
class TopicPlan:
    """How a topic must be: partitions, and the broker's settings that matter."""

    name: str
    partitions: int
    replication_factor: int
    config: dict[str, str]


@dataclass(frozen=True)
class TopicState:
    """What became of a topic: ``made``, ``as planned`` or ``differs``, and how it differs."""

    plan: TopicPlan
    state: str
    differences: tuple[str, ...] = ()


def plan_topics(settings: Settings) -> list[TopicPlan]:
    """How the topics must be."""
    names = TopicNames.of(settings)
    by_time = {"cleanup.policy": "delete", "retention.ms": str(settings.retention)}
    configs = {
        names.clicks: by_time,
        names.requests: by_time,
        names.centroids: {"cleanup.policy": "compact"},
        names.scores: by_time,
        names.dead_letters: {"cleanup.policy": "delete", "retention.ms": str(settings.dead_letters_retention)},
    }
    return [TopicPlan(n, settings.partitions, settings.replication_factor, config) for n, config in configs.items()]


def make_topics(settings: Settings, *, dry_run: bool = False) -> list[TopicState]:
    """Make the topics that are missing and compare those that exist; nothing that exists is changed.

    Raises:
        RalmError: when the broker does not answer or refuses.
    """
    admin = AdminClient(client_config(settings))  # must outlive its futures
    try:
        known = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        msg = f"no broker answers at {settings.bootstrap_servers}: {error.args[0].str()}"
        raise RalmError(msg) from error
    states = []
    for plan in plan_topics(settings):
        if plan.name in known:
            states.append(_compare(admin, plan, len(known[plan.name].partitions)))
        else:
            if not dry_run:
                _make(admin, plan)
            states.append(TopicState(plan, "missing" if dry_run else "made"))
    return states


def _make(admin: AdminClient, plan: TopicPlan) -> None:
    topic = NewTopic(plan.name, plan.partitions, plan.replication_factor, config=plan.config)
    try:
        admin.create_topics([topic], operation_timeout=_TIMEOUT_S)[plan.name].result(timeout=_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            msg = f"the topic {plan.name} cannot be made: {error.args[0].str()}"
            raise RalmError(msg) from error


def _compare(admin: AdminClient, plan: TopicPlan, partitions: int) -> TopicState:
    resource = ConfigResource(ResourceType.TOPIC, plan.name)
    try:
        found = admin.describe_configs([resource])[resource].result(timeout=_TIMEOUT_S)
    except KafkaException as error:
        msg = f"the settings of topic {plan.name} cannot be read: {error.args[0].str()}"
        raise RalmError(msg) from error
    differences = [f"partitions: {partitions}, planned {plan.partitions}"] if partitions != plan.partitions else []
    for name, wanted in plan.config.items():
        value = found[name].value if name in found else None
        if value != wanted:
            differences.append(f"{name}: {value}, planned {wanted}")
    return TopicState(plan, "differs" if differences else "as planned", tuple(differences))
