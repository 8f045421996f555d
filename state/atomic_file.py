"""A small file that is written whole or not at all, whatever comes between."""

import os
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile


def write_whole(path: Path, text: str) -> None:
    """Put a file in place of the one that may be there; on the disk, with its name, when this returns.

    Args:
        path: the file; its directory must exist.
        text: what it is to hold.

    Raises:
        OSError: when it cannot be written; what was there is still there, and nothing is left beside it.
    """
    with NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        work = Path(file.name)
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
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
