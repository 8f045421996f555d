"""Errors that pass by themselves: each of Kafka's documented codes, injected by the client's own toy of a cluster."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka import KafkaError
from mock_cluster import MockCluster, Request, mock_cluster
from waiting import wait_until

from flows.config.settings import Settings
from flows.kafka.config import consumer_config, producer_config
from flows.kafka.consumer import TopicReader
from flows.kafka.errors import FLOW_RETRY, PRODUCER_STATE, RETRIABLE, RIGHTS, heals_anew, may_be_taken_later
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


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sent again is sent soon."""
    monkeypatch.setattr("flows.kafka.producer._AGAIN_S", 0.02)


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
    return Producer(config, 60, role=SinkRole("scores", FLOW_RETRY), clock=clock)


def fast_clock(times: float = 100) -> Callable[[], float]:
    """A clock that goes so many times as fast."""
    began = time.monotonic()
    return lambda: (time.monotonic() - began) * times


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


@pytest.mark.parametrize("request_", [Request.PRODUCE, Request.INIT_PRODUCER_ID], ids=str)
@pytest.mark.parametrize("code", sorted(PRODUCER_STATE))
def test_a_producer_that_may_not_go_on_is_replaced_and_loses_nothing(
    code: int, request_: Request, cluster: MockCluster
) -> None:
    """Also where the new one may not go on either, as with a right that is not given back yet."""
    cluster.fail(request_, code, code)
    producer = flow_producer(cluster)
    for number in range(3):
        producer.send(ProducerRecord("topic", b"k", b"v%d" % number))
    producer.flush()
    cluster.heal(request_)
    assert (producer.delivered, producer.failed) == (3, 0)


@pytest.mark.parametrize("code", sorted(RETRIABLE | RIGHTS - {NO_RIGHT}))
def test_what_a_commit_is_refused_for_ends_nothing_and_a_later_one_is_taken(code: int, cluster: MockCluster) -> None:
    before = errors("source")
    reader = reader_of(cluster)
    reader.add(0, 0)
    cluster.fail(Request.OFFSET_COMMIT, *[code] * 20)
    reader.commit(0, 1)

    def counted() -> bool:
        reader.take(0)
        return errors("source") > before or code in _TRIED_AGAIN

    wait_until(counted, 20)
    cluster.heal(Request.OFFSET_COMMIT)

    def taken() -> bool:
        reader.commit(0, 1)
        reader.take(0)
        return reader.committed(0) == 1

    wait_until(taken)
    reader.close()


_TRIED_AGAIN = {7, 14, 15, 16, 3, 5, 6, 28, 41}
"""Codes at which the client itself tries a commit again, and says nothing."""


@pytest.mark.parametrize("code", [14, 15, 16, 7, -1])
def test_a_coordinator_that_is_not_there_yet_is_waited_for(code: int, cluster: MockCluster) -> None:
    cluster.fail(Request.FIND_COORDINATOR, code, code)
    reader = reader_of(cluster)
    reader.committed(0)
    cluster.heal(Request.FIND_COORDINATOR)
    reader.close()


@pytest.mark.parametrize("request_", [Request.METADATA, Request.LIST_OFFSETS], ids=str)
@pytest.mark.parametrize("code", [3, 5, 6, 7, 13, 14, 56, 72, 78, 100])
def test_questions_before_the_first_fetch_are_asked_again(code: int, request_: Request, cluster: MockCluster) -> None:
    cluster.fail(request_, code, code)
    reader = reader_of(cluster)
    assert reader.bounds(0)[0] == 0
    reader.add(0, 0)
    taken: list[Any] = []
    wait_until(lambda: taken.extend(reader.take(0)) or bool(taken))
    cluster.heal(request_)
    reader.close()


DOCUMENTED = range(-1, 134)
"""The codes of errors that Kafka's protocol documents."""
OF_MESSAGE = {10, 17, 18, 21, 32, 35, 42, 43, 44, 76, 87}
"""What no waiting makes better."""
LASTS = sorted({code for code in DOCUMENTED if code and not may_be_taken_later(KafkaError(code))} - OF_MESSAGE)


def test_every_documented_code_ends_in_delivery_or_in_words(cluster: MockCluster) -> None:
    ended = []
    for code in [*OF_MESSAGE, *LASTS[::4]]:
        cluster.fail(Request.PRODUCE, code)
        producer = flow_producer(cluster)
        with suppress(RalmError):
            producer.send(ProducerRecord("topic", b"k", b"v"))
            producer.flush()
        assert (producer.delivered, producer.failed) in ((1, 0), (0, 1))
        if producer.failed:
            ended.append(code)
            assert "a message to topic with key b'k'" in producer._failure
        cluster.heal(Request.PRODUCE)
    assert set(ended) >= OF_MESSAGE


def test_a_producer_that_never_may_go_on_ends_the_flow_in_words(cluster: MockCluster) -> None:
    cluster.fail(Request.INIT_PRODUCER_ID, *[31] * 500)
    producer = flow_producer(cluster, clock=fast_clock(1000))
    with pytest.raises(RalmError, match="The user needs the right Write on topic") as caught:  # noqa: PT012 (either)
        producer.send(ProducerRecord("topic", b"k", b"v"))
        producer.flush()
    cluster.heal(Request.INIT_PRODUCER_ID)
    assert FLOW_RETRY in str(caught.value)


def test_what_no_new_client_mends_ends_the_flow_at_once(cluster: MockCluster) -> None:
    assert not heals_anew(KafkaError(KafkaError.UNSUPPORTED_VERSION))
    producer = flow_producer(cluster)
    producer._note_fatal(KafkaError(KafkaError.UNSUPPORTED_VERSION))
    with pytest.raises(RalmError, match="the producer for Kafka cannot go on"):
        producer.flush()


def test_a_command_whose_producer_may_not_go_on_says_which_right_it_needs(cluster: MockCluster) -> None:
    cluster.fail(Request.INIT_PRODUCER_ID, 31, 31)
    producer = Producer.of_tool(Settings(bootstrap_servers=cluster.servers))
    with pytest.raises(RalmError, match="The user needs the right Write on topic"):  # noqa: PT012 (either)
        producer.send(ProducerRecord("topic", b"k", b"v"))
        producer.flush()
    cluster.heal(Request.INIT_PRODUCER_ID)


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
