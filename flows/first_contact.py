"""A client's first word with the broker: the topics, or in words why there is no coming together."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, TopicMetadata

from flows.support.errors import RalmError

_ALERT = "SSL alert"
_ASK_AGAIN_S = 1.0
LIST_TIMEOUT_S = 15.0
"""How long a client may take to list topics, in seconds."""


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
        self, client: Consumer | Producer | AdminClient, timeout_s: float = LIST_TIMEOUT_S
    ) -> dict[str, TopicMetadata]:
        """All topics of the broker, by name.

        A refused certificate or password ends the wait after a second or two; of several brokers another may take us.

        Args:
            client: the client whose ``error_cb`` this is; a consumer must not be assigned partitions yet, since
                errors are heard while it polls.
            timeout_s: how long to wait for an answer.

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
                if self._advice() is not None or left <= _ASK_AGAIN_S:
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
