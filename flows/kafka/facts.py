"""What the brokers say of topics, and of what this user may do: asked for in as few requests as there can be."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType, TopicDescription, TopicMetadata

from flows.config.settings import Settings
from flows.kafka.config import QUIET, client_config
from flows.kafka.errors import is_missing
from flows.kafka.probe import ASK_TIMEOUT_S, BrokerProbe, topic_id_of
from monitoring.address import host_port

READ = "READ"
WRITE = "WRITE"
_HIDDEN = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
_ASK_AGAIN_S = 0.25
_EACH_BROKER_S = 3.0


@dataclass(frozen=True)
class TopicFacts:
    """A topic as the broker describes it.

    Attributes:
        partitions: how many it has; 0 when nothing is known of it.
        replicas: the fewest copies that a partition has.
        leaderless: the partitions that no broker leads now.
        config: its settings by name; None when this user may not see them.
        rights: what this user may do with it (``READ``, ``WRITE``, ...); None when the broker does not say.
        hidden: whether this user may not see it; whether it exists is not known then.
        trouble: why the broker did not describe it, other than that it is missing or hidden.
        topic_id: its id; empty where the broker gives none.
    """

    partitions: int = 0
    replicas: int = 0
    leaderless: tuple[int, ...] = ()
    config: Mapping[str, str | None] | None = None
    rights: frozenset[str] | None = None
    hidden: bool = False
    trouble: str = ""
    topic_id: str = ""

    @property
    def missing(self) -> bool:
        """Whether the broker has no such topic."""
        return not (self.partitions or self.hidden or self.trouble)

    @property
    def settled(self) -> bool:
        """Whether the broker's answer will be the same a moment later: no partition still looks for its leader."""
        return self.hidden or bool(self.partitions and not self.leaderless)


class Cluster:
    """Asks the brokers. It keeps its client, which must outlive the client's futures.

    Args:
        settings: the settings.
        timeout_s: how long each answer may take.
    """

    def __init__(self, settings: Settings, timeout_s: float = ASK_TIMEOUT_S) -> None:
        self._settings = settings
        self._timeout = timeout_s
        self._probe = BrokerProbe(client_config(settings), timeout_s)
        self.admin = self._probe.admin

    def connect(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """See that a broker answers.

        Args:
            stopped: says not to wait any longer.

        Raises:
            RalmError: when none does; says why, and what to do.
        """
        self._probe.list_topics_or_explain(stopped)

    def topics(self, names: Collection[str]) -> dict[str, TopicFacts]:
        """Describe topics, missing ones too; makes none, even where brokers make topics that are asked for."""
        if not names:
            return {}
        described = self.admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=self._timeout
        )
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        configs = self.admin.describe_configs(resources, request_timeout=self._timeout)
        settings = {resource.name: self._config(future) for resource, future in configs.items()}
        return {name: self._facts(future, settings.get(name)) for name, future in described.items()}

    def known_topics(
        self,
        names: Collection[str],
        patience_s: float,
        *,
        waiting: Callable[[list[str]], None] = lambda _: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> dict[str, TopicFacts]:
        """Describe topics; of those that are not there yet, or have no leader yet, ask again for a while.

        A broker may not have heard of a topic that was made a moment ago; where it is one of several, each is asked
        until it has.

        Args:
            names: the topics.
            patience_s: seconds until a topic that is not there is missing.
            waiting: called once, with the topics that are waited for.
            stopped: says not to wait any longer.
        """
        deadline = time.monotonic() + patience_s
        facts = self.topics(names)
        late = [name for name in names if not facts[name].settled]
        if late:
            waiting(late)
        while (open_ := [name for name in late if not facts[name].settled]) and time.monotonic() < deadline:
            if stopped():
                return facts
            time.sleep(_ASK_AGAIN_S)
            facts |= self.topics(open_)
        if late and not open_:
            self.unheard(late, deadline)
        return facts

    def unheard(self, names: Collection[str], deadline: float) -> list[str]:
        """Wait until each broker knows topics and who leads them.

        Args:
            names: the topics.
            deadline: of the monotonic clock.

        Returns:
            The addresses of the brokers that did not know them by then; one that does not answer is passed over.
        """
        addresses = self._addresses()
        late = [] if len(addresses) < 2 else addresses  # the only one has been asked
        while (late := [each for each in late if not self._knows(each, names)]) and time.monotonic() < deadline:
            time.sleep(_ASK_AGAIN_S)
        return late

    def group_rights(self, group: str) -> frozenset[str] | None:
        """What this user may do with a consumer group; None when the broker does not say."""
        futures = self.admin.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=self._timeout
        )
        try:
            return _rights(self._result(futures[group]).authorized_operations)
        except KafkaException as error:
            return frozenset() if error.args[0].code() in _HIDDEN else None
        except TimeoutError:
            return None

    def _result(self, future: "Future[Any]") -> Any:
        return future.result(timeout=self._timeout + 5.0)

    def _config(self, future: "Future[Any]") -> dict[str, str | None] | None:
        try:
            return {name: entry.value for name, entry in self._result(future).items()}
        except (KafkaException, TimeoutError):
            return None

    def _facts(self, future: "Future[TopicDescription]", config: dict[str, str | None] | None) -> TopicFacts:
        try:
            found: TopicDescription = self._result(future)
        except KafkaException as error:
            refusal: KafkaError = error.args[0]
            if is_missing(refusal):
                return TopicFacts()
            return TopicFacts(hidden=True) if refusal.code() in _HIDDEN else TopicFacts(trouble=refusal.str())
        except TimeoutError:
            return TopicFacts(trouble="it did not answer in time")
        return TopicFacts(
            partitions=len(found.partitions),
            replicas=min((len(part.replicas) for part in found.partitions), default=0),
            leaderless=tuple(part.id for part in found.partitions if part.leader is None),
            config=config,
            rights=_rights(found.authorized_operations),
            topic_id=topic_id_of(found),
        )

    def _addresses(self) -> list[str]:
        try:
            brokers = self.admin.list_topics(timeout=self._timeout).brokers.values()
        except KafkaException:
            return []
        hosts = ((str(each.host), each.port) for each in brokers)
        return [host_port(host, port) for host, port in hosts]

    def _knows(self, address: str, names: Iterable[str]) -> bool:
        """Whether the broker at an address knows the topics and their leaders: the first that a new client asks."""
        at = self._settings.model_copy(update={"bootstrap_servers": address})
        client = AdminClient({**client_config(at), **QUIET})
        try:
            topics: dict[str, TopicMetadata] = client.list_topics(timeout=_EACH_BROKER_S).topics
        except KafkaException:
            return True
        return all(name in topics and _led(topics[name]) for name in names)


def _led(topic: TopicMetadata) -> bool:
    return bool(topic.partitions) and all(part.leader >= 0 for part in topic.partitions.values())


def _rights(operations: Iterable[Any] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(operation.name for operation in operations)
