"""A flow's process listens where it was told to, and nowhere else; what it writes is its owner's."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from security.listening import listening
from waiting import wait_until

from flows.config.flow_process import free_port

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


@contextmanager
def running(ralm: Any, processes: int = 1) -> Iterator[subprocess.Popen[bytes]]:
    """The flow, in so many processes; the first of them. All are told to stop at once, and drain."""
    started = [ralm.start("run", "look-alike", "--process-id", str(number)) for number in range(processes)]
    try:
        yield started[0]
        for process in started:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(120) for process in started] == [0] * processes, ralm.said()
    finally:
        for process in started:
            process.kill()
            process.wait()


def wait_for_work(ralm: Any, process: "subprocess.Popen[bytes]") -> None:
    """Until it reads clicks, when everything that it opens is open."""
    wait_until(lambda: process.poll() is not None or "live index loaded" in ralm.said())
    assert process.poll() is None, ralm.said()


def test_the_engines_own_pages_stay_closed_whatever_the_environment_says(ralm: Any, broker: str) -> None:
    port = free_port("127.0.0.1", 0)
    run = ralm(bootstrap_servers=broker, topic_prefix=f"t{port}.", metrics_port=str(port))
    assert run("topics")[0] == 0
    engine = free_port("127.0.0.1", 0)
    run.environment |= {"BYTEWAX_DATAFLOW_API_ENABLED": "0", "BYTEWAX_DATAFLOW_API_PORT": str(engine)}
    with running(run) as process:
        wait_for_work(run, process)
        assert listening(process.pid) == {("127.0.0.1", port)}
    assert sorted(path.name for path in run.home.iterdir()) == ["flow.log", "state"]


def test_the_engines_own_pages_open_when_asked_for_and_leave_the_working_folder_alone(ralm: Any, broker: str) -> None:
    port, engine = free_port("127.0.0.1", 0), free_port("127.0.0.1", 0)
    run = ralm(bootstrap_servers=broker, topic_prefix=f"t{port}.", metrics_port=str(port), engine_api="true")
    assert run("topics")[0] == 0
    run.environment["BYTEWAX_DATAFLOW_API_PORT"] = str(engine)
    with running(run) as process:
        wait_for_work(run, process)
        wait_until(lambda: ("0.0.0.0", engine) in listening(process.pid))
        assert listening(process.pid) == {("127.0.0.1", port), ("0.0.0.0", engine)}
    assert (run.home / "state" / "engine-0" / "dataflow.json").exists()
    assert not (run.home / "dataflow.json").exists()


def test_a_cluster_listens_on_the_addresses_named(ralm: Any, broker: str) -> None:
    ports = [free_port("127.0.0.1", 0) for _ in range(2)]
    run = ralm(
        bootstrap_servers=broker,
        topic_prefix=f"t{ports[0]}.",
        addresses=",".join(f"127.0.0.1:{port}" for port in ports),
    )
    assert run("topics")[0] == 0
    with running(run, processes=2) as first:
        wait_until(lambda: first.poll() is not None or run.said().count("live index loaded") == 2)
        assert first.poll() is None, run.said()
        found = listening(first.pid)
        assert {host for host, _ in found} == {"127.0.0.1"}


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_nobody_else_may_write_what_a_flow_writes(ralm: Any, broker: str, umask: int) -> None:
    run = ralm(bootstrap_servers=broker, topic_prefix=f"t{free_port('127.0.0.1', 0)}.")
    assert run("topics")[0] == 0
    before = os.umask(umask)
    try:
        with running(run) as process:
            wait_for_work(run, process)
            wait_until(lambda: any((run.home / "state").glob("seeds/*/CURRENT")))
            assert _open_to_others(run.home / "state") == []
    finally:
        os.umask(before)
    assert _open_to_others(run.home / "state") == []


def _open_to_others(folder: Path) -> list[str]:
    """What others may write; a file that a running flow takes away meanwhile has no mode any more."""
    modes = {}
    for path in [folder, *folder.rglob("*")]:
        with suppress(FileNotFoundError):
            modes[path] = stat.S_IMODE(path.stat().st_mode)
    assert len(modes) > 5
    return [f"{oct(mode)} {path}" for path, mode in modes.items() if mode & 0o022]
