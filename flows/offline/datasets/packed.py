"""Unfolds what files are packed in: gzip, bzip2, xz, and the tables within a zip file."""

import bz2
import gzip
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

from flows.support.errors import RalmError

FOLDED = (".gz", ".bz2", ".xz")
"""Endings that say only how one file is kept."""
ZIP = ".zip"
_MARKS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
)
_DAMAGED = (EOFError, zlib.error, lzma.LZMAError, ValueError, BadZipFile, NotImplementedError, RuntimeError)


def without_fold(name: str) -> str:
    """A file's name without the ending that says only how it is kept.

    >>> without_fold("events.csv.gz"), without_fold("Events.JSONL"), without_fold("a.csv.XZ")
    ('events.csv', 'Events.JSONL', 'a.csv')
    """
    return next((name[: -len(end)] for end in FOLDED if name.lower().endswith(end)), name)


def unfolded(path: Path) -> bytes:
    """The bytes of a file, or of a file within a zip file (``archive.zip/events.csv``), unfolded.

    Raises:
        OSError: when the system refuses to read it.
        RalmError: when it is damaged.
    """
    archive = archive_of(path)
    try:
        content = path.read_bytes() if archive is None else _member(archive, path)
        for mark, unfold in _MARKS:
            if content.startswith(mark):
                return unfold(content)
        if path.suffix.lower() == ".gz":
            return gzip.decompress(content)
    except gzip.BadGzipFile as error:
        msg = f"{path} cannot be read: {error}"
        raise RalmError(msg) from error
    except _DAMAGED as error:
        msg = f"{path} cannot be read: it is damaged, or was cut off ({error})"
        raise RalmError(msg) from error
    except OSError as error:
        if error.errno is not None:
            raise
        msg = f"{path} cannot be read: it is damaged, or was cut off ({error})"  # as bz2 says it
        raise RalmError(msg) from error
    return content


def archive_of(path: Path) -> Path | None:
    """The zip file that a file lies within; None if it lies in a folder."""
    for parent in path.parents:
        if parent.suffix.lower() == ZIP:
            return parent if parent.is_file() else None
    return None


def members(archive: Path) -> list[Path]:
    """The files within a zip file, as paths below it, in the order of their names; what programs hide is left out.

    Raises:
        RalmError: when it is damaged.
    """
    try:
        with ZipFile(archive) as opened:
            names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
    except OSError as error:
        msg = f"{archive} cannot be read: {error.strerror or error}"
        raise RalmError(msg) from error
    except _DAMAGED as error:
        msg = f"{archive.name} cannot be read: it is damaged, or was cut off ({error})"
        raise RalmError(msg) from error
    return sorted(archive / name for name in names if not any(part.startswith((".", "_")) for part in Path(name).parts))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip file with tables in it, and no workbook."""
    return path.suffix.lower() == ZIP and path.is_file() and is_zipfile(path)


def _member(archive: Path, path: Path) -> bytes:
    name = path.relative_to(archive).as_posix()
    with ZipFile(archive) as opened:
        try:
            return opened.read(name)
        except KeyError:
            msg = f"{archive.name} has no file {name}"
            raise RalmError(msg) from None
