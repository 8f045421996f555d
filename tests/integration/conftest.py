"""A small bundle and real flow processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from brokers.topics import wait_for_topics
from clients import PlainClient
from scenario import USERS
from toys import toy_bundle

TITLES = {"item-1": "The [first] film"}
"""Of the only item that has one."""
TOPICS = ("clicks", "candidates", "requests", "centroids", "scores", "dead-letters")


@pytest.fixture
def client(broker: str) -> PlainClient:
    """A client whose topics are this test's own."""
    return PlainClient(broker, f"t{uuid4().hex[:10]}.")


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights and vectors."""
    return toy_bundle(tmp_path_factory.mktemp("bundle") / "bundle", USERS, dim=24, titles=TITLES).path


class Flow:
    """A flow process with its own state directory, to start, stop and kill."""

    def __init__(self, client: PlainClient, bundle: Path, home: Path, **settings: str) -> None:
        self.home, self.log = home, home / "flow.log"
        home.mkdir(parents=True, exist_ok=True)
        values = {
            "bootstrap_servers": client.servers,
            "topic_prefix": client.prefix,
            "bundle": str(bundle),
            "state_dir": str(home / "state"),
            "metrics_port": "0",
            "window": "1s",
            "allowed_lateness": "100ms",
            "idle_after": "500ms",
            "item_ttl": "0",
            "min_seeds": "3",
            "snapshot_interval": "500ms",
            **settings,
        }
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("RALM_")}
        self.environment |= {f"RALM_{name.upper()}": value for name, value in values.items()}
        self.processes: list[subprocess.Popen[bytes]] = []

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the console script with the flow's settings."""
        return subprocess.run(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, name: str = "look-alike", *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process of the flow."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "flows.cli.start", "run", name, *arguments],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def stop(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        """Send all processes a signal and wait for them."""
        for process in self.processes:
            process.send_signal(number)
        codes = [process.wait(120) for process in self.processes]
        self.processes.clear()
        return codes

    def log_text(self) -> str:
        """What the processes have logged."""
        return self.log.read_text()


@pytest.fixture
def flow(client: PlainClient, bundle: Path, tmp_path: Path) -> Iterator[Callable[..., Flow]]:
    """Makes flows (their topics too); what still runs at the end is killed."""
    made: list[Flow] = []

    def make(name: str = "flow", **settings: str) -> Flow:
        new = Flow(client, bundle, tmp_path / name, **settings)
        if not made:
            done = new.command("topics")
            assert done.returncode == 0, done.stderr
            wait_for_topics(client.servers, [client.prefix + name for name in TOPICS])
        made.append(new)
        return new

    yield make
    for each in made:
        each.stop(signal.SIGKILL)
