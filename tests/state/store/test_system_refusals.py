"""What the system refuses is not taken for damage: whoever follows the advice loses nothing."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from store_history import open_store

from state.store.layout import WAY_OUT, StoreError
from state.store.rocks import reading, way_out
from state.store.seed_store import Changes

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


def test_damage_is_damage() -> None:
    assert way_out("Corruption: block checksum mismatch") == WAY_OUT
