"""What the client's errors mean, and what to do about them. Pure: asks nobody anything."""

import shlex
from collections.abc import Iterable, Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from flows.support.text import counted

_ALERT = "SSL alert"
_UNVERIFIED = "certificate verify failed"
"""What the library says of a broker's certificate alike, whatever is wrong with it."""
FLOW_RETRY = "Nothing is lost: a start goes on from the last snapshot and makes again what was not delivered."
"""What the user of a flow must know about a message that was not delivered."""
_LOOK = (
    "Look whether {topic} is there (`ralm topics` makes it), whether the brokers that have it are up and can be "
    "reached from here, whether enough of its replicas are in sync, and whether a quota slows this user down. If "
    "outages may last longer, raise delivery_timeout."
)
_NO_RIGHT = KafkaError.TOPIC_AUTHORIZATION_FAILED
_BY_CODE = {
    _NO_RIGHT: "The user needs the right Write on {topic}.",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "The user needs the right Write on {topic} (with brokers before 3.0 also IdempotentWrite on the cluster)."
    ),
    KafkaError.UNKNOWN_TOPIC_OR_PART: "If somebody deleted {topic}, `ralm topics` makes it again.",
    KafkaError._UNKNOWN_TOPIC: "If somebody deleted {topic}, `ralm topics` makes it again.",  # noqa: SLF001 (public)
    KafkaError._UNKNOWN_PARTITION: (  # noqa: SLF001 (public)
        "If somebody made {topic} anew with fewer partitions, start again. If somebody deleted it, `ralm topics` makes "
        "it again."
    ),
}
_TIME = (
    "Brokers say so of a message whose time is further from theirs than message.timestamp.after.max.ms and "
    "message.timestamp.before.max.ms of {topic} allow (an hour ahead in Kafka 4): compare this machine's clock with "
    "theirs and set it right. With message.timestamp.type=LogAppendTime, as `ralm topics` makes it, a topic takes "
    "the brokers' time. They also say so of a message without a key where a topic is compacted."
)
"""The client says of each message of such a batch that its record is not valid, or that another one's is not."""
_BY_CODE |= dict.fromkeys(
    (KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD, KafkaError._INVALID_DIFFERENT_RECORD),  # noqa: SLF001
    _TIME,
)
_TOO_LONG = (
    "How long a message may be there is the setting max.message.bytes of the topic {topic}, or where it has none the "
    "brokers' message.max.bytes: set the topic's to {most} or more with `{alter}`."
)
_SHORTEN = (
    " If that is not possible, make messages shorter: lower {lower}, and with it batch.size in kafka_options, since "
    "messages are sent together."
)
_LOWER = {"scores": "max_top_k", "centroids": "clusters", "dead_letters": "dead_letter_max_bytes"}
_KAFKA_DEFAULT = 1_048_588
# The names with an underscore are the public ones of the library.
_GONE = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001
_UNREADABLE = (KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)  # noqa: SLF001
_OVERSIZED = (KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED)  # noqa: SLF001
_UNFOLDING = "Decompression "
"""How the client begins what it says of a batch that it cannot unfold, whatever code that has: something behind the
end of an LZ4 frame has the code of a damaged message."""
RETRIABLE: Final = frozenset(
    {2, 3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 70, 71, 72, 74, 75, 78, 80, 83, 88, 89, 100, 103, 106}
)
"""Codes of brokers' errors that pass by themselves (Kafka's protocol: "retriable"); the client does not mark all of
them. From 2, a damaged message, to 106, a fetch session that does not know a topic's id."""
RIGHTS: Final = frozenset({29, 30, 31, 53, 58, 65})
"""Codes of what a user may not do, or of who he is: what was given may be taken away for a while."""
PRODUCER_STATE: Final = frozenset({31, 45, 47, 48, 49, 59, 66, 67, 68, 90})
"""Codes that the client calls fatal for an idempotent producer: what it numbers and what the broker remembers of it do
not fit any more (a broker that has lost data, another producer with its number), or it may not have a number now. A
new client begins with a new number."""
# The names with an underscore are the public ones of the library.
_TOPIC_CHANGED = frozenset({KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError._DESTROY})  # noqa: SLF001
"""Of a topic that was deleted, or made anew, while a message was on its way to it: the client drops its partitions."""
_MISSING = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)  # noqa: SLF001
_NEVER = frozenset({17, 33, 34, 35, 42, 43, 76})
"""Codes of what a broker will not do whoever asks and whenever: other versions, other forms."""
_UNREACHABLE = (
    KafkaError._TRANSPORT,  # noqa: SLF001
    KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
    KafkaError._RESOLVE,  # noqa: SLF001
    KafkaError._TIMED_OUT,  # noqa: SLF001
    KafkaError._AUTHENTICATION,  # noqa: SLF001
    KafkaError._SSL,  # noqa: SLF001
)


def is_end(error: KafkaError) -> bool:
    """Whether it only says that a partition has nothing more for now; its message's offset is that end."""
    return error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001


def is_gone(error: KafkaError) -> bool:
    """Whether the broker does not have the offset that was asked for."""
    return error.code() in _GONE


def is_unreadable(error: KafkaError) -> bool:
    """Whether a batch was damaged, or compressed in a way that this client does not know."""
    return error.code() in _UNREADABLE


def is_oversized(error: KafkaError) -> bool:
    """Whether a batch, whose checksum is right, cannot be unfolded: it is too large, or not compressed as it says."""
    return error.code() in _OVERSIZED or (is_unreadable(error) and error.str().startswith(_UNFOLDING))


def is_lasting(error: KafkaError) -> bool:
    """Whether a command need not wait: what the broker refuses. Codes below 0 are the client's own."""
    return error.fatal() or not (error.retriable() or error.code() < 0 or error.code() in RETRIABLE)


def ends_a_flow(error: KafkaError) -> bool:
    """Whether a flow that has begun cannot wait until it passes; a start has seen that all rights were there."""
    return error.fatal() or error.code() in _NEVER


def may_be_taken_later(error: KafkaError) -> bool:
    """Whether a message that was not taken may be taken when it is sent again: nothing is wrong with itself."""
    passing = RETRIABLE | RIGHTS | PRODUCER_STATE | _TOPIC_CHANGED | {KafkaError.UNKNOWN}
    return error.code() in passing and not error.fatal()


def heals_anew(error: KafkaError) -> bool:
    """Whether a client that cannot go on may be replaced by a new one, which sends again what was not delivered."""
    return error.code() not in _NEVER


def is_of_group(error: KafkaError) -> bool:
    """Whether it is about the consumer group, which matters to nobody who does not commit to it."""
    return error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED


WAITING: Final = ": waiting until this user has "


def waiting_for(error: KafkaError, right: str, what: str) -> str:
    """What to add to where an error came up: for a right that is missing, which."""
    return f"{WAITING}{right} on {what} again" if error.code() in RIGHTS else ""


def is_missing(error: KafkaError) -> bool:
    """Whether a topic is not there."""
    return error.code() in _MISSING


def is_unreachable(error: KafkaError) -> bool:
    """Whether it says that a broker cannot be talked with."""
    return error.code() in _UNREACHABLE


def reason(error: KafkaException) -> str:
    """The text of the error that an exception of the client holds."""
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)


def reading_advice(error: KafkaError, topic: str) -> str:
    """What to add to an error of reading: for a right that is missing, which."""
    return f". The user needs the right Read on {topic}." if error.code() == _NO_RIGHT else ""


def rights_missing(servers: str, missing: Iterable[str]) -> str:
    """What to say of rights that a command needs and its user has not."""
    return (
        f"the broker at {servers} does not let this user do what is needed: give him {', '.join(missing)} "
        "(docs/security.md names the rights that each command needs). Nothing was sent."
    )


def refusal_advice(error: KafkaError) -> str | None:
    """What to do about a refused password or certificate; None for any other error."""
    if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001
        return "Check sasl_mechanism, sasl_username and sasl_password."
    # TLS 1.3 has the broker's alert come after the handshake, where the library calls it a failed transport.
    if error.code() == KafkaError._SSL or _ALERT in error.str():  # noqa: SLF001
        if _UNVERIFIED in error.str():
            return (
                "Check the brokers' certificate: an authority in ssl_ca_location must have signed it, it must not have "
                "expired, and it must be for the host that bootstrap_servers names (and that the brokers advertise)."
            )
        return "Check security_protocol, ssl_ca_location, ssl_certificate_location and ssl_key_location."
    return None


def no_broker(servers: str, timeout_s: float, why: str) -> str:
    """What to say when no broker answers.

    Args:
        servers: the brokers' addresses.
        timeout_s: how long it was waited for.
        why: the client's last error.
    """
    return (
        f"no broker answers at {servers} within {timeout_s:g} s: {why.rstrip('.')}.\n"
        "Is it running, and is that its address (bootstrap_servers) and its security (security_protocol)?"
    )


def no_topic(servers: str, topics: Iterable[str]) -> str:
    """What to say of topics that do not exist, or that the user may not see, which looks the same."""
    return (
        f"the broker at {servers} has no topic {', '.join(topics)}: run `ralm topics` to make it, or if it is there, "
        "give the user the right to see it (Describe, Read or Write)"
    )


def reach_of(servers: str, protocol: str) -> str:
    """The arguments by which Kafka's own tools reach the brokers; CLIENT.properties is the user's own.

    >>> reach_of("a:9092,b:9092", "SASL_SSL")
    '--bootstrap-server a:9092,b:9092 --command-config CLIENT.properties'
    """
    secured = "" if protocol == "PLAINTEXT" else " --command-config CLIENT.properties"
    return f"--bootstrap-server {shlex.quote(servers)}{secured}"


def alter_topic(reach: str, topic: str, config: Mapping[str, str]) -> str:
    """The command that alters settings of a topic, for a shell.

    >>> alter_topic("--bootstrap-server a:1", "t", {"segment.ms": "1"})
    'kafka-configs.sh --bootstrap-server a:1 --alter --entity-type topics --entity-name t --add-config segment.ms=1'
    """
    given = shlex.quote(",".join(f"{name}={value}" for name, value in config.items()))
    return f"kafka-configs.sh {reach} --alter --entity-type topics --entity-name {topic} --add-config {given}"


def too_long(kind: str | None, topic: str, most: int, reach: str) -> str:
    """What to do when a topic takes no message of such a size.

    Args:
        kind: what the topic is in the contract, if a flow writes it.
        topic: its name.
        most: bytes of the longest message that we may send.
        reach: what ``reach_of`` says of the brokers.
    """
    shorten = _SHORTEN.format(lower=_LOWER[kind]) if kind in _LOWER else ""
    most = max(most, _KAFKA_DEFAULT)
    alter = alter_topic(reach, topic, {"max.message.bytes": str(most)})
    return _TOO_LONG.format(topic=topic, most=most, alter=alter) + shorten


def delivery_advice(error: KafkaError, topic: str) -> str:
    """What to do about a message that the broker has not taken."""
    return _BY_CODE.get(error.code(), _LOOK).format(topic=topic)


def not_taken(topic: str, left: int, timeout_s: float) -> str:
    """What to say of messages of which the client does not know what became of them.

    Args:
        topic: where they were to go.
        left: how many they are.
        timeout_s: how long they were waited for.
    """
    look = _LOOK.format(topic=topic)
    said = counted(left, f"message to {topic} was", f"messages to {topic} were")
    return f"{said} not taken by the broker within {timeout_s:g} s. {look}"
