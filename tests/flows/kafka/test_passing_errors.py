"""Errors that pass by themselves: each of Kafka's documented codes, injected by the client's own toy of a cluster."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from mock_cluster import MockCluster, Request, mock_cluster
from waiting import wait_until

from flows.config.settings import Settings
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.errors import RETRIABLE, RIGHTS
from flows.kafka.producer import Producer, ProducerRecord, SinkRole
from flows.support.errors import RalmError
from monitoring import metrics

FAST = {
    "fetch.wait.max.ms": 10,
    "fetch.error.backoff.ms": 20,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 40,
    "log_level": 0,
}
NO_RIGHT = KafkaError.TOPIC_AUTHORIZATION_FAILED


@pytest.fixture(scope="module")
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as made:
        made.topic("topic")
        producer = Producer(producer_config(Settings(bootstrap_servers=made.servers)), 30)
        producer.send(ProducerRecord("topic", b"k", b"first"))
        producer.flush()
        yield made


def errors(client: str) -> float:
    return metrics.REGISTRY.get_sample_value("ralm_kafka_errors_total", {"kind": client}) or 0.0


def reader_of(cluster: MockCluster) -> TopicReader:
    config = consumer_config(Settings(bootstrap_servers=cluster.servers))
    return TopicReader("topic", {**config, **FAST}, 10)


def flow_producer(cluster: MockCluster, clock: Callable[[], float] = time.monotonic) -> Producer:
    config = {**producer_config(Settings(bootstrap_servers=cluster.servers)), **FAST}
    return Producer(config, 60, role=SinkRole("scores"), clock=clock)


def fast_clock() -> Callable[[], float]:
    """A clock that goes a hundred times as fast."""
    began = time.monotonic()
    return lambda: (time.monotonic() - began) * 100


@pytest.mark.parametrize("code", sorted(RETRIABLE | (RIGHTS - {NO_RIGHT}) | {KafkaError.OFFSET_OUT_OF_RANGE}))
def test_a_reader_waits_until_an_error_has_passed(code: int, cluster: MockCluster) -> None:
    cluster.fail(Request.FETCH, code, code)
    reader = reader_of(cluster)
    reader.add(0, 0)
    taken: list[Any] = []
    wait_until(lambda: taken.extend(reader.take(0)) or bool(taken))
    cluster.heal(Request.FETCH)
    reader.close()
    assert taken[0].value() == b"first"


def test_a_right_to_read_that_is_taken_away_is_waited_for_and_said_once(
    cluster: MockCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    before = errors("source")
    cluster.fail(Request.FETCH, NO_RIGHT, NO_RIGHT)
    reader = reader_of(cluster)
    reader.add(0, 0)
    taken: list[Any] = []
    wait_until(lambda: taken.extend(reader.take(0)) or bool(taken))
    cluster.heal(Request.FETCH)
    reader.close()
    assert errors("source") > before
    assert "".join(capsys.readouterr()).count("waiting until this user has Read on topic again") <= 1


@pytest.mark.parametrize("code", sorted((RETRIABLE | RIGHTS) - {NO_RIGHT}))
def test_a_flows_message_is_sent_until_it_is_taken(code: int, cluster: MockCluster) -> None:
    cluster.fail(Request.PRODUCE, code)
    producer = flow_producer(cluster)
    producer.send(ProducerRecord("topic", b"k", b"v"))
    producer.flush()
    cluster.heal(Request.PRODUCE)
    assert (producer.delivered, producer.failed) == (1, 0)


def test_a_right_to_write_that_is_taken_away_is_waited_for_and_counted(cluster: MockCluster) -> None:
    before = errors("sink")
    cluster.fail(Request.PRODUCE, *[NO_RIGHT] * 3)
    producer = flow_producer(cluster)
    for number in range(5):
        producer.send(ProducerRecord("topic", b"k", b"v%d" % number))
    producer.flush()
    cluster.heal(Request.PRODUCE)
    assert (producer.delivered, producer.failed) == (5, 0)
    assert errors("sink") > before


def test_a_command_says_at_once_that_it_may_not_write(cluster: MockCluster) -> None:
    cluster.fail(Request.PRODUCE, NO_RIGHT)
    producer = Producer.of_tool(Settings(bootstrap_servers=cluster.servers))
    producer.send(ProducerRecord("topic", b"k", b"v"))
    with pytest.raises(RalmError, match="The user needs the right Write on topic"):
        producer.flush()
    cluster.heal(Request.PRODUCE)


def test_a_right_that_does_not_come_back_ends_the_flow_in_words(cluster: MockCluster) -> None:
    cluster.fail(Request.PRODUCE, *[NO_RIGHT] * 50)
    producer = flow_producer(cluster, clock=fast_clock())
    producer.send(ProducerRecord("topic", b"k", b"v"))
    with pytest.raises(RalmError, match="The user needs the right Write on topic"):
        producer.flush()
    cluster.heal(Request.PRODUCE)
