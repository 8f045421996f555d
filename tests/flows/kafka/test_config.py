"""Every client gets the same security; the client library is asked before anything is touched."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from flows.config.settings import Settings
from flows.kafka.config import check_client, client_config, consumer_config, producer_config
from flows.support.errors import ConfigError

SECURE = Settings(
    bootstrap_servers="a:1,b:2",
    security_protocol="SASL_SSL",
    sasl_mechanism="SCRAM-SHA-512",
    sasl_username="me",
    sasl_password="secret",
    ssl_ca_location="ca.pem",
    ssl_certificate_location="cert.pem",
    ssl_key_location="key.pem",
    ssl_key_password="more",
)


@pytest.mark.parametrize("made", [client_config, consumer_config, producer_config])
def test_every_client_is_secured_alike(made: object) -> None:
    config = made(SECURE)  # type: ignore[operator]
    assert (
        config.items()
        >= {
            "bootstrap.servers": "a:1,b:2",
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "me",
            "sasl.password": "secret",
            "ssl.ca.location": "ca.pem",
            "ssl.certificate.location": "cert.pem",
            "ssl.key.location": "key.pem",
            "ssl.key.password": "more",
        }.items()
    )


def test_without_security_nothing_of_it_is_said() -> None:
    assert not [name for name in client_config(Settings()) if name.startswith(("sasl", "ssl"))]


def test_options_go_to_every_client_and_over_ours() -> None:
    settings = Settings(kafka_options=("linger.ms=9", "debug=broker,topic", "sasl.oauthbearer.config=a=b"))
    for config in (consumer_config(settings), producer_config(settings)):
        assert config["linger.ms"] == "9"
        assert config["debug"] == "broker,topic"
        assert config["sasl.oauthbearer.config"] == "a=b"
    assert consumer_config(settings, **{"group.id": "other"})["group.id"] == "other"


def test_a_producer_loses_nothing() -> None:
    config = producer_config(Settings(delivery_timeout="90s"))
    assert (config["enable.idempotence"], config["acks"], config["delivery.timeout.ms"]) == (True, "all", 90_000)


@pytest.mark.parametrize("size", [1000, 900_000, 5_000_000])
def test_a_producer_can_send_the_largest_dead_letter(size: int) -> None:
    config = producer_config(Settings(dead_letter_max_bytes=size))
    assert config["message.max.bytes"] >= size + 100_000


@pytest.mark.parametrize("kbytes", [1, 64, 16_384, 2_097_151])
def test_a_consumer_reads_ahead_no_more_than_it_may(kbytes: int) -> None:
    config = consumer_config(Settings(queue_kbytes=kbytes))
    assert config["queued.max.messages.kbytes"] == kbytes
    assert config["fetch.message.max.bytes"] <= kbytes * 1024


def test_a_consumer_does_not_rest_while_there_is_a_backlog() -> None:
    assert consumer_config(Settings())["fetch.queue.backoff.ms"] <= 10


@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(queue_kbytes=1), Settings(dead_letter_max_bytes=1), Settings(delivery_timeout="1d")],
)
def test_the_client_library_takes_the_settings(settings: Settings) -> None:
    check_client(settings)
    Consumer(consumer_config(settings, **{"bootstrap.servers": ""})).close()
    Producer(producer_config(settings, **{"bootstrap.servers": ""}))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("no.such.option=1", 'No such configuration property: "no.such.option"'),
        ("linger.ms=soon", "Invalid value"),
        ("linger.ms=99999999999", "outside allowed range"),
    ],
)
def test_an_option_that_the_client_library_refuses_is_said(option: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"^the Kafka client refuses the settings of the group kafka: ") as caught:
        check_client(Settings(kafka_options=(option,)))
    assert words in str(caught.value)


def test_a_certificate_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ssl_ca_location = .*none\.pem: No such file"):
        check_client(Settings(security_protocol="SSL", ssl_ca_location=str(tmp_path / "none.pem")))
