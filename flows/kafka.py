"""librdkafka's settings, made from ours: the same security for every client."""

from typing import Any

from flows.settings import Settings


def client_config(settings: Settings) -> dict[str, Any]:
    """What every client needs: brokers, TLS, SASL, and ``kafka_options`` over all of it."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "security.protocol": settings.security_protocol,
        "client.id": "ralm",
    }
    if settings.security_protocol.startswith("SASL"):
        config |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username,
            "sasl.password": settings.sasl_password.get_secret_value(),
        }
    files = {
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password.get_secret_value(),
    }
    config |= {name: value for name, value in files.items() if value}
    return config | dict(option.split("=", 1) for option in settings.kafka_options)


def consumer_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """A consumer's settings; its read-ahead is bounded by ``queue_kbytes``."""
    return {
        "group.id": settings.group_id,
        "queued.max.messages.kbytes": settings.queue_kbytes,
        "fetch.message.max.bytes": min(1 << 20, settings.queue_kbytes * 1024),
        **client_config(settings),
        **more,
    }


def producer_config(settings: Settings, **more: Any) -> dict[str, Any]:
    """A producer's settings: idempotent, acknowledged by all replicas, bounded in time."""
    return {
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 2,
        "delivery.timeout.ms": settings.delivery_timeout,
        "queue.buffering.max.kbytes": 65_536,
        "message.max.bytes": 1_000_000,
        **client_config(settings),
        **more,
    }
