"""librdkafka's settings, made from ours: the same security, options and log for every client."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer

from flows.config.rules import longest_message
from flows.config.settings import Settings
from flows.kafka.outage_log import library_logger, outage_log
from flows.support.errors import ConfigError
from flows.support.logs import masked


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client needs: brokers, TLS, SASL, ``kafka_options``, and where its log goes."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "client.id": "ralm",
        "logger": library_logger(),
        "throttle_cb": outage_log.slowed,
    }
    if settings.security_protocol.startswith("SASL"):
        config["sasl.mechanism"] = settings.sasl_mechanism
    given = {
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password.get_secret_value(),
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password.get_secret_value(),
    }
    config |= {name: value for name, value in given.items() if value}
    return config | dict(option.split("=", 1) for option in settings.kafka_options)


BY_OFFSET: Final[Mapping[str, Any]] = {
    "auto.offset.reset": "error",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
}
"""Of a consumer that reads from given offsets, sees where a partition ends, and leaves no trace in the group."""

QUIET: Final[Mapping[str, Any]] = {"log_level": 0, "error_cb": lambda _: None}
"""Of a client that is only asked whether something answers: what goes wrong meanwhile is neither logged nor counted."""


def consumer_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """A consumer's settings; its read-ahead is bounded by ``queue_kbytes``."""
    return {
        # The library rests for so long once a partition has 100,000 messages queued; with its default of 1000 ms a
        # reader of a backlog runs dry within that second. Memory stays bounded by queue_kbytes.
        "fetch.queue.backoff.ms": 5,
        "group.id": settings.group_id,
        "check.crcs": True,
        "queued.max.messages.kbytes": settings.queue_kbytes,
        "fetch.message.max.bytes": min(1 << 20, settings.queue_kbytes * 1024),
        **client_config(settings),
        **more,
    }


def producer_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """A producer's settings: idempotent, acknowledged by all replicas, bounded in time."""
    longest = longest_message(settings)
    return {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 2,
        "delivery.timeout.ms": settings.delivery_timeout,
        "queue.buffering.max.kbytes": max(65_536, 2 * longest // 1024),  # a message that has no room waits for ever
        "message.max.bytes": longest,
        **client_config(settings),
        **more,
    }


def check_client(settings: Settings) -> None:
    """Ask librdkafka whether it can use the settings: options it knows, certificates it can read. Connects nowhere.

    Raises:
        ConfigError: when it cannot; says why.
    """
    _check_files(settings)
    nowhere = {"bootstrap.servers": ""}
    try:
        Consumer({**consumer_config(settings), **nowhere}).close()
        Producer({**producer_config(settings), **nowhere})
    except (KafkaException, ValueError, TypeError) as error:
        reason = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        msg = f"the Kafka client refuses the settings of the group kafka: {masked(reason, settings.secrets())}"
        raise ConfigError(msg) from None


def _check_files(settings: Settings) -> None:
    """See that the files of TLS can be read: the client says of a missing one neither its name nor what is wrong."""
    if not settings.security_protocol.endswith("SSL"):
        return
    for name in ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"):
        given = getattr(settings, name)
        if not given or given == "probe" or (name == "ssl_ca_location" and Path(given).is_dir()):
            continue
        try:
            with Path(given).open("rb"):
                pass
        except OSError as error:
            msg = f"{name} = {given}: {error.strerror}. Name a file that is there, and that this user may read."
            raise ConfigError(msg) from None
