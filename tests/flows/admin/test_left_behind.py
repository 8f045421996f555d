"""Work folders of commands that were killed go with the next command that makes one."""

import os
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pytest

from flows.admin.state.backup import backup
from flows.cli.commands.bench import _work_folder
from flows.seed_sets.state_facts import open_state_dir
from ralm.seed_set import SeedSet
from state.store.seed_store import Changes, ItemRecord, SeedStore


def left(path: Path) -> Path:
    """A folder in which nobody has written for long."""
    path.mkdir(parents=True)
    (path / "half").touch()
    for each in (path / "half", path):
        os.utime(each, (1, 1))
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    open_state_dir(tmp_path / "state")
    store = SeedStore.open(tmp_path / "state" / "seeds" / "00000", topic="clicks", partition=0, capacity=10)
    seeds = SeedSet(np.arange(3, dtype=np.uint64), np.arange(3) + 1000)
    store.write(Changes(seeds=[("a", seeds)], items={"a": ItemRecord(2000, 3)}), position=3)
    store.close()
    return tmp_path / "state"


def test_of_backups_under_any_name(tmp_path: Path, state: Path) -> None:
    halves = [left(tmp_path / "backups" / f".2026-11-{day}-ralm-backup-x{day}y") for day in (20, 21)]
    backup(state, tmp_path / "backups" / "2026-11-27", 10, lambda _: None)
    assert not any(half.exists() for half in halves)
    assert [path.name for path in (tmp_path / "backups").iterdir()] == ["2026-11-27"]


def test_of_looks_into_stores(tmp_path: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    half = left(tmp_path / "ralm-snapshot-abc")
    SeedStore.inspect(state / "seeds" / "00000").close()
    assert not half.exists()


def test_of_benchmarks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    half = left(Path(gettempdir()) / "ralm-bench-abc")
    with _work_folder():
        assert not half.exists()
    assert list(tmp_path.iterdir()) == []
