"""A small file is there whole or as it was."""

import errno
import os
from pathlib import Path

import pytest

from state.atomic_file import write_whole


def test_a_file_is_replaced_and_may_be_read_by_all(tmp_path: Path) -> None:
    for text in ("one", "two"):
        write_whole(tmp_path / "mark", text)
        assert (tmp_path / "mark").read_text() == text
    assert (tmp_path / "mark").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_whole(tmp_path / "mark", "one")
    monkeypatch.setattr(os, fails, full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "mark", "two")
    assert (tmp_path / "mark").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
