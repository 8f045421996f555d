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
