"""What the client's errors mean."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.kafka.errors import (
    delivery_advice,
    is_gone,
    is_lasting,
    is_oversized,
    is_unreadable,
    no_broker,
    no_topic,
    reason,
    refusal_advice,
    too_long,
)

ALERT = "Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required: SSL alert number 116"


@pytest.mark.parametrize(
    ("code", "lasts"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True),
        (KafkaError.LEADER_NOT_AVAILABLE, False),
        (KafkaError._TRANSPORT, False),
    ],
)
def test_what_the_broker_refuses_lasts_and_what_the_client_says_passes(code: int, lasts: bool) -> None:
    assert is_lasting(KafkaError(code)) is lasts


def test_kinds_of_errors() -> None:
    assert is_gone(KafkaError(KafkaError.OFFSET_OUT_OF_RANGE))
    assert is_unreadable(KafkaError(KafkaError._BAD_MSG))
    assert not is_oversized(KafkaError(KafkaError._BAD_MSG, "MessageSet at offset 1 failed CRC32C check"))
    assert reason(KafkaException(KafkaError(KafkaError._TRANSPORT, "gone"))) == "gone"
    assert reason(KafkaException("odd")) == "odd"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (KafkaError(KafkaError._AUTHENTICATION, "wrong password"), "Check sasl_mechanism"),
        (
            KafkaError(KafkaError._SSL, "certificate verify failed"),
            "Check the brokers' certificate: an authority in ssl_ca",
        ),
        (KafkaError(KafkaError._SSL, "no certificate"), "Check security_protocol, ssl_ca_location"),
        (KafkaError(KafkaError._TRANSPORT, ALERT), "Check security_protocol, ssl_ca_location"),
        (KafkaError(KafkaError._TRANSPORT, "refused"), None),
    ],
)
def test_a_refusal_names_the_settings_to_check(error: KafkaError, advice: str | None) -> None:
    found = refusal_advice(error)
    assert found is None if advice is None else (found or "").startswith(advice)


@pytest.mark.parametrize("name", ["INVALID_TIMESTAMP", "INVALID_RECORD", "_INVALID_DIFFERENT_RECORD"])
def test_a_message_that_is_refused_for_its_time_is_about_the_clock(name: str) -> None:
    advice = delivery_advice(KafkaError(getattr(KafkaError, name)), "scores")
    assert "message.timestamp.after.max.ms" in advice
    assert "compare this machine's clock with theirs" in advice


def test_texts_say_what_to_do() -> None:
    assert "bootstrap_servers" in no_broker("a:1", 15, "refused")
    assert "no topic x, y: run `ralm topics`" in no_topic("a:1", ["x", "y"])
    assert "the right Write on scores" in delivery_advice(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "scores")
    assert "lower max_top_k" in too_long("scores", "t", 10, "--bootstrap-server a:1")
    assert "lower" not in too_long(None, "t", 10, "--bootstrap-server a:1")
