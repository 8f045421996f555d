"""Records of types that RocksDB never comes past are found before it opens a store, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rocksdict import Options, Rdict
from store_history import Crashed, N, Writer, crash_image

from state.store import log_records
from state.store.check import check_store
from state.store.log_records import check_log_records
from state.store.rocks import open_to_write
from state.store.seed_store import SeedStore, StoreError

_OPEN = "import sys; from rocksdict import *; Rdict(sys.argv[1], Options(raw_mode=True)).close()"
RECYCLED = (5, 6, 7, 8, 11)


def opens(path: Path) -> bool | None:
    """Whether RocksDB itself opens a store, None where it does not come to an end."""
    try:
        return not subprocess.run(
            [sys.executable, "-c", _OPEN, path], check=False, timeout=5, capture_output=True
        ).returncode
    except subprocess.TimeoutExpired:
        return None


def types(file: Path) -> list[int]:
    """Where in a file the types of its records lie."""
    return [
        start + record.at + 6 for start, block in log_records._blocks(file) for record in log_records._records(block)
    ]


def set_byte(file: Path, at: int, value: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] = value
    file.write_bytes(data)


def named(path: Path, pattern: str) -> Path:
    return max(path.glob(pattern), key=lambda file: file.stat().st_size)


def test_a_record_of_a_type_that_is_never_written_is_named(crashed: Crashed, tmp_path: Path) -> None:
    for pattern in ("MANIFEST-*", "*.log"):
        path = crashed.copy(tmp_path / "s")
        file = named(path, pattern)
        at = types(file)[1]
        set_byte(file, at, file.read_bytes()[at] | 4)
        before = {each.name: each.read_bytes() for each in path.iterdir()}
        words = rf"{file} is damaged: the record at byte {at - 6} .*Move that directory away"
        with pytest.raises(StoreError, match=words):
            SeedStore.open(path, topic="clicks", partition=3, capacity=N)
        with pytest.raises(StoreError, match=words):
            open_to_write(path)
        assert [str(file) in damage for damage in check_store(path, N, lambda _: None).damages] == [True]
        assert {each.name: each.read_bytes() for each in path.iterdir()} == before


@pytest.mark.parametrize("kind", [0, 1, 4, *RECYCLED, 9, 12, 131, 255])
def test_only_types_of_recycled_logs_are_refused_behind_a_manifest(crashed: Crashed, tmp_path: Path, kind: int) -> None:
    path = crashed.copy(tmp_path / "s")
    file = path / (path / "CURRENT").read_text().strip()
    with file.open("ab") as opened:
        opened.write(bytes((1, 2, 3, 4, 9, 0, kind)) + bytes(20))
    if kind in RECYCLED:
        with pytest.raises(StoreError, match="never written"):
            check_log_records(path)
    else:
        check_log_records(path)


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with several blocks of log, as a crash leaves it."""
    home = tmp_path_factory.mktemp("long")
    writer = Writer(home / "live", 4)
    writer.epochs(25)
    crash_image(home / "live", home / "image")
    writer.store.close()
    return home / "image"


@pytest.mark.slow
def test_it_refuses_just_where_rocksdb_does_not_come_back(long_log: Path, tmp_path: Path) -> None:
    log = named(long_log, "*.log")
    places = types(log)
    assert log.stat().st_size > 4 * (32 << 10)
    first = next(at for at in places if at > 32 << 10)
    changes: dict[str, list[tuple[int, int]]] = {
        "first of all": [(places[0], 5)],
        "second": [(places[1], 5)],
        "last": [(places[-1], 11)],
        "in another block": [(first, 7)],
        "behind a damage in its block": [(places[1] + 9, 77), (places[2], 5)],
        "next after a damage": [(places[-2] + 9, 77), (places[-1], 6)],
        "far behind a damage": [(places[1] + 9, 77), (places[-1], 5)],
    }
    for what, bytes_set in changes.items():
        path = tmp_path / what.replace(" ", "-")
        subprocess.run(["cp", "-r", long_log, path], check=True)
        for at, value in bytes_set:
            set_byte(path / log.name, at, value)
        try:
            check_log_records(path)
        except StoreError:
            assert opens(path) is None, what
        else:
            assert opens(path) is not None, what


def test_a_torn_log_is_left_to_rocksdb(long_log: Path, tmp_path: Path) -> None:
    log = named(long_log, "*.log")
    at = types(log)[-1] - 6
    for number, tail in enumerate((b"", b"\1\2\3", bytes(7000), bytes((1, 2, 3, 4, 255, 255, 1)), bytes(70_000))):
        path = tmp_path / str(number)
        subprocess.run(["cp", "-r", long_log, path], check=True)
        os.truncate(path / log.name, at)
        with (path / log.name).open("ab") as opened:
            opened.write(tail)
        check_log_records(path)
    subprocess.run(["cp", "-r", long_log, tmp_path / "garbage"], check=True)
    garbage = tmp_path / "garbage" / log.name
    os.truncate(garbage, at)
    with garbage.open("ab") as opened:  # does not fit its checksum, so what follows is not read, whatever it says
        opened.write(bytes((1, 2, 3, 4, 2, 0, 1, 9, 9)) + bytes((1, 2, 3, 4, 2, 0, 5, 9, 9)))
    check_log_records(tmp_path / "garbage")
    Rdict(str(tmp_path / "garbage"), Options(raw_mode=True)).close()


def test_a_store_without_files_or_with_others_is_left_to_rocksdb(tmp_path: Path) -> None:
    check_log_records(tmp_path / "none")
    (tmp_path / "000001.log").mkdir()
    for current in (b"\xff", b"", b"MANIFEST-\0\n", b"MANIFEST-1\n"):
        (tmp_path / "CURRENT").write_bytes(current)
        check_log_records(tmp_path)
