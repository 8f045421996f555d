"""A broker behind a door, the certificates for it, and the console script as a process."""

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
import trustme
from security.secure_broker import SecureBroker, secure_broker
from toys import toy_bundle

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
