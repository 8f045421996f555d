"""One owner per state directory, and the second is told who holds it."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from state.owner_lock import OwnedElsewhereError, OwnerLock, file_lock, owners


def test_the_second_owner_is_told_who_holds_it(tmp_path: Path) -> None:
    with OwnerLock(tmp_path, 0, "look-alike"):
        with pytest.raises(OwnedElsewhereError, match=rf'"pid": {os.getpid()}.*"flow": "look-alike"'):
            OwnerLock(tmp_path, 0, "seeds").__enter__()
        with OwnerLock(tmp_path, 1, "look-alike"):
            pass
    with OwnerLock(tmp_path, 0, "seeds"):
        pass


def test_a_killed_owner_lets_go(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from state.owner_lock import OwnerLock\n"
        "lock = OwnerLock(pathlib.Path(sys.argv[1]), 0, 'x'); lock.__enter__(); print('held', flush=True)\n"
        "sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "held\n"
    with pytest.raises(OwnedElsewhereError):
        OwnerLock(tmp_path, 0, "x").__enter__()
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    with OwnerLock(tmp_path, 0, "x"):
        pass


def test_owners_are_named_while_they_live(tmp_path: Path) -> None:
    assert owners(tmp_path / "nowhere") == []
    with OwnerLock(tmp_path, 0, "look-alike"), OwnerLock(tmp_path, 2, "seeds"):
        assert [json.loads(who)["flow"] for who in owners(tmp_path)] == ["look-alike", "seeds"]
        assert len(owners(tmp_path)) == 2
    assert owners(tmp_path) == []


def test_a_directory_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OwnedElsewhereError, match="cannot be used"):
        OwnerLock(tmp_path / "file" / "state", 0, "x").__enter__()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO])
def test_a_disk_that_cannot_lock_is_told_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with OwnerLock(tmp_path, 0, "x"):
        monkeypatch.setattr(fcntl, "flock", fail)
        open_files = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OwnedElsewhereError, match=r"cannot be had: .*process-0\.lock cannot be locked.*local"):
            OwnerLock(tmp_path, 0, "x").__enter__()
        with pytest.raises(OwnedElsewhereError, match=r"cannot determine .*process-0\.lock cannot be locked"):
            owners(tmp_path)
        assert len(os.listdir("/proc/self/fd")) == open_files


def test_a_lock_file_has_one_holder_at_a_time(tmp_path: Path) -> None:
    with file_lock(tmp_path / "lock"), pytest.raises(BlockingIOError):
        file_lock(tmp_path / "lock", wait=False).__enter__()
    with file_lock(tmp_path / "lock", wait=False):
        pass
