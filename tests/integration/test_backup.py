"""Backups of a real flow's state: after a restore it goes on from there, and nothing is lost."""

import json
import shutil
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenario import clicks, is_final, oracle, send_clicks, stored
from waiting import wait_until

from flows.admin.state.verify import StateVerifier
from state.directory import mark_format

pytestmark = pytest.mark.broker
CAPACITY = 60


class Clicker:
    """Sends clicks until it is told to stop."""

    def __init__(self, client: Any, rng_seed: int) -> None:
        self.made: list[dict[str, object]] = []
        self._client = client
        self._rng = np.random.default_rng(rng_seed)
        self._start = int(time.time() * 1000) - 60_000
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Clicker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def more(self, count: int = 300) -> None:
        """Send some now."""
        made = clicks(self._rng, count, self._start)
        self._start += 200
        send_clicks(self._client, made)
        self.made += made

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.more()


def positions(running: Any) -> int:
    """Clicks that the stores have, as what is behind ``ralm state verify`` reads them beside the flow."""
    verifier = StateVerifier(running.home / "state", CAPACITY)
    found = list(verifier.run())
    assert not verifier.damages
    assert all(partition.whole for partition in found), [partition.line() for partition in found]
    return sum(partition.store.meta.position for partition in found if partition.store.meta is not None)


def finish(client: Any, running: Any, made: list[dict[str, object]]) -> None:
    """Start the flow, let it take in everything, drain it, and compare with the oracle."""
    running.start()
    expected = oracle(made, CAPACITY)
    wait_until(lambda: positions(running) == len(made))
    wait_until(lambda: is_final(client, expected, least=2))
    assert running.stop() == [0]
    assert stored(running.home, CAPACITY) == expected
    done = running.command("state", "verify")
    assert done.returncode == 0, done.stdout
    assert "all is whole" in done.stdout


def make(flow: Callable[..., Any]) -> Any:
    running = flow(max_seeds=str(CAPACITY), min_seeds="2")
    mark_format(running.home / "state")
    return running


def test_a_drained_copy_is_a_backup(client: Any, flow: Callable[..., Any], tmp_path: Path) -> None:
    running, clicker = make(flow), Clicker(client, 1)
    running.start()
    clicker.more(3000)
    wait_until((running.home / "state" / "seeds" / "00000").exists)
    wait_until(lambda: positions(running) > 0)
    assert running.stop() == [0]
    shutil.copytree(running.home / "state", tmp_path / "copy")
    running.start()
    clicker.more(3000)
    wait_until(lambda: positions(running) == len(clicker.made))
    running.stop(signal.SIGKILL)
    shutil.rmtree(running.home / "state")
    done = running.command("state", "restore", str(tmp_path / "copy"))
    assert done.returncode == 0, done.stderr
    finish(client, running, clicker.made)


def test_a_backup_beside_a_running_flow(client: Any, flow: Callable[..., Any], tmp_path: Path) -> None:
    running = make(flow)
    running.start()
    with Clicker(client, 2) as clicker:
        wait_until(lambda: len(list((running.home / "state").glob("seeds/*/CURRENT"))) == 4)
        done = running.command("state", "verify", "--json")
        assert json.loads(done.stdout)["whole"], done.stdout
        assert done.returncode == 0
        for number in range(3):
            before = positions(running)
            wait_until(lambda before=before: positions(running) > before)
            done = running.command("state", "backup", str(tmp_path / f"backup-{number}"))
            assert done.returncode == 0, done.stderr
        full = running.command("state", "restore", str(tmp_path / "backup-1"))
        assert full.returncode == 1
        assert "a flow is running" in full.stderr
        before = positions(running)
        wait_until(lambda: positions(running) > before)
    running.stop(signal.SIGKILL)
    full = running.command("state", "restore", str(tmp_path / "backup-1"))
    assert full.returncode == 1
    assert "move what it holds" in full.stderr
    shutil.rmtree(running.home / "state")
    done = running.command("state", "restore", str(tmp_path / "backup-1"))
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in running.log_text()
    finish(client, running, clicker.made)
