"""A dataflow as a process of its own, with its settings in a file, for the demo and the benchmarks."""

import os
import socket
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Self

from flows.config.fields import PREFIX, plain_value
from flows.config.settings import Settings
from flows.support.child_process import ChildProcess
from flows.support.errors import RalmError
from flows.support.metrics_page import MetricsPage, MetricsServer, ScrapeError
from monitoring.address import asked_at, bare, family_of

_READY_TIMEOUT_S = 120.0
_LOOK_AGAIN_S = 0.05


class FlowProcess(ChildProcess):
    """``ralm run FLOW`` as a child, with exactly the given settings.

    Args:
        flow: the dataflow's name, as ``ralm run`` takes it.
        settings: its settings; they are written to ``config``, and nothing is taken from the environment.
        config: the TOML file to write.
        log: file that its log is appended to.
        without: environment variables that it does not get.

    Attributes:
        server: its metrics page.
    """

    def __init__(
        self, flow: str, settings: Settings, *, config: Path, log: Path, without: Collection[str] = ()
    ) -> None:
        write_settings(settings, config)
        env = {n: value for n, value in os.environ.items() if not n.startswith(PREFIX) and n not in without}
        command = [sys.executable, "-P", "-m", "flows.cli.start", "run", flow, "--config", str(config)]
        super().__init__(f"the dataflow {flow}", command, log=log, env=env)
        self.server = MetricsServer(asked_at(settings.metrics_host), settings.metrics_port)

    def __enter__(self) -> Self:
        return self

    def wait_ready(self, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Wait until it works on messages.

        Raises:
            RalmError: when it ends, or is not ready in time; says what it waits for.
        """
        deadline, said = time.monotonic() + timeout_s, ""
        while time.monotonic() < deadline:
            self.check()
            ready, said = self.server.ready()
            if ready:
                return
            time.sleep(_LOOK_AGAIN_S)
        msg = f"{self.name} is not ready after {timeout_s:g} s: {said}\nThe end of {self.log}:\n{self.tail()}"
        raise RalmError(msg)

    def page(self) -> MetricsPage:
        """Its metrics now.

        Raises:
            ScrapeError: when it does not answer.
            RalmError: when it has ended.
        """
        self.check()
        try:
            return self.server.page()
        except OSError as error:
            self.check()
            msg = f"{self.name} does not answer at {self.server.url}: {error}"
            raise ScrapeError(msg) from error

    def drain(self, timeout_s: float = 60.0) -> None:
        """Stop it with SIGTERM and see that it drained.

        Raises:
            RalmError: when it did not exit with 0.
        """
        self.check()
        code = self.stop(timeout_s)
        if code != 0:
            msg = f"{self.name} was to drain at SIGTERM and exit with 0, and ended with {code}:\n{self.tail()}"
            raise RalmError(msg)


def write_settings(settings: Settings, path: Path) -> None:
    """Write the settings that differ from their defaults as a TOML file for ``--config``.

    Passwords among them are written as they are, since the process must have them: only its owner can read the file.
    """
    lines = [
        f"{name} = {plain_value(field, value)}\n"
        for name, field in Settings.model_fields.items()
        if (value := getattr(settings, name)) != field.default
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # an older file may be open to others, or be a link
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.writelines(lines)


def free_port(host: str, wanted: int) -> int:
    """The wanted port if it is free, else another that is.

    Raises:
        RalmError: when nothing can listen on the host; says why.
    """
    why = ""
    for port in (wanted, 0):
        try:
            with socket.socket(family_of(host)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((bare(host), port))
                return int(probe.getsockname()[1])
        except OSError as error:
            why = error.strerror or str(error)
    msg = f"no port is free on {host}: {why}"
    raise RalmError(msg)
