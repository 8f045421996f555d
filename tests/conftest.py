"""What tests of all rooms share: a broker, topics of their own, and a plain client."""

import faulthandler
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

# Before anything loads numpy, and for the processes that tests start too: more threads gain small products nothing, and
# on a busy machine they spin while they wait for one another.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}

import hypothesis
import pytest
import structlog
from brokers.choice import CLUSTER, EMBEDDED, KAFKA, TEST_SERVERS, BadChoiceError, Report, choose, settle
from brokers.topics import wait_for_topics
from clients import PlainClient

# No test trusts a clock: neither how long an example takes, nor how long it takes to draw one. In CI the examples are
# the same at each run; elsewhere a failure prints what repeats it.
hypothesis.settings.register_profile(
    "ralm",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    print_blob=True,
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("ralm")

BROKER_FIXTURES = {"broker", "own_broker"}
_ENDS_WITHIN_S = 60.0
"""So long the interpreter may take to end after the last test."""
BROKERS = pytest.StashKey[Report]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the broker; a bad choice ends the run before any test."""
    try:
        config.stash[BROKERS] = Report(choose())
    except BadChoiceError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Where the tests run on Apache Kafka, those marked ``embedded_too`` run a second time."""
    marked = metafunc.definition.get_closest_marker("embedded_too") is not None
    if marked and metafunc.config.stash[BROKERS].choice.kind == KAFKA:
        metafunc.parametrize("broker", [KAFKA, EMBEDDED], indirect=True, scope="function")


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say loudly which broker it was."""
    report = config.stash[BROKERS]
    if report.shared:
        loud = {"green": True} if report.choice.kind == KAFKA else {"yellow": True}
        terminalreporter.section(report.title(), bold=True, **loud)
        for line in report.lines():
            terminalreporter.write_line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Count what ran in a process of its own (pytest -n)."""
    if brokers := getattr(node, "workeroutput", {}).get("brokers"):
        node.config.stash[BROKERS].add(Report.of_fields(brokers))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where this process is one of several, tell the first one which broker it was."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["brokers"] = session.config.stash[BROKERS].fields()


def pytest_unconfigure(config: pytest.Config) -> None:
    """See that the process ends: a client that waits in its destructor for a broker that is gone is named, and left."""
    if hasattr(config, "workerinput"):  # it waits for those beside it, and is ended with the first process
        return
    faulthandler.dump_traceback_later(_ENDS_WITHIN_S, exit=True, file=sys.__stderr__)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses a broker, so that ``make quick`` leaves it out."""
    for item in items:
        if BROKER_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)
    if hasattr(config, "workerinput"):
        _long_ones_first(items)


def _long_ones_first(items: list[pytest.Item]) -> None:
    """Put files with many tests that take long before the others, so that no process is left with one in the end."""
    long = Counter(item.path for item in items if {"slow", "broker"} & {mark.name for mark in item.iter_markers()})
    items.sort(key=lambda item: -long[item.path])


@pytest.fixture(autouse=True)
def _of_its_own() -> Iterator[None]:
    """What a command that ran in this process has set for the whole of it ends with the test."""
    before = os.environ.get("PYTHONSAFEPATH")
    yield
    structlog.reset_defaults()
    if before is None:
        os.environ.pop("PYTHONSAFEPATH", None)


@pytest.fixture(scope="session")
def shared_broker(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the broker that was chosen."""
    report = pytestconfig.stash[BROKERS]
    choice = report.choice = settle(report.choice)
    if choice.kind == CLUSTER:
        yield os.environ[TEST_SERVERS]
    elif choice.kind == KAFKA:
        from brokers.apache_kafka import ApacheKafka  # noqa: PLC0415 (tests of other rooms do without flows)

        with ApacheKafka(tmp_path_factory.mktemp("kafka")) as kafka:
            yield kafka.bootstrap_servers
    else:
        with _embedded(tmp_path_factory.mktemp("broker")) as made:
            yield made.bootstrap_servers


@pytest.fixture(scope="session")
def short_form_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the embedded broker for the tests that run on it too."""
    with _embedded(tmp_path_factory.mktemp("short-form-broker")) as made:
        yield made.bootstrap_servers


def _embedded(folder: Path) -> Any:
    pytest.importorskip("noida_db", reason=f"no broker: install the extra 'broker', or set {TEST_SERVERS}")
    from flows.kafka.embedded_broker import EmbeddedBroker  # noqa: PLC0415 (a cluster does without it)

    return EmbeddedBroker(folder)


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> str:
    """The address of a broker that all tests share."""
    report = request.config.stash[BROKERS]
    if getattr(request, "param", KAFKA) == KAFKA:
        servers: str = request.getfixturevalue("shared_broker")
        report.shared += 1
        return servers
    request.getfixturevalue("shared_broker")
    if report.choice.kind == EMBEDDED:
        pytest.skip("Apache Kafka could not run, so that the whole form ran on the embedded broker")
    servers = request.getfixturevalue("short_form_broker")
    report.short_form += 1
    return servers


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Any]:
    """An embedded broker of the test's own, to pause, stop and start again."""
    with _embedded(tmp_path / "own-broker") as made:
        yield made


@pytest.fixture
def client(broker: str) -> PlainClient:
    """A plain client of the shared broker."""
    return PlainClient(broker)


@pytest.fixture
def topics(broker: str) -> Callable[..., Any]:
    """Makes a set of topics with a prefix of the test's own: ``settings = topics(window="1s", ...)``."""
    from flows.config.settings import Settings  # noqa: PLC0415 (tests of other rooms do without
    from flows.kafka.admin import make_topics  # noqa: PLC0415

    def make(**given: Any) -> Settings:
        values = {"bootstrap_servers": broker, "topic_prefix": f"t{uuid4().hex[:12]}.", **given}
        settings = Settings(**values)
        states = make_topics(settings)
        assert all(state.state == "made" for state in states)
        wait_for_topics(settings.bootstrap_servers, [state.plan.name for state in states])
        return settings

    return make


@pytest.fixture
def under() -> Iterator[Callable[[int], object]]:
    """Sets the process's umask for a test."""
    before = os.umask(0o022)
    os.umask(before)
    yield os.umask
    os.umask(before)
