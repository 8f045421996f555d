"""A file is there whole or as it was."""

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from state.atomic_file import atomic_write, file_sha256, make_writable, remove_left_behind, unused_name, unused_names


def write(path: Path, text: str) -> None:
    with atomic_write(path) as work:
        work.write_text(text)


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_a_file_is_replaced_and_may_be_read_by_whom_the_umask_says(
    tmp_path: Path, under: Callable[[int], object], umask: int
) -> None:
    under(umask)
    for text in ("one", "two"):
        write(tmp_path / "mark", text)
        assert (tmp_path / "mark").read_text() == text
    assert (tmp_path / "mark").stat().st_mode & 0o777 == 0o666 & ~umask
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write(tmp_path / "mark", "one")
    monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "mark", "two")
    assert (tmp_path / "mark").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_a_block_that_raises_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "mark", "one")

    def half() -> None:
        with atomic_write(tmp_path / "mark") as work:
            work.write_text("tw")
            assert (tmp_path / "mark").read_text() == "one"
            raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        half()
    assert (tmp_path / "mark").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_a_library_that_makes_the_file_for_its_owner_alone_does_not_decide(
    tmp_path: Path, under: Callable[[int], object]
) -> None:
    under(0o022)
    with atomic_write(tmp_path / "mark") as work:
        work.unlink()
        os.close(os.open(work, os.O_WRONLY | os.O_CREAT, 0o600))
    assert (tmp_path / "mark").stat().st_mode & 0o777 == 0o644


def test_a_files_sha256_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 100_000)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(b"x" * 100_000).hexdigest()


def test_what_a_killed_process_left_is_removed_a_day_later_and_nothing_else(tmp_path: Path) -> None:
    mark = tmp_path / "mark [1]"
    write(mark, "one")
    (tmp_path / ".mark [1]-notes").write_text("mine")
    left = [unused_name(mark), unused_name(mark)]
    left[0].write_text("half")
    (left[1] / "deep").mkdir(parents=True)
    (left[1] / "deep" / "vectors").write_text("half")
    now = left[0].stat().st_mtime
    remove_left_behind(tmp_path, unused_names(mark), lambda: now + 80_000)
    assert all(path.exists() for path in left)
    os.utime(left[1], (1, 1))  # what lies in it is newer
    remove_left_behind(tmp_path, unused_names(mark), lambda: now + 80_000)
    assert all(path.exists() for path in left)
    remove_left_behind(tmp_path, unused_names(mark), lambda: now + 90_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mark [1]-notes", "mark [1]"]


def test_a_clock_that_is_days_ahead_removes_nothing_that_is_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the clock was set after the start, or files get their times from another machine."""
    mark, now = tmp_path / "mark", time.time()
    half = unused_name(mark)
    half.write_text("half")
    monkeypatch.setattr(time, "time", lambda: now + 10_000_000)
    remove_left_behind(tmp_path, unused_names(mark))
    assert list(tmp_path.iterdir()) == [half]


def test_a_write_that_was_killed_leaves_nothing_for_ever(tmp_path: Path) -> None:
    half = unused_name(tmp_path / "mark")
    half.write_text("half")
    os.utime(half, (1, 1))
    write(tmp_path / "mark", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


def test_a_folder_is_tried_before_the_work_whose_outcome_goes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_writable(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []

    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=r"Read-only file system: '.*/a/b'"):
        make_writable(tmp_path / "a" / "b")
