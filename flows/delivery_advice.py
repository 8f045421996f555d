"""What to do when the broker has not taken a message; a flow that says so has stopped."""

from confluent_kafka import KafkaError

_AGAIN = "Nothing is lost: a start goes on from the last snapshot and makes again what was not delivered."
_LOOK = (
    "Look whether the brokers that have {topic} are up and can be reached from here, and whether enough of its "
    "replicas are in sync. If outages may last longer, raise delivery_timeout."
)
_BY_CODE = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "The user needs the right Write on {topic}.",
    KafkaError.UNKNOWN_TOPIC_OR_PART: "If somebody deleted {topic}, `ralm topics` makes it again.",
    KafkaError._UNKNOWN_TOPIC: "If somebody deleted {topic}, `ralm topics` makes it again.",  # noqa: SLF001 (public)
}
_TOO_LONG = (
    "How long a message may be there is the setting max.message.bytes of the topic {topic}, or where it has none the "
    "brokers' message.max.bytes: set the topic's to {most} or more (kafka-configs --alter --entity-type topics "
    "--entity-name {topic} --add-config max.message.bytes={most}). Where that may not be, make messages shorter: "
    "lower {lower}, and with it batch.size in kafka_options, since messages are sent together."
)
_LOWER = {"scores": "max_top_k", "centroids": "clusters", "dead_letters": "dead_letter_max_bytes"}
_KAFKA_DEFAULT = 1_048_588


def too_long(kind: str, topic: str, most: int) -> str:
    """What to do when a topic takes no message of such a size.

    Args:
        kind: what the topic is in the contract.
        topic: its name.
        most: bytes of the longest message that we may send.
    """
    return f"{_TOO_LONG.format(topic=topic, most=max(most, _KAFKA_DEFAULT), lower=_LOWER[kind])} {_AGAIN}"


def advice_for(error: KafkaError, topic: str) -> str:
    """What to do about a message that the broker has not taken, for the end of a sentence that says so.

    Args:
        error: why not.
        topic: where it was to go.
    """
    return f"{_BY_CODE.get(error.code(), _LOOK).format(topic=topic)} {_AGAIN}"


def not_taken(topic: str, left: int, timeout: float) -> str:
    """What to say of messages of which the client does not know what became of them.

    Args:
        topic: where they were to go.
        left: how many they are.
        timeout: how long they were waited for, seconds.
    """
    look = _LOOK.format(topic=topic)
    return f"{left} messages to {topic} were not taken by the broker within {timeout:.0f} s. {look} {_AGAIN}"
