"""Files that are there whole or not at all, whatever comes between; and what else a file on the disk needs."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file that takes its place, on the disk and with its name, only once it is whole.

    Args:
        path: the file; its directory must exist. What is there stays until then, and when the block raises.

    Yields:
        An empty file beside it, to be written; nothing of it is left when the block raises.

    Raises:
        OSError: when it cannot be written.
    """
    opened, name = mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(opened)
    work = Path(name)
    try:
        yield work
        sync(work)
        work.chmod(0o644)
        os.replace(work, path)
    except BaseException:
        with suppress(OSError):
            work.unlink()
        raise
    sync(path.parent)


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
