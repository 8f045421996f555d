"""Recovery files are read and left as they are, also those that a killed engine left."""

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from state_maker import kill_engine, make_recovery

from flows.recovery.recovery_files import check_recovery, read_recovery
from flows.recovery.recovery_sqlite import connect, read_tables
from flows.support.errors import RalmError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("killed") / "look-alike"
    make_recovery(path, {0: 700, 1: 5})
    kill_engine(path, {0: 709, 1: 14})
    return path


@pytest.fixture
def killed(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "look-alike")


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


@pytest.mark.parametrize("indexes", [True, False], ids=["with-shm", "without-shm"])
def test_reading_what_a_killed_engine_left_changes_nothing(killed: Path, tmp_path: Path, indexes: bool) -> None:
    for file in killed.glob("*-shm"):
        if not indexes:
            file.unlink()
    before, scratch = contents(killed), tmp_path / "scratch"
    assert any(name.endswith("-wal") and data for name, data in before.items())
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(scratch))
        check_recovery(killed)
    assert contents(killed) == before
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("index", [0, 1])
def test_the_log_beside_an_empty_file_stays_and_is_told(killed: Path, running: bool, index: int) -> None:
    file = killed / f"part-{index}.sqlite3"
    log = file.with_name(file.name + "-wal")
    os.truncate(file, 0)
    before = log.read_bytes()
    assert before
    found = read_recovery(killed, running=running).damages
    assert [f"part-{index}.sqlite3 is damaged: it is empty, and the log" in words for words in found] == [True]
    assert log.read_bytes() == before
    with pytest.raises(sqlite3.Error, match="it is empty"):
        connect(file)


def test_a_running_engine_is_read_where_it_writes(killed: Path) -> None:
    with closing(sqlite3.connect(killed / "part-0.sqlite3")) as writer:
        writer.execute("UPDATE commits SET commit_epoch = commit_epoch")
        writer.commit()
        assert read_tables(killed / "part-0.sqlite3", running=True)["parts"] == [(0, 4)]


def test_no_room_for_the_copy_is_no_damage(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", full)
        with pytest.raises(RalmError, match=r"no room for a copy.*TMPDIR"):
            read_recovery(killed)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(RalmError, match=r"no room for a copy.*TMPDIR"):
        read_recovery(killed)
