"""Files that are there whole or not at all, whatever comes between; and what else a file on the disk needs."""

import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LEFT_S = 86_400
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file that takes its place, on the disk and with its name, only once it is whole.

    Args:
        path: the file; its directory must exist. What is there stays until then, and when the block raises.

    Yields:
        An empty file beside it, to be written; nothing of it is left when the block raises. It has the mode that the
        umask says, whatever mode a library that writes it would choose.

    Raises:
        OSError: when it cannot be written.
    """
    remove_left_behind(path.parent, unused_names(path))
    work = unused_name(path)
    opened = os.open(work, _EXCLUSIVE, 0o666)
    mode = os.fstat(opened).st_mode & 0o777
    os.close(opened)
    try:
        yield work
        sync(work)
        work.chmod(mode)
        os.replace(work, path)
    except BaseException:
        with suppress(OSError):
            work.unlink()
        raise
    sync(path.parent)


def unused_name(path: Path) -> Path:
    """A hidden name beside a path that nobody else uses, for work that is then renamed to it.

    ``tempfile`` would make it for its owner alone, whatever the umask; this makes nothing.
    """
    return path.with_name(f".{path.name}-{secrets.token_hex(6)}")


def unused_names(path: Path) -> str:
    """The pattern of all names that ``unused_name`` may make."""
    return f".{glob.escape(path.name)}-{'[0-9a-f]' * 12}"


def remove_left_behind(folder: Path, pattern: str, clock: Callable[[], float] | None = None) -> None:
    """Remove files and folders that a process which was killed has left: nobody has written in them for a day.

    Args:
        folder: where they lie.
        pattern: of their names.
        clock: seconds since the epoch; None is the clock that gives files in this folder their times. This machine's
            own may be another, or have been set since: by it what somebody works on could be days old.
    """
    found = list(folder.glob(pattern))
    if not found:
        return
    try:
        oldest = (_time_of_files(folder) if clock is None else clock()) - _LEFT_S
    except OSError:  # where nothing can be made, nothing can be removed
        return
    for path in found:
        with suppress(OSError):  # another process removes it too, or it is another user's
            inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
            if max(each.lstat().st_mtime for each in (path, *inside)) > oldest:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def _time_of_files(folder: Path) -> float:
    """When a file is made now by the clock of the folder's file system, seconds since the epoch.

    Raises:
        OSError: when none can be made.
    """
    probe = unused_name(folder / "probe")
    opened = os.open(probe, _EXCLUSIVE, 0o600)
    try:
        return os.fstat(opened).st_mtime
    finally:
        os.close(opened)
        probe.unlink()


def make_writable(folder: Path) -> None:
    """Make a folder, and see that files can be made in it: before the long work whose outcome goes there.

    Raises:
        OSError: when they cannot; names the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = unused_name(folder / "probe")
    try:
        os.close(os.open(probe, _EXCLUSIVE, 0o666))
    except OSError as error:
        error.filename = str(folder)
        raise
    probe.unlink()


def sync(path: Path) -> None:
    """Have a file, or what a folder names, on the disk.

    Raises:
        OSError: when the disk fails.
    """
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal.

    Raises:
        OSError: when it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
