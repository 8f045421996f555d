"""Flow processes of one cluster: started together, killed one by one, and what they said when they ended."""

import os
import re
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flows.config.fields import PREFIX
from flows.config.flow_process import FlowProcess, free_port, write_settings
from flows.config.settings import Settings
from flows.support.child_process import ChildProcess
from flows.support.metrics_page import MetricsServer

CONSOLE = "flows.cli.start"
_HOST = "127.0.0.1"
_READY_S = 120.0
_END_S = 60.0
_LOOK_AGAIN_S = 0.05
_WORDS = re.compile(r"^(?:ralm:|  File \"the store in) .*(?:\n(?!\S+ \[|\d{4}-|Traceback).*)*", re.MULTILINE)
_PEER = "another process of the cluster has ended"
_PORT_TAKEN = re.compile(r"address (?:already )?in use|cannot listen|errno 98", re.IGNORECASE)


class FlowUnderTest(FlowProcess):
    """``ralm run look-alike`` with more in its environment (shims) and a log of its own."""

    def __init__(
        self, settings: Settings, home: Path, name: str, more: Mapping[str, str], program: str = CONSOLE
    ) -> None:
        config = home / f"{name}.toml"
        write_settings(settings, config)
        env = {n: value for n, value in os.environ.items() if not n.startswith(PREFIX)} | dict(more)
        command = [sys.executable, "-m", program, "run", "look-alike", "--config", str(config)]
        ChildProcess.__init__(self, f"the dataflow ({name})", command, log=home / f"{name}.log", env=env)
        self.server = MetricsServer(settings.metrics_host, settings.metrics_port + settings.process_id)


@dataclass(frozen=True)
class Ended:
    """How a cluster ended by itself.

    Attributes:
        codes: exit code of each process.
        words: what it said to people; empty when it said nothing.
        logs: where to read on.
    """

    codes: list[int | None]
    words: str
    logs: list[Path]

    @property
    def in_words(self) -> bool:
        """Whether it ended as the README has it: code 1 or 2 and words."""
        return bool(self.words) and any(code in (1, 2) for code in self.codes)

    def __str__(self) -> str:
        said = self.words or f"nothing for people; see {', '.join(str(log) for log in self.logs)}"
        return f"exit codes {self.codes}: {said}"


class Cluster:
    """One or more flow processes on one state directory.

    Args:
        settings: of each process, without its number and addresses.
        home: folder for their settings and logs.

    Attributes:
        hosts: the state directory of each process, as if on hosts of their own; empty while they share one.
        program: the module that is the console script.
    """

    def __init__(self, settings: Settings, home: Path) -> None:
        self.settings = settings
        self.home = home
        self.processes: list[FlowUnderTest] = []
        self.environment: dict[str, str] = {}
        self.program = CONSOLE
        self.count = 1
        self.hosts: list[Path] = []
        self._starts = 0

    @property
    def running(self) -> bool:
        """Whether there are processes."""
        return bool(self.processes)

    def launch(self, count: int | None = None) -> None:
        """Start the processes and wait for nothing."""
        self.count = count or self.count
        self._starts += 1
        ports = [free_port(_HOST, 0) for _ in range(self.count)] if self.count > 1 else []
        addresses = ",".join(f"{_HOST}:{port}" for port in ports)
        for number in range(self.count):
            port = free_port(_HOST, 0) - number
            more: dict[str, object] = {"process_id": number, "addresses": addresses, "metrics_port": port}
            if self.hosts:
                more["state_dir"] = str(self.hosts[number])
            name = f"start-{self._starts:03d}-{number}"
            settings = self.settings.model_copy(update=more)
            self.processes.append(FlowUnderTest(settings, self.home, name, self.environment, self.program))

    def start(self, count: int | None = None, timeout_s: float = _READY_S) -> Ended | None:
        """Start the processes and wait until they work; None, or how they ended instead."""
        for _ in range(3):
            self.launch(count)
            ended = self.wait_ready(timeout_s)
            if ended is None or not _port_was_taken(ended.logs):
                return ended
        return ended

    def wait_ready(self, timeout_s: float = _READY_S) -> Ended | None:
        """Wait until all processes are ready; None, or how they ended instead."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if self.has_ended():
                return self.collect()
            if all(process.server.ready()[0] for process in self.processes):
                return None
            time.sleep(_LOOK_AGAIN_S)
        self.kill()
        return Ended([None], "", self._last_logs())

    def wait_begun(self, timeout_s: float = _READY_S) -> None:
        """Wait until all processes are ready, or one has ended."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not self.has_ended():
            if all(process.server.ready()[0] for process in self.processes):
                return
            time.sleep(_LOOK_AGAIN_S)

    def codes(self) -> list[int | None]:
        """The exit code of each process; None while it runs."""
        return [process.exit_code() for process in self.processes]

    def port_was_taken(self) -> bool:
        """Whether a process says that a port is taken, as it may be a moment after it was free."""
        return _port_was_taken(self._last_logs())

    def has_ended(self) -> bool:
        """Whether a process has ended by itself."""
        return any(code is not None for code in self.codes())

    def collect(self) -> Ended:
        """Wait until all have ended, since one has; a peer that does not follow is killed."""
        until = time.monotonic() + _END_S
        while any(process.exit_code() is None for process in self.processes) and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN_S)
        codes = [process.exit_code() for process in self.processes]
        logs = self._last_logs()
        self.kill()
        words = [found[0].strip() for log in logs if (found := _WORDS.search(_text(log)))]
        words.sort(key=lambda said: _PEER in said)  # a peer knows less than the one that ended first
        return Ended(codes, next(iter(words), ""), logs)

    def kill_one(self, number: int) -> Ended:
        """Kill one process, and wait for its peers to end by themselves."""
        self.processes[number].kill()
        return self.collect()

    def kill(self) -> None:
        """Kill all processes."""
        for process in self.processes:
            process.send(signal.SIGKILL)
        for process in self.processes:
            process.kill()
        self.processes.clear()

    def terminate(self) -> Ended:
        """Send SIGTERM to all and wait."""
        for process in self.processes:
            process.send(signal.SIGTERM)
        return self.collect()

    def send(self, number: signal.Signals, which: int | None = None) -> None:
        """Send a signal to one process or to all."""
        for process in self.processes if which is None else [self.processes[which]]:
            process.send(number)

    def _last_logs(self) -> list[Path]:
        return [process.log for process in self.processes]


def _port_was_taken(logs: list[Path]) -> bool:
    return any(_PORT_TAKEN.search(_text(log)) for log in logs)


def _text(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
