"""A broker behind a door, the certificates for it, and the console script as a process."""

import logging
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import structlog
import trustme
from brokers.access_lists import ADMIN, AccessLists, Porter, Right
from brokers.needed import need_kafka
from brokers.topics import wait_for_topics
from clients import PlainClient
from security.secure_broker import SecureBroker, secure_broker
from toys import toy_bundle

from flows.cli import main as cli
from flows.config.settings import Settings
from flows.kafka.admin import make_topics
from flows.support.logs import set_up_logs

USERS = [f"user-{number}" for number in range(50)]


@dataclass(frozen=True)
class Certificates:
    """Files: our authority's, a client's from it, the same from a stranger's authority, and what the door needs."""

    ca: str
    client: dict[str, str]
    stranger_ca: str
    stranger: dict[str, str]
    door: ssl.SSLContext


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Made anew for each run of the tests."""
    home = tmp_path_factory.mktemp("certificates")
    ours, strange = trustme.CA(), trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(tls)
    ours.configure_trust(tls)
    tls.verify_mode = ssl.CERT_REQUIRED
    ca = {}
    for name, authority in (("ours", ours), ("strange", strange)):
        ca[name] = str(home / f"{name}.pem")
        authority.cert_pem.write_to_path(ca[name])
    clients = [_client(home, name, authority) for name, authority in (("ours", ours), ("strange", strange))]
    return Certificates(ca["ours"], clients[0], ca["strange"], clients[1], tls)


def _client(home: Path, name: str, authority: trustme.CA) -> dict[str, str]:
    certificate = authority.issue_cert("ralm-client.test")
    files = {"ssl_certificate_location": str(home / f"{name}.cert"), "ssl_key_location": str(home / f"{name}.key")}
    certificate.cert_chain_pems[0].write_to_path(files["ssl_certificate_location"])
    certificate.private_key_pem.write_to_path(files["ssl_key_location"])
    return files


@pytest.fixture
def door(own_broker: Any) -> Iterator[Callable[..., SecureBroker]]:
    """Opens doors before the test's own broker: ``door(tls, user)``."""
    from contextlib import ExitStack  # noqa: PLC0415

    with ExitStack() as stack:
        yield lambda *how: stack.enter_context(secure_broker(own_broker.port, *how))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of random weights and vectors."""
    return toy_bundle(tmp_path_factory.mktemp("bundle") / "bundle", USERS, scale=0.3).path


@dataclass(frozen=True)
class GuardedBroker:
    """A broker with access lists.

    Attributes:
        servers: its address.
        doors: who may come.
        porter: gives rights, and takes them away.
    """

    servers: str
    doors: AccessLists
    porter: Porter

    def settings(self, user: str) -> dict[str, str]:
        """Our settings to come as a user."""
        login = {"sasl_username": user, "sasl_password": self.doors.password(user), "sasl_mechanism": "PLAIN"}
        return {"bootstrap_servers": self.servers, "security_protocol": "SASL_PLAINTEXT", **login}

    def client(self, prefix: str, user: str = ADMIN) -> PlainClient:
        """A plain client that comes as a user."""
        return PlainClient(self.servers, prefix, self.doors.login(user))

    def make_topics(self, prefix: str, **more: Any) -> None:
        """Make a flow's topics, as the admin."""
        given = {**self.settings(ADMIN), "topic_prefix": prefix, "partitions": 1, **more}
        made = [state.plan.name for state in make_topics(Settings(**given))]
        wait_for_topics(self.servers, made, **self.doors.login(ADMIN))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    """Apache Kafka with access lists, where it can run; its users are ralm, flow and forger, and the admin."""
    need_kafka("only Apache Kafka has access lists, and the tests run on another broker")
    from brokers.apache_kafka import ApacheKafka  # noqa: PLC0415 (tests of other rooms do without flows)

    doors = AccessLists({name: f"{name}-secret" for name in ("ralm", "flow", "forger")})
    with ApacheKafka(tmp_path_factory.mktemp("guarded"), doors, heap_mb=192) as kafka:
        porter = Porter(kafka.bootstrap_servers, doors)
        porter.settle()
        yield GuardedBroker(kafka.bootstrap_servers, doors, porter)


@pytest.fixture
def allow(guarded: GuardedBroker) -> Iterator[Callable[..., None]]:
    """Gives a user rights, ``allow("ralm", Right("READ", "t.clicks"))``; takes all away at the end."""
    given: set[str] = set()

    def give(user: str, *rights: Right) -> None:
        given.add(user)
        guarded.porter.allow(user, *rights)

    yield give
    for user in given:
        guarded.porter.forbid(user)


class Ralm:
    """The console script with settings in the environment; what it says is kept."""

    def __init__(self, home: Path, **settings: str) -> None:
        self.home = home
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("RALM_", "BYTEWAX_"))}
        self.environment = clean | {f"RALM_{name.upper()}": value for name, value in settings.items()}
        self._log = home / "flow.log"
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end: exit code, and everything it said."""
        done = subprocess.run(
            [sys.executable, "-m", "flows.cli.main", *arguments],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command; what it says goes to ``said``."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "flows.cli.main", *arguments]
            process = subprocess.Popen(command, env=self.environment, cwd=self.home, stdout=log, stderr=log)
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what still runs."""
        for process in self._started:
            process.kill()
            process.wait()

    def said(self) -> str:
        """What started commands have said."""
        return self._log.read_text()


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    """Whatever a test does with the logs is undone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    set_up_logs()
    root.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture
def console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], logs_as_before: None
) -> Callable[..., tuple[int, str]]:
    """The console script within this process, which takes a tenth of the time: exit code, and everything it said."""
    del logs_as_before
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **settings: str) -> tuple[int, str]:
        for name in [name for name in os.environ if name.startswith(("RALM_", "BYTEWAX_"))]:
            monkeypatch.delenv(name)
        for name, value in settings.items():
            monkeypatch.setenv(f"RALM_{name.upper()}", value)
        monkeypatch.setattr("sys.argv", ["ralm", *arguments])
        capfd.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return code, "".join(capfd.readouterr())

    return run


@pytest.fixture
def ralm(tmp_path: Path, bundle: Path) -> Iterator[Callable[..., Ralm]]:
    """Makes the console script with settings of the test's own; ends what it started."""
    made: list[Ralm] = []

    def make(**settings: str) -> Ralm:
        home = tmp_path / f"ralm-{uuid4().hex[:6]}"
        home.mkdir()
        usual = {
            "topic_prefix": "t.",
            "partitions": "2",
            "bundle": str(bundle),
            "state_dir": str(home / "state"),
            "metrics_port": "0",
            "window": "1s",
            "allowed_lateness": "100ms",
            "idle_after": "300ms",
            "min_seeds": "3",
            "item_ttl": "0",
            "snapshot_interval": "500ms",
        }
        made.append(Ralm(home, **{**usual, **settings}))
        return made[-1]

    yield make
    for each in made:
        each.end()
