"""The engine's recovery files read from outside: what they say, and every damage in words."""

import errno
import os
import pickle
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_maker import PARTS, make_recovery

from flows.recovery.recovery_files import (
    check_recovery,
    known_partitions,
    open_state_dir,
    read_recovery,
    source_positions,
)
from flows.recovery.recovery_pickles import unpickled
from flows.recovery.sealed import seal_position, unseal
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError
from state.directory import read_format

POSITIONS = {0: 700, 1: 5, 12: 70_000}


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recovery") / "look-alike"
    make_recovery(path, POSITIONS)
    make_recovery(path, {partition: position + 9 for partition, position in POSITIONS.items()})
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(path.iterdir())}


def test_what_the_engine_wrote_is_read_and_stays_as_it_was(recovery: Path) -> None:
    before = contents(recovery)
    check_recovery(recovery)
    assert known_partitions(recovery) == {"clicks": {0, 1, 12}, "requests": {0, 1}}
    data = read_recovery(recovery)
    assert source_positions(data, "clicks") == {0: 709, 1: 14, 12: 70_009}
    keepers = [
        OperatorSnapshot.decode(unseal(v)) for (step, _), v in data.snapshots.items() if step == "seed_sets" and v
    ]  # type: ignore[arg-type]
    assert {keeper.partition: keeper.position for keeper in keepers} == {0: 709, 1: 14, 12: 70_009}
    assert contents(recovery) == before


def test_there_is_nothing_to_read_where_nothing_is(tmp_path: Path) -> None:
    check_recovery(tmp_path / "nowhere")
    (tmp_path / "init.lock").touch()
    assert known_partitions(tmp_path) == {}
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("index", range(PARTS))
@pytest.mark.parametrize("way", ["delete", "empty", "half", "nonsense"])
def test_a_missing_or_cut_file_is_refused(recovery: Path, tmp_path: Path, index: int, way: str) -> None:
    path = shutil.copytree(recovery, tmp_path / "r")
    file = path / f"part-{index}.sqlite3"
    if way == "delete":
        file.unlink()
    elif way == "nonsense":
        file.write_bytes(random.Random(0).randbytes(file.stat().st_size))
    else:
        os.truncate(file, 0 if way == "empty" else file.stat().st_size // 2)
    with pytest.raises(RalmError, match=rf"part-{index}\.sqlite3.*ralm state restore.*read again"):
        check_recovery(path)


def test_files_of_another_set_are_refused(recovery: Path, tmp_path: Path) -> None:
    path = shutil.copytree(recovery, tmp_path / "r")
    shutil.copy(recovery / "part-0.sqlite3", path / "part-9.sqlite3")
    with pytest.raises(RalmError, match="do not belong together: 5 files"):
        check_recovery(path)


def test_a_flipped_bit_in_a_position_is_refused(recovery: Path, tmp_path: Path) -> None:
    sealed = seal_position(70_009)
    assert sealed is not None
    flipped, hit = bytearray(sealed), 0
    flipped[-1] ^= 1
    path = shutil.copytree(recovery, tmp_path / "r")
    for file in path.glob("part-*.sqlite3"):
        data = file.read_bytes()
        hit += sealed in data
        file.write_bytes(data.replace(sealed, flipped))
    assert hit == 1
    with pytest.raises(RalmError, match=r"clicks clicks/00012 .* does not fit its checksum"):
        check_recovery(path)


def test_random_damage_never_raises_anything_else(recovery: Path, tmp_path: Path) -> None:
    rng, noticed = random.Random(3), 0
    for _ in range(150):
        path = tmp_path / "r"
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(recovery, path)
        file = path / f"part-{rng.randrange(PARTS)}.sqlite3"
        data = bytearray(file.read_bytes())
        place = rng.randrange(len(data))
        data[place : place + rng.choice((1, 8, 500))] = rng.randbytes(rng.choice((1, 8, 500)))
        file.write_bytes(data)
        try:
            known_partitions(path)
        except RalmError:
            noticed += 1
    assert noticed > 20


@given(st.binary(max_size=60))
def test_no_bytes_make_the_reader_of_pickles_do_anything_else(data: bytes) -> None:
    try:
        found = unpickled(data)
    except ValueError:
        return
    assert found is None or isinstance(found, int | bytes)


@given(st.one_of(st.none(), st.integers(), st.binary(max_size=60)), st.data())
def test_a_pickle_with_a_flipped_bit_is_none_or_is_read(value: int | bytes | None, data: st.DataObject) -> None:
    flipped = bytearray(pickle.dumps(value))
    flipped[data.draw(st.integers(0, len(flipped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = unpickled(bytes(flipped))
    except ValueError:
        return
    assert pickle.loads(flipped) == found


@given(st.one_of(st.none(), st.integers(), st.binary()), st.integers(2, 5))
def test_what_may_be_pickled_is_read_back(value: int | bytes | None, protocol: int) -> None:
    if not isinstance(value, bytes) or protocol > 2:
        assert unpickled(pickle.dumps(value, protocol)) == value


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/evil",)


@pytest.mark.parametrize("value", [Evil(), "text", [1], (1, 2), {"a": 1}, Path, 1.5, True, {1}])
def test_nothing_else_is_read_from_a_pickle(value: object) -> None:
    with pytest.raises(ValueError, match="pickle of"):
        unpickled(pickle.dumps(value))


def test_an_owner_marks_the_directory_and_learns_the_partitions(recovery: Path, tmp_path: Path) -> None:
    assert open_state_dir(tmp_path / "new", "look-alike") == {}
    assert read_format(tmp_path / "new") == 2
    shutil.copytree(recovery, tmp_path / "new" / "recovery" / "look-alike")
    assert open_state_dir(tmp_path / "new", "look-alike")["clicks"] == {0, 1, 12}
    (tmp_path / "new" / "format.json").unlink()
    with pytest.raises(RalmError, match="format 1"):
        open_state_dir(tmp_path / "new", "look-alike")


@pytest.mark.parametrize(
    "way", ["other files", "a file", "no folder can be made", "not to be read", "a link to nowhere"]
)
def test_what_is_in_the_way_of_recovery_files_is_told_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    path = tmp_path / "recovery" / "look-alike"
    path.mkdir(parents=True)
    assert open_state_dir(tmp_path, "look-alike") == {}
    if way == "other files":
        (path / "notes.txt").touch()
    elif way == "not to be read":
        monkeypatch.setattr(Path, "iterdir", _refused)
    elif way == "no folder can be made":
        path.rmdir()
        path.parent.rmdir()
        monkeypatch.setattr(Path, "mkdir", _refused)
    else:
        path.rmdir()
        path.touch() if way == "a file" else path.symlink_to("nowhere")
    with pytest.raises(RalmError, match=r"look-alike.*(away|mended)|mended.*start again"):
        open_state_dir(tmp_path, "look-alike")


def _refused(path: Path, *_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
