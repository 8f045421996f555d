"""What the system refuses is not taken for damage: whoever follows the advice loses nothing."""

import errno
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from store_history import open_store

from state.store.layout import WAY_OUT, StoreError
from state.store.rocks import reading, way_out
from state.store.seed_store import Changes, ItemRecord

_FEW_FILES = """
import errno, os, resource, sys
from pathlib import Path
from state.store.seed_store import SeedStore, StoreError
path, room = Path(sys.argv[1]), int(sys.argv[2])
limit = len(os.listdir("/proc/self/fd")) - 1 + room
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
try:
    store = SeedStore.open(path, topic="clicks", partition=0, capacity=100)
    print("opened", store.meta.position)
    store.close()
except StoreError as error:
    print(error)
except OSError as error:  # before RocksDB is asked; the console script says what to do
    assert error.errno == errno.EMFILE
    print("system")
"""


def test_too_few_files_that_may_be_open_are_said_and_more_of_them_bring_all_back(tmp_path: Path) -> None:
    path = tmp_path / "00000"
    store = open_store(path, partition=0)
    store.write(Changes(), position=5, resume=5)
    store.close()
    said = []
    for room in range(12):
        command = [sys.executable, "-c", _FEW_FILES, str(path), str(room)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd())
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.strip())
    assert said[-1] == "opened 5", "which is what the advice says to do"
    refused = [each for each in said if not each.startswith(("opened", "system"))]
    assert refused
    for each in refused:
        assert "Too many open files" in each
        assert "ulimit -n" in each
        assert "Move" not in each


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOSPC, "Make room"),
        (errno.EDQUOT, "Make room"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EACCES, "Run as the user"),
        (errno.EROFS, "Mount the disk"),
        (errno.ENOMEM, "more memory"),
        (errno.EIO, "dmesg"),
    ],
)
def test_each_refusal_has_advice_that_keeps_the_store(number: int, words: str, tmp_path: Path) -> None:
    def read() -> None:
        raise OSError(f"IO error: While open a file: {tmp_path}/000012.sst: {os.strerror(number)}")

    with pytest.raises(StoreError, match=words) as caught:
        reading(tmp_path, read)
    assert WAY_OUT not in str(caught.value)


_NO_ROOM = """
import resource, sys
from pathlib import Path
from state.store.seed_store import Changes, ItemRecord, SeedStore, StoreError
store = SeedStore.open(Path(sys.argv[1]), topic="clicks", partition=0, capacity=100)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    for position in range(6, 60):
        store.write(Changes(items={f"item-{position}-{n}": ItemRecord(5, 1) for n in range(9)}), position=position)
except StoreError as error:
    print(position, error)
"""


def test_a_limit_of_length_is_said_and_a_higher_one_brings_back_all_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "00000"
    open_store(path, partition=0).close()
    done = subprocess.run(
        [sys.executable, "-c", _NO_ROOM, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    position, _, said = done.stdout.partition(" ")
    assert "refuses a write" in said
    assert "ulimit -f, LimitFSIZE) and start again: nothing is lost" in said
    store = open_store(path, partition=0)  # there is no limit any more
    assert store.position == int(position) - 1
    assert len(list(store.items())) == 9 * (store.position - 5)
    store.close()


def test_a_directory_that_is_gone_is_not_to_be_moved_away(tmp_path: Path) -> None:
    """Removed, or unmounted, under a flow: the advice for damage would speak of what is not there."""
    path = tmp_path / "00000"
    store = open_store(path, partition=0)
    store.write(Changes(), position=5, resume=5)
    shutil.rmtree(path)
    with pytest.raises(StoreError, match="That directory is not there any more") as caught:
        store.write(Changes(items={"i": ItemRecord(5, 1)}), position=6)
    assert WAY_OUT not in str(caught.value)
    assert "`ralm state restore BACKUP --partition N`" in str(caught.value)
    with suppress(StoreError):
        store.close()
    again = open_store(path, partition=0)  # which is what the advice says to do
    assert again.position == 0
    again.close()


def test_a_store_of_a_newer_version_is_not_given_up(tmp_path: Path) -> None:
    path = tmp_path / "00000"
    store = open_store(path, partition=0)
    store.write(Changes(items={f"item-{n}": ItemRecord(5, 1) for n in range(99)}), position=5, resume=5)
    store.compact()
    store.close()
    before = {file: file.read_bytes() for file in path.glob("*.sst")}
    for file, content in before.items():
        file.write_bytes(content[:-12] + (99).to_bytes(4, "little") + content[-8:])
    with pytest.raises(StoreError, match=r"unsupported.*If a newer version of this program has run here, run that one"):
        open_store(path, partition=0)
    for file, content in before.items():  # that one can read it
        file.write_bytes(content)
    store = open_store(path, partition=0)
    assert (store.position, len(list(store.items()))) == (5, 99)
    store.close()


@pytest.mark.parametrize("words", ["unable to start watchdog thread", "can't start new thread"])
def test_too_few_threads_are_no_damage(words: str, tmp_path: Path) -> None:
    def start() -> None:
        raise RuntimeError(words)

    with pytest.raises(StoreError, match="ulimit -u") as caught:
        reading(tmp_path, start)
    assert WAY_OUT not in str(caught.value)


def test_damage_is_damage() -> None:
    assert way_out("Corruption: block checksum mismatch") == WAY_OUT
