"""What tests of all rooms share: a broker, topics of their own, and a plain client that knows nothing of ours."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

# Before anything loads numpy, and for the processes that tests start too: more threads gain small products nothing, and
# on a busy machine they spin while they wait for one another.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import hypothesis
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

# No test trusts a clock: neither how long an example takes, nor how long it takes to draw one. In CI the examples are
# the same at each run; elsewhere a failure prints what repeats it.
hypothesis.settings.register_profile(
    "ralm",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("ralm")

BROKER_FIXTURES = {"broker", "own_broker"}

TEST_SERVERS = "RALM_TEST_BOOTSTRAP_SERVERS"
"""Names the brokers of a real cluster to run the tests against; without it they start an embedded one."""


class PlainClient:
    """Produces and reads with confluent-kafka and JSON alone, as a stranger to this project would."""

    def __init__(self, servers: str) -> None:
        self.servers = servers

    def send(self, topic: str, messages: Iterable[tuple[Any, Any]], **more: Any) -> None:
        """Produce (key, value) pairs: str and bytes and None go as they are, anything else as JSON."""
        producer = Producer({"bootstrap.servers": self.servers, "linger.ms": 2})
        failed: list[Any] = []

        def delivered(error: Any, _: Message) -> None:
            if error is not None:
                failed.append(error)

        for key, value in messages:
            producer.produce(topic, _bytes(value), _bytes(key), on_delivery=delivered, **more)
            producer.poll(0)
        left = producer.flush(30)
        assert not left, f"{left} messages to {topic} were not delivered"
        assert not failed, f"{topic}: {failed[0]}"

    def read(self, topic: str) -> list[Message]:
        """Everything that the topic has now, partition by partition in offset order."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": f"read-{uuid4().hex}"})
        try:
            return sorted(_to_the_end(consumer, topic), key=lambda m: (m.partition() or 0, m.offset() or 0))
        finally:
            consumer.close()

    def read_json(self, topic: str) -> list[Any]:
        """The values of everything that the topic has now, decoded."""
        return [json.loads(message.value() or b"null") for message in self.read(topic)]


def _to_the_end(consumer: Consumer, topic: str) -> Iterator[Message]:
    ends = {}
    known = consumer.list_topics(timeout=15).topics  # of all topics: to ask for one by name may make it
    assert topic in known, f"there is no topic {topic}"
    for partition in known[topic].partitions:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=15)
        if end > first:
            ends[partition] = end
            consumer.incremental_assign([TopicPartition(topic, partition, first)])
    while ends:
        messages = consumer.consume(10_000, timeout=0.2)
        for message in messages:
            if message.error() is not None:
                pytest.fail(f"{topic}: {message.error()}")
            yield message
        for place in consumer.position([TopicPartition(topic, partition) for partition in ends]):
            if place.offset >= ends[place.partition]:
                del ends[place.partition]


def _bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a broker, so that ``make quick`` leaves it out."""
    for item in items:
        if BROKER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that all tests share."""
    servers = os.environ.get(TEST_SERVERS)
    if servers:
        yield servers
        return
    pytest.importorskip("noida_db", reason=f"no broker: install the extra 'broker', or set {TEST_SERVERS}")
    from flows.kafka.embedded_broker import EmbeddedBroker  # noqa: PLC0415 (a cluster does without it)

    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as embedded:
        yield embedded.bootstrap_servers


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Any]:
    """An embedded broker of the test's own, to pause, stop and start again."""
    pytest.importorskip("noida_db", reason="needs the embedded broker: install the extra 'broker'")
    from flows.kafka.embedded_broker import EmbeddedBroker  # noqa: PLC0415

    with EmbeddedBroker(tmp_path / "own-broker") as embedded:
        yield embedded


@pytest.fixture
def client(broker: str) -> PlainClient:
    """A plain client of the shared broker."""
    return PlainClient(broker)


@pytest.fixture
def plain_client() -> type[PlainClient]:
    """For a client of another broker: ``plain_client(servers)``."""
    return PlainClient


@pytest.fixture
def topics(broker: str) -> Callable[..., Any]:
    """Makes a set of topics with a prefix of the test's own: ``settings = topics(window="1s", ...)``."""
    from flows.config.settings import Settings  # noqa: PLC0415 (tests of other rooms do without)
    from flows.kafka.admin import make_topics  # noqa: PLC0415

    def make(**given: Any) -> Settings:
        values = {"bootstrap_servers": broker, "topic_prefix": f"t{uuid4().hex[:12]}.", **given}
        settings = Settings(**values)
        states = make_topics(settings)
        assert all(state.state == "made" for state in states)
        return settings

    return make
