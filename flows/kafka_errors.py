"""What an error means that comes from the client instead of a message."""

from confluent_kafka import KafkaError


def is_end(error: KafkaError) -> bool:
    """Whether it only says that a partition has nothing more for now."""
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 (its public name in this library)


def is_lasting(error: KafkaError) -> bool:
    """Whether it does not pass by itself: what the broker refuses for good. Codes below 0 are the client's own."""
    return error.fatal() or not (error.retriable() or error.code() < 0)
