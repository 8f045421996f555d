"""What the broker is asked, and what is said when it does not answer."""

from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from flows.config.settings import Settings
from flows.kafka.config import consumer_config
from flows.kafka.probe import BrokerProbe
from flows.kafka.topics import TopicNames
from flows.support.errors import RalmError


class Client:
    """Fails to list topics so often, and hears one error at each poll."""

    def __init__(self, probe: BrokerProbe, failures: int, *heard: KafkaError) -> None:
        self.probe, self.failures, self.heard = probe, failures, list(heard)
        self.asked = 0

    def list_topics(self, timeout: float) -> Any:
        assert 0 < timeout <= 1
        self.asked += 1
        if self.asked > self.failures:
            return SimpleNamespace(topics={"clicks": None})
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))

    def poll(self, timeout: float) -> None:
        assert timeout == 0
        if self.heard:
            self.probe._heard(self.heard.pop(0))


def probe_of(failures: int, *heard: KafkaError, timeout_s: float = 15.0, **more: Any) -> tuple[BrokerProbe, Client]:
    probe = BrokerProbe({"bootstrap.servers": "a:1"}, timeout_s, **more)
    client = Client(probe, failures, *heard)
    probe.admin = client  # type: ignore[assignment]
    return probe, client


def test_it_waits_for_a_broker_that_is_not_there_yet() -> None:
    heard = KafkaError(KafkaError._TRANSPORT, "refused"), KafkaError(KafkaError._ALL_BROKERS_DOWN)
    probe, _ = probe_of(3, *heard)
    assert probe.list_topics_or_explain() == {"clicks": None}


def test_a_refusal_ends_the_wait_at_once_whatever_came_before() -> None:
    counted: list[KafkaError] = []
    refusal = KafkaError(KafkaError._AUTHENTICATION, "wrong password")
    earlier = KafkaError(KafkaError._TRANSPORT, "connection reset")
    probe, client = probe_of(99, earlier, refusal, on_error=counted.append)
    with pytest.raises(RalmError, match="the broker at a:1 and this client cannot agree: wrong password\nCheck sasl"):
        probe.list_topics_or_explain()
    assert client.asked == 2
    assert len(counted) == 2


def test_a_refusal_is_not_hidden_by_what_comes_after() -> None:
    probe, _ = probe_of(1)
    probe._heard(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    probe._heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down"))
    probe._heard(KafkaError(KafkaError._TRANSPORT, "gone"))
    with pytest.raises(RalmError, match="wrong password"):
        probe.list_topics_or_explain()


def test_a_refusal_by_one_of_several_brokers_does_no_harm_when_another_answers() -> None:
    probe, _ = probe_of(0)
    probe._heard(KafkaError(KafkaError._SSL, "certificate verify failed"))
    assert probe.list_topics_or_explain() == {"clicks": None}


def test_no_answer_at_all_says_the_last_trouble() -> None:
    trouble = [KafkaError(KafkaError._TRANSPORT, "refused"), KafkaError(KafkaError._RESOLVE, "no such host")]
    probe, _ = probe_of(99, *trouble, timeout_s=0.5)
    with pytest.raises(RalmError, match=r"no broker answers at a:1 within 0.5 s: refused\.\nIs it running"):
        probe.list_topics_or_explain()


def test_a_broker_that_does_not_say_where_a_partition_begins() -> None:
    probe = BrokerProbe({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=0.1)
    with pytest.raises(RalmError, match=r"clicks\[0\]: the broker at 127.0.0.1:1 does not say"):
        probe.bounds("clicks", [0])


@pytest.mark.parametrize(
    ("code", "asked"), [(KafkaError.NOT_LEADER_FOR_PARTITION, 3), (KafkaError.TOPIC_AUTHORIZATION_FAILED, 1)]
)
def test_an_offset_is_asked_for_again_while_a_leader_is_looked_for(code: int, asked: int) -> None:
    probe = BrokerProbe({"bootstrap.servers": "a:1"})
    answers: list[list[int]] = []

    def list_offsets(places: dict[TopicPartition, Any], **_: Any) -> dict[TopicPartition, Any]:
        answers.append([place.partition for place in places])
        return {place: answer(place.partition) for place in places}

    def answer(partition: int) -> "Future[Any]":
        future: Future[Any] = Future()
        if partition == 1 and len(answers) < 3:
            future.set_exception(KafkaException(KafkaError(code)))
        else:
            future.set_result(SimpleNamespace(offset=10 * partition))
        return future

    probe.admin = SimpleNamespace(list_offsets=list_offsets)  # type: ignore[assignment]
    if asked > 1:
        assert probe.offsets("clicks", [0, 1, 2], OffsetSpec.for_timestamp(1)) == {0: 0, 1: 10, 2: 20}
    else:
        with pytest.raises(RalmError, match=r"clicks\[1\]: the broker at a:1 does not say"):
            probe.offsets("clicks", [0, 1, 2], OffsetSpec.for_timestamp(1))
    assert answers == [[0, 1, 2], [1], [1]][:asked]


@pytest.mark.broker
def test_partitions_and_their_offsets(topics: Callable[..., Settings], client: Any) -> None:
    settings = topics(partitions=3)
    name = TopicNames.of(settings).clicks
    client.send_all(name, [(b"k", b"v")] * 4, partition=1)
    probe = BrokerProbe(consumer_config(settings))
    assert probe.partitions(name) == {name: [0, 1, 2]}
    assert probe.bounds(name, [0, 1, 2]) == {0: (0, 0), 1: (0, 4), 2: (0, 0)}
    assert probe.offsets(name, [1], OffsetSpec.for_timestamp(1)) == {1: 0}
    with pytest.raises(RalmError, match=r"no topic nowhere: run `ralm topics`"):
        probe.partitions(name, "nowhere")
