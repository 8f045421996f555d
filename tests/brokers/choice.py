"""Which broker the tests share: a cluster that was named, Apache Kafka where it can run, otherwise the embedded one.

``RALM_TEST_BOOTSTRAP_SERVERS`` names a cluster; ``RALM_TEST_BROKER=kafka`` or ``=embedded`` forces one of the two.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from .kafka_jars import KafkaUnavailableError, bring_jars, check_kafka, kafka_version

TEST_SERVERS = "RALM_TEST_BOOTSTRAP_SERVERS"
TEST_BROKER = "RALM_TEST_BROKER"
CLUSTER, KAFKA, EMBEDDED = "cluster", "kafka", "embedded"


class BadChoiceError(Exception):
    """A variable of the environment asks for what there is not."""


@dataclass(frozen=True)
class Choice:
    """A broker to run on.

    Attributes:
        kind: ``cluster``, ``kafka`` or ``embedded``.
        name: what it is, for people.
        why: why it is not Apache Kafka; empty when it is, or when it was named.
        forced: whether the environment asked for it.
    """

    kind: str
    name: str
    why: str = ""
    forced: bool = False


def choose(environment: Mapping[str, str] = os.environ) -> Choice:
    """Choose in a moment, without the network: Kafka's jars may still turn out not to come.

    Raises:
        BadChoiceError: when the environment names no broker that there is.
    """
    asked = environment.get(TEST_BROKER, "")
    servers = environment.get(TEST_SERVERS, "")
    if asked not in {"", KAFKA, EMBEDDED}:
        msg = f"{TEST_BROKER} is {asked!r}: {KAFKA} or {EMBEDDED}, or leave it out"
        raise BadChoiceError(msg)
    if asked and servers:
        msg = f"{TEST_SERVERS} and {TEST_BROKER} both name a broker: leave one out"
        raise BadChoiceError(msg)
    if servers:
        return Choice(CLUSTER, f"the cluster at {servers}", forced=True)
    if asked == EMBEDDED:
        return embedded(f"{TEST_BROKER}={EMBEDDED}", forced=True)
    if not asked:
        try:
            check_kafka(environment=environment)
        except KafkaUnavailableError as error:
            return embedded(str(error))
    return Choice(KAFKA, f"Apache Kafka {kafka_version()}", forced=bool(asked))


def settle(choice: Choice) -> Choice:
    """Bring what the choice needs; fall back to the embedded broker where Kafka was not forced.

    Raises:
        KafkaUnavailableError: when Kafka was forced and cannot run.
    """
    if choice.kind != KAFKA:
        return choice
    try:
        check_kafka()
        bring_jars()
    except KafkaUnavailableError as error:
        if choice.forced:
            raise
        return embedded(str(error))
    return choice


def embedded(why: str, *, forced: bool = False) -> Choice:
    """The embedded broker, and why it is that one."""
    return Choice(EMBEDDED, "the EMBEDDED BROKER ONLY", why, forced)


@dataclass
class Report:
    """Which tests ran on which broker.

    Attributes:
        choice: the broker that the tests share.
        shared: how many tests ran on it.
        short_form: how many ran on the embedded broker as well.
    """

    choice: Choice
    shared: int = 0
    short_form: int = 0

    def fields(self) -> dict[str, Any]:
        """What another process makes it again of (``of_fields``)."""
        return asdict(self)

    @classmethod
    def of_fields(cls, fields: dict[str, Any]) -> Self:
        """The report whose ``fields`` these are."""
        return cls(**{**fields, "choice": Choice(**fields["choice"])})

    def add(self, other: "Report") -> None:
        """Add the tests of another process; where it had a broker it says which."""
        if other.shared:
            self.choice = other.choice
        self.shared += other.shared
        self.short_form += other.short_form

    def title(self) -> str:
        """The line that nobody may overlook."""
        return f"INTEGRATION TESTS RAN ON: {self.choice.name}"

    def lines(self) -> list[str]:
        """How many tests, and why not on Apache Kafka."""
        short_form = f", and {self.short_form} of them on the embedded broker too" if self.choice.kind == KAFKA else ""
        lines = [f"{self.shared} tests{short_form}"]
        if self.choice.why:
            lines.append(f"not on Apache Kafka {kafka_version()}: {self.choice.why}")
        return lines
