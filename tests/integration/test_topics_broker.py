"""``ralm topics`` against a real broker: makes what is missing, says what differs, changes nothing."""

import socket
import uuid

import pytest
from brokers.topics import wait_for_topics
from click.testing import CliRunner, Result
from confluent_kafka.admin import AdminClient, NewTopic

from flows.cli.main import cli
from flows.config.settings import Settings
from flows.kafka.admin import make_topics
from flows.kafka.config import client_config
from flows.kafka.topics import TopicNames, plan_topics
from flows.support.errors import RalmError

pytestmark = pytest.mark.broker


@pytest.fixture
def settings(broker: str) -> Settings:
    """Settings with topics that nobody else has."""
    return Settings(bootstrap_servers=broker, topic_prefix=f"t{uuid.uuid4().hex[:8]}.", partitions=3)


def ralm(settings: Settings, *more: str) -> Result:
    where = ["--bootstrap-servers", settings.bootstrap_servers, "--topic-prefix", settings.topic_prefix]
    return CliRunner().invoke(cli, ["topics", *where, "--partitions", "3", *more])


def seen(settings: Settings) -> None:
    """Wait until the broker's own metadata has what it has just made."""
    wait_for_topics(settings.bootstrap_servers, list(TopicNames.of(settings)))


def partitions(settings: Settings) -> dict[str, int]:
    admin = AdminClient(client_config(settings))
    topics = admin.list_topics(timeout=15).topics
    return {name: len(t.partitions) for name, t in topics.items() if name.startswith(settings.topic_prefix)}


def create(settings: Settings, name: str, count: int, **config: str) -> None:
    admin = AdminClient(client_config(settings))
    named = {key.replace("_", "."): value for key, value in config.items()}
    admin.create_topics([NewTopic(name, count, 1, config=named)])[name].result(timeout=15)
    wait_for_topics(settings.bootstrap_servers, [name])


@pytest.mark.embedded_too
def test_the_missing_are_made_as_planned_and_found_so(settings: Settings) -> None:
    assert {state.state for state in make_topics(settings)} == {"made"}
    seen(settings)
    assert partitions(settings) == dict.fromkeys(TopicNames.of(settings), 3)
    again = make_topics(settings)
    assert [state.plan for state in again] == plan_topics(settings)
    assert {(state.state, state.differences) for state in again} == {("as planned", ())}


def test_a_dry_run_makes_nothing(settings: Settings) -> None:
    result = ralm(settings, "--dry-run")
    assert result.exit_code == 0
    assert result.output.count("missing") == 6
    assert partitions(settings) == {}


def test_the_command_says_what_it_did(settings: Settings) -> None:
    made = ralm(settings)
    seen(settings)
    again = ralm(settings)
    assert (made.exit_code, made.output.count("made")) == (0, 6)
    assert (again.exit_code, again.output.count("as planned")) == (0, 6)
    for name in TopicNames.of(settings):
        assert name in again.output


@pytest.mark.embedded_too
def test_what_differs_is_said_and_left_alone(settings: Settings) -> None:
    names = TopicNames.of(settings)
    create(settings, names.clicks, 2)
    create(settings, names.centroids, 3, cleanup_policy="delete")
    create(settings, names.requests, 3, cleanup_policy="delete", retention_ms="60000")
    states = {state.plan.name: state for state in make_topics(settings)}
    assert states[names.clicks].differences[0].text.startswith("2 partitions, planned 3")
    assert "cleanup.policy delete, planned compact" in states[names.centroids].differences[0].text
    assert states[names.requests].differences[0].text == "kept 1m, planned 7d"
    assert "clicks has 2 partitions" in states[names.candidates].differences[-1].text
    seen(settings)
    result = ralm(settings)
    assert result.exit_code == 1
    assert result.output.count("differs") >= 3
    assert partitions(settings)[names.clicks] == 2


def test_a_harmless_difference_does_not_fail(settings: Settings) -> None:
    make_topics(settings)
    seen(settings)
    result = ralm(settings, "--retention", "1h")
    assert result.exit_code == 0
    assert "(minor) kept 7d, planned 1h" in result.output


def test_what_the_broker_refuses_is_said(settings: Settings) -> None:
    with pytest.raises(RalmError, match="Set replication_factor to the number of brokers or fewer"):
        make_topics(settings.model_copy(update={"replication_factor": 7}))


def test_a_broker_that_does_not_answer_is_named() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        for address in (f"127.0.0.1:{deaf.getsockname()[1]}", "127.0.0.1:1"):
            with pytest.raises(RalmError, match=f"no broker answers at {address} within 1 s") as caught:
                make_topics(Settings(bootstrap_servers=address), timeout_s=1.0)
            assert "bootstrap_servers" in str(caught.value)
