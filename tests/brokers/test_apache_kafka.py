"""The Apache Kafka that the tests start: it keeps its data, it makes no topic by itself, and it can be away."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients import PlainClient
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from brokers.apache_kafka import ApacheKafka, free_ports
from brokers.needed import need_kafka
from brokers.topics import wait_for_topics
from flows.support.errors import RalmError


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """One for the tests of this module."""
    need_kafka()
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.mark.broker
def test_it_keeps_its_data_and_its_port_over_a_restart(kafka: ApacheKafka) -> None:
    servers = kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(15)
    wait_for_topics(servers, ["kept"])
    client = PlainClient(servers)
    client.send("kept", "a", 1)
    client.send("kept", "b", 2)
    client.flush()
    kafka.stop()
    kafka.start()
    assert kafka.bootstrap_servers == servers
    assert [json.loads(message.value()) for message in PlainClient(servers).read("kept")] == [1, 2]


@pytest.mark.broker
def test_no_topic_makes_itself(kafka: ApacheKafka) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "topic.metadata.propagation.max.ms": 0})
    failed: list[Any] = []
    producer.produce("made-by-nobody", b"x", on_delivery=lambda error, _: failed.append(error.code()))
    assert producer.flush(30) == 0
    assert failed == [KafkaError.UNKNOWN_TOPIC_OR_PART]
    assert "made-by-nobody" not in producer.list_topics(timeout=15).topics


@pytest.mark.broker
def test_a_pause_is_an_outage_and_ends(kafka: ApacheKafka) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    kafka.pause()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": kafka.bootstrap_servers}).list_topics(timeout=1)
    kafka.resume()
    assert admin.list_topics(timeout=30).brokers


@pytest.mark.broker
def test_one_that_does_not_come_up_is_said_with_the_end_of_its_log(kafka: ApacheKafka, tmp_path: Path) -> None:
    other = ApacheKafka(tmp_path / "other")
    other.port = kafka.port  # as if it had been started before; it has no settings
    with pytest.raises(
        RalmError, match=r"Apache Kafka has ended with 1; the end of .*broker.log:[\s\S]*server\.properties"
    ):
        other.start()
    with pytest.raises(RalmError, match="Apache Kafka is not running"):
        other.pause()


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(5))) == 5
