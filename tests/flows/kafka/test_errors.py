"""What a client does until the broker has answered once."""

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.kafka.errors import FirstContact
from flows.support.errors import RalmError

ALERT = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116"


class Client:
    """Fails to list topics so often, and hears one error at each poll."""

    def __init__(self, contact: FirstContact, failures: int, *heard: KafkaError) -> None:
        self.contact, self.failures, self.heard = contact, failures, list(heard)
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
            self.contact(self.heard.pop(0))


def test_it_waits_for_a_broker_that_is_not_there_yet() -> None:
    contact = FirstContact("a:1")
    client = Client(contact, 3, KafkaError(KafkaError._TRANSPORT, "refused"), KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert contact.topics(client) == {"clicks": None}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (KafkaError(KafkaError._AUTHENTICATION, "wrong password"), "Check sasl_mechanism"),
        (KafkaError(KafkaError._SSL, "certificate verify failed"), "Check security_protocol, ssl_ca_location"),
        (KafkaError(KafkaError._TRANSPORT, ALERT), "Check security_protocol, ssl_ca_location"),
    ],
)
def test_a_refusal_ends_the_wait_at_once_whatever_came_before(error: KafkaError, advice: str) -> None:
    told: list[KafkaError] = []
    contact = FirstContact("a:1", told.append)
    client = Client(contact, 99, KafkaError(KafkaError._TRANSPORT, "connection reset"), error)
    with pytest.raises(RalmError, match="the broker at a:1 and this client cannot agree: ") as caught:
        contact.topics(client)  # type: ignore[arg-type]
    assert error.str() in str(caught.value)
    assert advice in str(caught.value)
    assert client.asked == 2
    assert len(told) == 2


def test_a_refusal_is_not_hidden_by_what_comes_after() -> None:
    contact = FirstContact("a:1")
    contact(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    contact(KafkaError(KafkaError._ALL_BROKERS_DOWN, "all down"))
    contact(KafkaError(KafkaError._TRANSPORT, "gone"))
    with pytest.raises(RalmError, match="wrong password"):
        contact.topics(Client(contact, 1))  # type: ignore[arg-type]


def test_a_refusal_by_one_of_several_brokers_does_no_harm_when_another_answers() -> None:
    contact = FirstContact("a:1,b:1")
    contact(KafkaError(KafkaError._SSL, "certificate verify failed"))
    assert contact.topics(Client(contact, 0)) == {"clicks": None}  # type: ignore[arg-type]


def test_no_answer_at_all_says_the_last_trouble() -> None:
    contact = FirstContact("a:1")
    trouble = [KafkaError(KafkaError._TRANSPORT, "refused"), KafkaError(KafkaError._RESOLVE, "no such host")]
    with pytest.raises(RalmError, match=r"no broker answers at a:1 within 0.5 s: refused\nIs it running"):
        contact.topics(Client(contact, 99, *trouble), timeout_s=0.5)  # type: ignore[arg-type]
