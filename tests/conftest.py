"""What tests of all rooms share: a broker, topics of their own, and a plain client."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from clients import PlainClient

TEST_SERVERS = "RALM_TEST_BOOTSTRAP_SERVERS"
"""Names the brokers of a real cluster to run the tests against; without it they start an embedded one."""


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker that all tests share."""
    servers = os.environ.get(TEST_SERVERS)
    if servers:
        yield servers
        return
    pytest.importorskip("noida_db", reason=f"no broker: install the extra 'broker', or set {TEST_SERVERS}")
    from flows.kafka.embedded_broker import EmbeddedBroker  # noqa: PLC0415 (a cluster does without it)

    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as embedded:
        yield embedded.bootstrap_servers


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Any]:
    """An embedded broker of the test's own, to pause, stop and start again."""
    pytest.importorskip("noida_db", reason="needs the embedded broker: install the extra 'broker'")
    from flows.kafka.embedded_broker import EmbeddedBroker  # noqa: PLC0415

    with EmbeddedBroker(tmp_path / "own-broker") as embedded:
        yield embedded


@pytest.fixture
def client(broker: str) -> PlainClient:
    """A plain client of the shared broker."""
    return PlainClient(broker)


@pytest.fixture
def topics(broker: str) -> Callable[..., Any]:
    """Makes a set of topics with a prefix of the test's own: ``settings = topics(window="1s", ...)``."""
    from flows.config.settings import Settings  # noqa: PLC0415 (tests of other rooms do without)
    from flows.kafka.admin import make_topics  # noqa: PLC0415

    def make(**given: Any) -> Settings:
        values = {"bootstrap_servers": broker, "topic_prefix": f"t{uuid4().hex[:12]}.", **given}
        settings = Settings(**values)
        states = make_topics(settings)
        assert all(state.state == "made" for state in states)
        return settings

    return make
