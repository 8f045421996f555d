"""A Kafka-protocol broker (noida-db) in a process of its own, for the demo, the tests and the benchmarks.

It is one node and saves lazily: a kill loses its last seconds. It answers empty fetches at once, so that an idle
consumer would keep a core busy: a second process before it lets them wait (``long_poll``). Nothing in the dataflows
knows of it; they take the address of any broker.
"""

import os
import re
import signal
import sys
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from flows.config.settings import Settings
from flows.kafka.config import QUIET, client_config
from flows.support.child_process import ChildProcess
from flows.support.errors import ConfigError, RalmError

_HOST = "127.0.0.1"
_LONG_POLL = f"{__package__}.long_poll"
_BROKER_ADDRESS = re.compile(rf"^\s*kafka\s+{re.escape(_HOST)}:(\d+)\s*$", re.MULTILINE)
_ADDRESS = re.compile(rf"^long poll {re.escape(_HOST)}:(\d+)\s*$", re.MULTILINE)
_START_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.02


class EmbeddedBroker:
    """A broker on 127.0.0.1; use it as a context, or start and stop it.

    Started again, it has the same port and what it had stored.

    Args:
        data_dir: where it keeps its data, and its log ``broker.log``.
        port: its port; 0 takes a free one.

    Attributes:
        data_dir: as given.
        port: its port; 0 until it was started if a free one is taken.
    """

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir
        self.port = port
        self._processes: list[ChildProcess] = []

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Its address, host:port."""
        return f"{_HOST}:{self.port}"

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of its processes: the broker's, and that of the long poll before it.

        Raises:
            RalmError: when it does not run.
        """
        return tuple(process.pid for process in self._running())

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            ConfigError: when noida-db is not installed.
            RalmError: when it does not come up; shows the end of its log.
        """
        program = _program()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        log = self.data_dir / "broker.log"
        log.unlink(missing_ok=True)
        only_kafka = ["start", "--only", "kafka", "--kafka-port", "0", "--host", _HOST]
        deadline = time.monotonic() + _START_TIMEOUT_S
        try:
            command = [str(program), *only_kafka, "--data-dir", str(self.data_dir)]
            self._processes = [ChildProcess("the embedded broker", command, log=log)]
            broker_port = self._wait(_BROKER_ADDRESS, log, deadline)
            command = [sys.executable, "-P", "-m", _LONG_POLL, str(self.port), str(broker_port)]
            self._processes.append(ChildProcess("the embedded broker's long poll", command, log=log))
            self.port = self._wait(_ADDRESS, log, deadline)
            while not _answers(self.bootstrap_servers):
                self._look(log, deadline)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it with SIGTERM, so that it saves everything; nothing happens when it does not run."""
        while self._processes:
            self._processes.pop().stop()

    def pause(self) -> None:
        """Play an outage: it holds its connections and answers nothing (SIGSTOP)."""
        for process in reversed(self._running()):
            process.send(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # it may take a moment to stop

    def resume(self) -> None:
        """End the outage (SIGCONT)."""
        for process in self._running():
            process.send(signal.SIGCONT)

    def check(self) -> None:
        """See that it runs.

        Raises:
            RalmError: with the end of its log, when it does not.
        """
        for process in self._running():
            process.check()

    def _running(self) -> list[ChildProcess]:
        if not self._processes:
            msg = "the embedded broker is not running: start it first"
            raise RalmError(msg)
        return self._processes

    def _wait(self, address: re.Pattern[str], log: Path, deadline: float) -> int:
        """Wait until the log names an address; its port."""
        while (said := address.search(log.read_text(encoding="utf-8", errors="replace"))) is None:
            self._look(log, deadline)
        return int(said[1])

    def _look(self, log: Path, deadline: float) -> None:
        self.check()
        if time.monotonic() > deadline:
            msg = f"the embedded broker did not answer within {_START_TIMEOUT_S:g} s; the end of {log}:\n"
            raise RalmError(msg + self._processes[-1].tail())
        time.sleep(_LOOK_AGAIN_S)


def _program() -> Path:
    if find_spec("noida_db") is None:
        msg = "the embedded broker is not installed: pip install '.[broker]' in the project's folder"
        raise ConfigError(msg)
    program = Path(str(files("noida_db"))) / "noida-db"
    if not program.is_file():
        msg = f"the embedded broker has no program for this machine ({program} is missing): use a Kafka cluster"
        raise ConfigError(msg)
    if not os.access(program, os.X_OK):
        program.chmod(0o755)
    return program


def _answers(servers: str) -> bool:
    admin = AdminClient({**client_config(Settings(bootstrap_servers=servers)), **QUIET})
    try:
        admin.list_topics(timeout=1.0)
    except KafkaException:
        return False
    return True
