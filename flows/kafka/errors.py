"""What a client's error means: the end of a partition, something that passes, or something to mend, with advice."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, TopicMetadata

from flows.support.errors import RalmError

_ALERT = "SSL alert"
_ASK_AGAIN_S = 1.0
LIST_TIMEOUT_S = 15.0
"""How long a client may take to list topics, in seconds."""
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


def is_end(error: KafkaError) -> bool:
    """Whether it only says that a partition has nothing more for now."""
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001 (its public name in this library)


def is_lasting(error: KafkaError) -> bool:
    """Whether it does not pass by itself: what the broker refuses for good. Codes below 0 are the client's own."""
    return error.fatal() or not (error.retriable() or error.code() < 0)


class FirstContact:
    """Hears a client's errors, and asks for the broker's topics until there is an answer, or a refusal to report.

    The client library goes on for ever with a wrong password or certificate, and says only that time was up; the
    reason comes through its ``error_cb``, which this is.

    Args:
        servers: the broker's addresses, for messages.
        told: is told of each error as well.
    """

    def __init__(self, servers: str, told: Callable[[KafkaError], None] | None = None) -> None:
        self._servers = servers
        self._told = told
        self._heard: KafkaError | None = None

    def __call__(self, error: KafkaError) -> None:
        """Keep an error: a refusal over anything else, the last over earlier ones."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN and self._advice() is None:  # noqa: SLF001
            self._heard = error
        if self._told is not None:
            self._told(error)

    def topics(
        self,
        client: Consumer | Producer | AdminClient,
        timeout_s: float = LIST_TIMEOUT_S,
        stopped: Callable[[], bool] = lambda: False,
    ) -> dict[str, TopicMetadata]:
        """All topics of the broker, by name.

        A refused certificate or password ends the wait after a second or two; of several brokers another may take us.

        Args:
            client: the client whose ``error_cb`` this is; a consumer must not be assigned partitions yet, since
                errors are heard while it polls.
            timeout_s: how long to wait for an answer.
            stopped: says not to wait any longer.

        Raises:
            RalmError: when there is none; says why, and what to do.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            try:
                return client.list_topics(timeout=max(0.1, min(_ASK_AGAIN_S, left))).topics
            except KafkaException as error:
                client.poll(0)
                if self._advice() is not None or left <= _ASK_AGAIN_S or stopped():
                    raise RalmError(self._words(error.args[0], timeout_s)) from error

    def _words(self, error: KafkaError, timeout_s: float) -> str:
        why, advice = (self._heard or error).str(), self._advice()
        if advice is not None:
            return f"the broker at {self._servers} and this client cannot agree: {why}\n{advice}"
        return (
            f"no broker answers at {self._servers} within {timeout_s:g} s: {why}\n"
            "Is it running, and is that its address (bootstrap_servers) and its security (security_protocol)?"
        )

    def _advice(self) -> str | None:
        """What to do about a refusal; None as long as none was heard."""
        if self._heard is None:
            return None
        if self._heard.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 (its public name in this library)
            return "Check sasl_mechanism, sasl_username and sasl_password."
        # TLS 1.3 has the broker's alert come after the handshake, where the library calls it a failed transport.
        if self._heard.code() == KafkaError._SSL or _ALERT in self._heard.str():  # noqa: SLF001
            return "Check security_protocol, ssl_ca_location, ssl_certificate_location and ssl_key_location."
        return None


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
