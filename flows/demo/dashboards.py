"""Prometheus beside the demo, with our rules and consoles, where it is installed."""

import shutil
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from flows.config.flow_process import free_port
from flows.support.child_process import ChildProcess
from flows.support.errors import ConfigError, RalmError
from monitoring.export import export

_HOST = "127.0.0.1"
_READY_TIMEOUT_S = 60.0
_LOOK_AGAIN_S = 0.1


class Prometheus(ChildProcess):
    """A Prometheus of its own that scrapes some processes every few seconds.

    Args:
        folder: where its data, its log and what it is configured with go; its old data is removed.
        targets: host:port of the processes.
        port: its port, or another where that is taken.
        every: how often it scrapes, and judges the rules.
        changed: called with the folder before the start, to change what was exported.

    Attributes:
        port: the port that it listens on.

    Raises:
        ConfigError: when it is not installed.
        RalmError: when it does not start.
    """

    def __init__(
        self,
        folder: Path,
        targets: list[str],
        port: int = 9090,
        every: str = "5s",
        changed: Callable[[Path], None] = lambda _: None,
    ) -> None:
        program = shutil.which("prometheus")
        if program is None:
            msg = "prometheus is not installed (Debian, Ubuntu: apt-get install prometheus; or https://prometheus.io)"
            raise ConfigError(msg)
        shutil.rmtree(folder / "data", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        export(folder, targets)
        _scrape_every(folder / "prometheus.yml", every)
        changed(folder)
        self.port = free_port(_HOST, port)
        command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--web.console.templates={folder / 'consoles'}",
            f"--web.listen-address={_HOST}:{self.port}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--log.level=warn",
        ]
        super().__init__("Prometheus", command, log=folder / "prometheus.log", env=None)

    @property
    def console(self) -> str:
        """The address of our console."""
        return f"http://{_HOST}:{self.port}/consoles/ralm.html?minutes=15"

    def wait_ready(self) -> None:
        """Wait until it answers.

        Raises:
            RalmError: when it ends, or does not answer in time.
        """
        deadline = time.monotonic() + _READY_TIMEOUT_S
        while time.monotonic() < deadline:
            self.check()
            if self._ready():
                return
            time.sleep(_LOOK_AGAIN_S)
        msg = f"Prometheus does not answer after {_READY_TIMEOUT_S:g} s:\n{self.tail()}"
        raise RalmError(msg)

    def _ready(self) -> bool:
        connection = HTTPConnection(_HOST, self.port, timeout=5)
        try:
            connection.request("GET", "/-/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()


def _scrape_every(config: Path, every: str) -> None:
    """Somebody looks now: what happens is to be seen within seconds."""
    text = config.read_text("utf-8")
    config.write_text(text.replace("_interval: 15s", f"_interval: {every}"), "utf-8")
