"""Apache Kafka for tests that no other broker can serve."""

import pytest

from brokers.choice import KAFKA, choose
from brokers.kafka_jars import KafkaUnavailableError, bring_jars, check_kafka


def need_kafka(why: str = "the tests run on another broker") -> None:
    """Skip the test unless it may run Apache Kafka, and can; its jars are there then.

    Args:
        why: it is skipped where another broker was chosen.
    """
    if choose().kind != KAFKA:
        pytest.skip(why)
    try:
        check_kafka()
        bring_jars()
    except KafkaUnavailableError as error:
        pytest.skip(str(error))
