"""What holds between the tables of recovery files: each break of it is told and its file named, and nothing else is."""

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from state_maker import PARTS, kill_engine, make_recovery

from flows.recovery.recovery_files import read_recovery


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three executions, each drained, as files that lie alone."""
    path = tmp_path_factory.mktemp("laws") / "look-alike"
    for more in (0, 9, 20):
        make_recovery(path, {0: 700 + more, 1: 5 + more})
    return path


@pytest.fixture
def recovery(sound: Path, tmp_path: Path) -> Path:
    return shutil.copytree(sound, tmp_path / "look-alike")


def change(path: Path, statement: str) -> list[str]:
    """Run a statement on each file; those in which it changed a row."""
    changed = []
    for file in sorted(path.glob("part-*.sqlite3")):
        with closing(sqlite3.connect(file)) as there:
            if there.execute(statement).rowcount > 0:
                changed.append(file.name)
            there.commit()
            there.execute("PRAGMA journal_mode=DELETE")
    return changed


def damages(path: Path) -> str:
    return "; ".join(read_recovery(path).damages)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE exs SET ex_num = 0 WHERE ex_num = 1", "execution 0 is there twice, in .*FILE"),
        ("UPDATE exs SET ex_num = 5 WHERE ex_num = 1", "execution 1"),
        ("UPDATE exs SET ex_num = 5 WHERE ex_num = 2", "FILE has execution 5, and none has execution 2"),
        ("UPDATE exs SET worker_count = 0x7fffffffffff WHERE ex_num = 2", "different times: .*later than epoch"),
        (
            "UPDATE exs SET resume_epoch = resume_epoch + 1 WHERE ex_num = 1",
            "FILE execution 1 begins|has worker 0",
        ),
        (
            "UPDATE exs SET resume_epoch = 0 WHERE ex_num = 0",
            "in FILE execution 0 begins at epoch 0; the first at 1",
        ),
        ("UPDATE fronts SET ex_num = 9 WHERE ex_num = 2", "FILE has a worker of execution 9"),
        ("UPDATE fronts SET worker_index = 1 WHERE ex_num = 2", "FILE has worker 1 of execution 2"),
        ("UPDATE fronts SET worker_frontier = 1 WHERE ex_num = 1", "FILE has worker 0 of execution 1 at epoch 1"),
        ("UPDATE fronts SET worker_frontier = worker_frontier + 1 WHERE ex_num = 0", "execution 1 begins at epoch"),
        ("UPDATE fronts SET worker_frontier = worker_frontier - 1 WHERE ex_num = 2", "FILE|different times"),
        (
            "UPDATE fronts SET worker_frontier = worker_frontier + 16 WHERE ex_num = 2",
            "earlier than .*FILE.*is old",
        ),
        ("UPDATE commits SET commit_epoch = commit_epoch + 1 WHERE part_index = 2", "FILE went on to epoch .*later"),
        ("UPDATE commits SET commit_epoch = commit_epoch - 3 WHERE part_index = 2", "FILE ends with epoch .*it is old"),
        ("DELETE FROM commits WHERE part_index = 1", "FILE ends with epoch 0"),
        ("UPDATE snaps SET snap_epoch = snap_epoch + 16 WHERE state_key = 'clicks/00000'", "FILE went on to epoch"),
    ],
)
def test_a_row_with_another_number_is_told(recovery: Path, statement: str, words: str) -> None:
    assert not damages(recovery)
    (changed,) = change(recovery, statement)
    assert re.search(words.replace("FILE", re.escape(changed)), damages(recovery)), (statement, damages(recovery))


@pytest.mark.parametrize("index", range(PARTS))
def test_an_old_file_among_newer_ones_is_told(sound: Path, tmp_path: Path, index: int) -> None:
    old = shutil.copytree(sound, tmp_path / "old")
    path = shutil.copytree(sound, tmp_path / "look-alike")
    for more in (50, 60):
        kill_engine(path, {0: 700 + more, 1: 5 + more})
        assert not damages(path)
    for file in path.glob(f"part-{index}.sqlite3*"):
        file.unlink()
    shutil.copy(old / f"part-{index}.sqlite3", path)
    assert f"part-{index}.sqlite3" in damages(path)


def test_an_index_that_lacks_a_row_is_told(recovery: Path) -> None:
    found = 0
    for file in sorted(recovery.glob("part-*.sqlite3")):
        data = file.read_bytes()
        for place in [match.start() for match in re.finditer(b"look_alike\\.seed_sets", data)]:
            flipped = bytearray(data)
            flipped[place] ^= 1
            file.write_bytes(flipped)
            with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as there:
                quick = [row[0] for row in there.execute("PRAGMA quick_check")]
                whole = [row[0] for row in there.execute("PRAGMA integrity_check")]
            if quick == ["ok"] != whole:
                found += 1
                assert f"{file} is damaged" in damages(recovery)
        file.write_bytes(data)
    assert found
