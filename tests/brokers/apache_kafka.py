"""One node of Apache Kafka on 127.0.0.1, broker and controller in one process (KRaft).

``python -m tests.brokers.apache_kafka FOLDER`` runs one until Ctrl-C.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import NAMESPACE_URL, uuid5

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from flows.support.child_process import ChildProcess
from flows.support.errors import RalmError

from .access_lists import ADMIN, AccessLists
from .kafka_jars import bring_jars, find_java

HOST = "127.0.0.1"
_FORMAT_TIMEOUT_S = 60.0
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_LOOK_AGAIN_S = 0.05
_PORT_TRIES = 3
_JVM = (
    "-Xms128m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
)  # the quick compiler: it lives for minutes

# What one node must have (a replica of each internal topic), what makes tests quick (no delay before a group's first
# assignment, few internal partitions, the cleaner looks often), and what keeps them honest (no topic makes itself).
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=CLIENT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=CLIENT://{host}:{port}
listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
num.recovery.threads.per.data.dir=2
background.threads=2
log.segment.bytes=16777216
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=16777216
log.cleaner.backoff.ms=1000
"""

_LOGGING = """\
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=[%d] %p %m (%c)%n
rootLogger.level=WARN
rootLogger.appenderRef.out.ref=out
"""


class ApacheKafka:
    """A broker with the face of the embedded one; use it as a context, or start and stop it.

    Started again, it has the same port and what it had stored.

    Args:
        data_dir: where it keeps its data, its settings and its log ``broker.log``.
        doors: who is let in, and by what; None lets in everyone, who may do everything.
        heap_mb: the most memory for its objects, MiB.

    Attributes:
        data_dir: as given.
        port: its port; 0 until it was started.
    """

    def __init__(self, data_dir: Path, doors: AccessLists | None = None, heap_mb: int = 512) -> None:
        self.data_dir = data_dir
        self.port = 0
        self._doors = doors
        self._heap = f"-Xmx{heap_mb}m"
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
        """Its process id."""
        return self._running().pid

    @property
    def log(self) -> Path:
        """What it says."""
        return self.data_dir / "broker.log"

    def start(self) -> Self:
        """Start it and wait until it answers.

        Raises:
            KafkaUnavailableError: when there is no Java, or the jars cannot be brought.
            RalmError: when it does not come up; shows the end of its log.
        """
        java = [find_java(), *_JVM, self._heap, f"-Dlog4j2.configurationFile={self.data_dir / 'log4j2.properties'}"]
        java += ["-cp", f"{bring_jars()}/*"]
        if self.port:
            return self._run(java)
        for left in reversed(range(_PORT_TRIES)):
            self._format(java)
            try:
                return self._run(java)
            except RalmError:
                if not left or "BindException" not in self.log.read_text(encoding="utf-8", errors="replace"):
                    raise
        raise AssertionError

    def stop(self) -> None:
        """Stop it with SIGTERM; nothing happens when it does not run."""
        process, self._process = self._process, None
        if process is not None:
            process.stop(_STOP_TIMEOUT_S)

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
            msg = "Apache Kafka is not running: start it first"
            raise RalmError(msg)
        return self._process

    def _cluster_id(self) -> str:
        """A UUID of the folder's own in base64, which does not begin like an option."""
        first, *rest = uuid5(NAMESPACE_URL, str(self.data_dir.resolve())).bytes
        return urlsafe_b64encode(bytes([first & 0x7F, *rest])).decode().rstrip("=")

    def _format(self, java: list[str]) -> None:
        """Write the settings, with two free ports, and Kafka's own marks into an empty folder of data."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port, controller_port = free_ports(2)
        data = self.data_dir / "data"
        text = _PROPERTIES.format(host=HOST, port=self.port, controller_port=controller_port, data=data)
        text += "" if self._doors is None else self._doors.properties()
        properties = self.data_dir / "server.properties"
        properties.write_text(text, encoding="utf-8")
        (self.data_dir / "log4j2.properties").write_text(_LOGGING, encoding="utf-8")
        command = [*java, "kafka.tools.StorageTool", "format"]
        command += ["--cluster-id", self._cluster_id(), "--config", str(properties), "--ignore-formatted"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired as error:
            msg = f"Apache Kafka did not format {data} within {_FORMAT_TIMEOUT_S:g} s"
            raise RalmError(msg) from error
        if done.returncode != 0:
            msg = f"Apache Kafka did not format {data}:\n{done.stdout}{done.stderr}"
            raise RalmError(msg)

    def _run(self, java: list[str]) -> Self:
        self.log.unlink(missing_ok=True)
        command = [*java, "kafka.Kafka", str(self.data_dir / "server.properties")]
        process = self._process = ChildProcess("Apache Kafka", command, log=self.log)
        try:
            self._wait(process)
        except BaseException:
            self._process = None
            process.kill()
            raise
        return self

    def _wait(self, process: ChildProcess) -> None:
        quiet: dict[str, Any] = {"log_level": 0, "error_cb": lambda _: None, "reconnect.backoff.max.ms": 200}
        quiet |= {} if self._doors is None else self._doors.login(ADMIN)
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, **quiet})
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            process.check()
            try:
                found = admin.list_topics(timeout=1.0)
                if found.brokers and found.cluster_id == self._cluster_id():  # not another one at a port just taken
                    return
            except KafkaException:
                pass
            time.sleep(_LOOK_AGAIN_S)
        msg = f"Apache Kafka did not answer within {_START_TIMEOUT_S:g} s; the end of {process.log}:\n{process.tail()}"
        raise RalmError(msg)


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody has now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def main(arguments: list[str]) -> int:
    """Run one in the folder named until Ctrl-C or SIGTERM."""
    (folder,) = arguments
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ApacheKafka(Path(folder)) as kafka:
        print(kafka.bootstrap_servers, flush=True)  # noqa: T201 (a command)
        try:
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
