"""Seed sets whose snapshot is older than what the sources have read are told, also at the start."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from state_maker import kill_engine, make_recovery

from flows.recovery.recovery_files import open_state_dir, read_recovery
from flows.recovery.recovery_keepers import decoded_keeper, late_keepers
from flows.recovery.sealed import seal, seal_position
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError
from state.directory import mark_format

NONE: np.ndarray[tuple[int], np.dtype[np.int64]] = np.empty(0, np.int64)


def keeper(partition: int, position: int, candidates: int) -> OperatorSnapshot:
    return OperatorSnapshot(partition, position, candidates, 5, 0, ([], NONE, NONE), {})


def late(clicks: int | None, candidates: int | None, kept: OperatorSnapshot) -> list[str]:
    sources = {("clicks", "clicks/00003"): clicks, ("candidates", "candidates/00003"): candidates}
    files = {place: Path(f"/r/part-{number}.sqlite3") for number, place in enumerate([*sources, ("seed_sets", "3/1")])}
    return list(late_keepers({place: seal_position(at) for place, at in sources.items()}, {"3/1": kept}, files))


def test_seed_sets_behind_what_was_read_are_told_by_file() -> None:
    (words,) = late(20, 7, keeper(3, 19, 7))
    assert "read clicks/3 to 20 (part-0.sqlite3), its seed sets reach 19 (part-2.sqlite3)" in words
    (words,) = late(20, 8, keeper(3, 20, 7))
    assert "read candidates/3 to 8 (part-1.sqlite3), its seed sets reach 7 (part-2.sqlite3)" in words


@pytest.mark.parametrize(
    ("clicks", "candidates", "kept"),
    [
        (20, 7, keeper(3, 20, 7)),
        (20, 7, keeper(3, 25, 9)),  # a source may be older: what it reads again changes nothing
        (None, None, keeper(3, 20, 7)),  # no topic of candidates yet
        (500, 7, keeper(3, 0, 7)),  # the topic begins at 500, and the first batch was of candidates
        (20, 500, keeper(3, 20, 0)),
        (500, 7, keeper(2, 20, 7)),  # another partition, whose sources are new
    ],
)
def test_what_an_engine_may_leave_is_not_told(
    clicks: int | None, candidates: int | None, kept: OperatorSnapshot
) -> None:
    assert not late(clicks, candidates, kept)


def test_what_is_no_snapshot_of_seed_sets_is_refused() -> None:
    assert decoded_keeper(None) is None
    for value in (7, b"1234567", seal(b"nonsense")):
        with pytest.raises(ValueError, match=r"^[^.]+$"):
            decoded_keeper(value)


def test_a_start_refuses_seed_sets_of_the_epoch_before(tmp_path: Path) -> None:
    mark_format(tmp_path)
    path = tmp_path / "recovery" / "look-alike"
    make_recovery(path, {0: 700, 1: 5})
    old = shutil.copytree(path, tmp_path / "old")
    kill_engine(path, {0: 709, 1: 14})
    assert open_state_dir(tmp_path, "look-alike")["clicks"] == {0, 1}
    (there,) = [file for file in path.glob("part-*.sqlite3") if rows(file, "SELECT 1 FROM snaps WHERE state_key = '0'")]
    (value,) = rows(old / there.name, "SELECT ser_change FROM snaps WHERE state_key = '0'")
    with closing(sqlite3.connect(there)) as file:
        file.execute("UPDATE snaps SET ser_change = ? WHERE state_key = '0'", value)
        file.commit()
    with pytest.raises(RalmError, match=rf"clicks/0 to 709 .*seed sets reach 700 \({there.name}\).*ralm state restore"):
        open_state_dir(tmp_path, "look-alike")
    assert read_recovery(path).keepers["0"].position == 700


def rows(file: Path, statement: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as there:
        return there.execute(statement).fetchall()
