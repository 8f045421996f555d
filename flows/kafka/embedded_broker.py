"""A Kafka-protocol broker (noida-db) in a process of its own, for the demo, the tests and the benchmarks.

It is one node and saves lazily: a kill loses its last seconds. Nothing in the dataflows knows of it; they take the
address of any broker.
"""

import os
import re
import signal
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from flows.config.settings import Settings
from flows.kafka.config import client_config
from flows.support.child_process import ChildProcess
from flows.support.errors import ConfigError, RalmError

HOST = "127.0.0.1"
_ADDRESS = re.compile(rf"^\s*kafka\s+{re.escape(HOST)}:(\d+)\s*$", re.MULTILINE)
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
        self._process: ChildProcess | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """Its address, host:port."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            RalmError: when it does not run.
        """
        return self._running().pid

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
        only_kafka = ["start", "--only", "kafka", "--kafka-port", str(self.port), "--host", HOST]
        command = [str(program), *only_kafka, "--data-dir", str(self.data_dir)]
        self._process = ChildProcess("the embedded broker", command, log=log)
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop it with SIGTERM, so that it saves everything; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.stop()

    def pause(self) -> None:
        """Play an outage: it holds its connections and answers nothing (SIGSTOP)."""
        process = self._running()
        process.send(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # it may take a moment to stop

    def resume(self) -> None:
        """End the outage (SIGCONT)."""
        self._running().send(signal.SIGCONT)

    def check(self) -> None:
        """See that it runs.

        Raises:
            RalmError: with the end of its log, when it does not.
        """
        self._running().check()

    def _running(self) -> ChildProcess:
        if self._process is None:
            msg = "the embedded broker is not running: start it first"
            raise RalmError(msg)
        return self._process

    def _wait(self, process: ChildProcess) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            process.check()
            said = _ADDRESS.search(process.log.read_text(encoding="utf-8", errors="replace"))
            if said is not None:
                self.port = int(said[1])
                if _answers(self.bootstrap_servers):
                    return
            time.sleep(_LOOK_AGAIN_S)
        msg = f"the embedded broker did not answer within {_START_TIMEOUT_S:g} s; the end of {process.log}:\n"
        raise RalmError(msg + process.tail())


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
    quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _: None}
    admin = AdminClient({**client_config(Settings(bootstrap_servers=servers)), **quiet})
    try:
        admin.list_topics(timeout=1.0)
    except KafkaException:
        return False
    return True
