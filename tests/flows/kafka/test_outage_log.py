"""An outage is a few lines, whatever the number of errors."""

import logging
from collections.abc import Iterator

import pytest
import structlog
from confluent_kafka import KafkaError, ThrottleEvent
from hand_clock import HandClock
from structlog.typing import EventDict

from flows.kafka import outage_log
from flows.kafka.errors import waiting_for
from flows.kafka.outage_log import OutageLog, library_logger

DOWN = KafkaError(KafkaError._TRANSPORT, "connection refused")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def outage(clock: HandClock) -> OutageLog:
    return OutageLog(clock)


@pytest.fixture
def lines() -> Iterator[list[EventDict]]:
    with structlog.testing.capture_logs() as found:
        yield found


def test_the_first_error_is_said_then_one_line_a_minute_with_a_count(
    outage: OutageLog, clock: HandClock, lines: list[EventDict]
) -> None:
    for second in range(90):
        clock.now = float(second)
        outage.error(DOWN, "clicks")
    assert [line["event"] for line in lines] == ["broker unreachable: connection refused (clicks)"] * 2
    assert lines[1]["more_errors"] == 59
    assert {line["log_level"] for line in lines} == {"warning"}


def test_a_quota_is_said_once_a_minute(outage: OutageLog, clock: HandClock, lines: list[EventDict]) -> None:
    for second in range(90):
        clock.now = float(second)
        outage.slowed(ThrottleEvent("kafka-1:9092/1", 1, 0.25))
        outage.slowed(ThrottleEvent("kafka-1:9092/1", 1, 0.0))  # it no longer does
    assert [line["event"] for line in lines] == ["a quota of the brokers slows this client down"] * 2
    assert [(line["broker"], line["waits_s"], line.get("more_like_it")) for line in lines] == [
        ("kafka-1:9092/1", 0.25, None),
        ("kafka-1:9092/1", 0.25, 59),
    ]


def test_each_right_that_is_waited_for_is_said_once_whatever_else_goes_on(
    outage: OutageLog, clock: HandClock, lines: list[EventDict]
) -> None:
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "no right")
    outage.error(DOWN, "clicks")
    for second in range(30):
        clock.now = float(second)
        outage.error(refused, f"clicks[0] at offset {second}{waiting_for(refused, 'Read', 'clicks')}")
        outage.error(refused, f"scores{waiting_for(refused, 'Write', 'scores')}")
    assert [line["event"].partition("(")[2] for line in lines] == [
        "clicks)",
        "clicks[0] at offset 0: waiting until this user has Read on clicks again)",
        "scores: waiting until this user has Write on scores again)",
    ]


def test_a_refused_password_is_said_also_where_another_outage_lasts(
    outage: OutageLog, clock: HandClock, lines: list[EventDict]
) -> None:
    refused = KafkaError(KafkaError._AUTHENTICATION, "Invalid username or password")
    outage.error(DOWN)
    for second in range(30):
        clock.now = float(second)
        outage.error(refused, "clicks" if second else None)
        outage.library_line("SASL authentication error: Authentication failed")
        outage.error(DOWN)
    assert [line["event"] for line in lines] == [
        "broker unreachable: connection refused",
        "broker unreachable: Invalid username or password. Check sasl_mechanism, sasl_username and sasl_password.",
    ]


def test_an_answer_after_calm_ends_it_and_the_next_error_begins_anew(
    outage: OutageLog, clock: HandClock, lines: list[EventDict]
) -> None:
    outage.answered()
    outage.error(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))  # does not say why
    outage.error(DOWN)
    clock.now = 5.0
    outage.error(KafkaError(KafkaError.NOT_COORDINATOR, "moved"))
    outage.answered()  # by another broker of the cluster
    clock.now = 26.0
    outage.answered()
    outage.answered()
    outage.error(KafkaError(KafkaError.NOT_COORDINATOR, "moved"))
    assert [line["event"] for line in lines] == [
        "broker unreachable: connection refused",
        "broker error: moved",
        "broker reachable again",
        "broker error: moved",
    ]
    assert (lines[2]["errors"], lines[2]["lasted_s"]) == (2, 5.0)


def test_brokers_that_are_away_are_said_also_soon_after_an_error_that_passes(
    outage: OutageLog, clock: HandClock, lines: list[EventDict]
) -> None:
    outage.library_line("Failed to acquire idempotence PID: Coordinator load in progress: retrying", "GETPID")
    for second in range(1, 15):
        clock.now = float(second)
        outage.answered()
        outage.error(DOWN)
        outage.library_line("Connect failed", "FAIL")
    assert [line["event"] for line in lines] == [
        "broker error: Failed to acquire idempotence PID: Coordinator load in progress: retrying",
        "broker unreachable: connection refused",
    ]


def test_the_librarys_lines_about_an_outage_are_part_of_it(
    monkeypatch: pytest.MonkeyPatch, lines: list[EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outage_log, "outage_log", OutageLog())
    logger = library_logger()
    assert library_logger().filters == logger.filters
    with caplog.at_level(logging.WARNING):
        for _ in range(50):
            text = "[thrd:b:1/bootstrap]: b:1/bootstrap: Connect failed"
            logger.log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#consumer-2", text)
        logger.log(logging.WARNING, "%s [%s] %s", "CONFWARN", "rdkafka#consumer-2", "odd")
    assert [line["event"] for line in lines] == ["broker unreachable: b:1/bootstrap: Connect failed"]
    assert [record.args[0] for record in caplog.records if isinstance(record.args, tuple)] == ["CONFWARN"]


def test_with_debug_the_library_logs_everything_as_it_comes(
    lines: list[EventDict], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        library_logger().log(logging.ERROR, "%s [%s] %s", "FAIL", "rdkafka#consumer-2", "Connect failed")
    assert len(caplog.records) == 1
    assert not lines
