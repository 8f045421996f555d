"""Unfolds what files are packed in: gzip, bzip2, xz, zstd, lz4, and the tables within a zip or a tar file.

Nothing is written to the disk, so that no name of a member leads anywhere; what is no plain file in a tar, such as a
link, is left out. What unfolds to more than memory holds is refused before it does.
"""

import bz2
import gzip
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import pyarrow as pa

from flows.support.errors import RalmError

FOLDED = (".gz", ".bz2", ".xz", ".zst", ".lz4")
"""Endings that say only how one file is kept."""
ZIP = ".zip"
TARS = (".tar", *(f".tar{end}" for end in FOLDED), ".tgz", ".tbz", ".tbz2", ".txz", ".tzst")
ARCHIVES = (ZIP, *TARS)
"""Endings of files with other files in them."""
_MARKS: dict[bytes, Callable[[bytes], Any]] = {
    b"\x1f\x8b": lambda content: gzip.GzipFile(fileobj=BytesIO(content)),
    b"BZh": lambda content: bz2.BZ2File(BytesIO(content)),
    b"\xfd7zXZ\x00": lambda content: lzma.LZMAFile(BytesIO(content)),  # noqa: SIM115 (its caller closes it)
    b"\x28\xb5\x2f\xfd": lambda content: pa.CompressedInputStream(pa.BufferReader(content), "zstd"),
    b"\x04\x22\x4d\x18": lambda content: pa.CompressedInputStream(pa.BufferReader(content), "lz4"),
}
"""What a folded file begins with, and what unfolds it."""
_DAMAGED = (
    *(EOFError, zlib.error, lzma.LZMAError, ValueError, BadZipFile, NotImplementedError, RuntimeError),
    *(tarfile.TarError, pa.ArrowException),
)
_AT_ONCE = 1 << 24
MOST_UNFOLDED = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
"""Bytes that a file may unfold to: half of the memory, as its rows take more than that again."""


def without_fold(name: str) -> str:
    """A file's name without the ending that says only how it is kept.

    >>> without_fold("events.csv.gz"), without_fold("Events.JSONL"), without_fold("a.csv.XZ")
    ('events.csv', 'Events.JSONL', 'a.csv')
    """
    return next((name[: -len(end)] for end in FOLDED if name.lower().endswith(end)), name)


def unfolded(path: Path) -> bytes:
    """The bytes of a file, or of a file within an archive (``archive.zip/events.csv``), unfolded.

    Raises:
        OSError: when the system refuses to read it.
        RalmError: when it is damaged, or unfolds to more than `MOST_UNFOLDED`.
    """
    archive = archive_of(path)
    try:
        content = path.read_bytes() if archive is None else _member(archive, path)
        return _unfold(path, content, always=path.suffix.lower() == ".gz")
    except gzip.BadGzipFile as error:
        msg = f"{path} cannot be read: {error}"
        raise RalmError(msg) from error
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(path, error) from error  # as bz2 says it, and Arrow


def archive_of(path: Path) -> Path | None:
    """The archive that a file lies within; None if it lies in a folder."""
    return next((parent for parent in path.parents if _is_called_archive(parent) and parent.is_file()), None)


def members(archive: Path) -> list[Path]:
    """The files within an archive, as paths below it, in the order of their names; what programs hide is left out.

    Raises:
        RalmError: when it is damaged.
    """
    try:
        names = _names_in(archive)
    except _DAMAGED as error:
        msg = f"{archive.name} cannot be read: it is damaged, or was cut off ({error})"
        raise RalmError(msg) from error
    except OSError as error:
        msg = f"{archive} cannot be read: {error.strerror or error}"
        raise RalmError(msg) from error
    paths = {archive / name.removeprefix("./"): Path(name).parts for name in names}
    return sorted(path for path, parts in paths.items() if not any(part.startswith((".", "_")) for part in parts))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip file with tables in it, and no workbook, or is called a tar file."""
    if not _is_called_archive(path) or not path.is_file():
        return False
    return path.suffix.lower() != ZIP or is_zipfile(path)


def _is_called_archive(path: Path) -> bool:
    return path.name.lower().endswith(ARCHIVES)


def _unfold(path: Path, content: bytes, *, always: bool = False) -> bytes:
    """The bytes that others stand for; ``always`` takes them for gzip even if they do not begin so."""
    opened = next((opened for mark, opened in _MARKS.items() if content.startswith(mark)), None)
    if opened is None and not always:
        return content
    with (opened or _MARKS[b"\x1f\x8b"])(content) as stream:
        parts, size = [], 0
        while part := stream.read(_AT_ONCE):
            parts.append(part)
            size += len(part)
            _refuse_large(path, size)
    return b"".join(parts)


def _refuse_large(path: Path, size: int) -> None:
    if size > MOST_UNFOLDED:
        msg = (
            f"{path.name} unfolds to more than {MOST_UNFOLDED / 1e9:.1f} GB, half of the memory here: bring a part of "
            "its rows"
        )
        raise RalmError(msg)


def _damaged(path: Path, error: Exception) -> RalmError:
    return RalmError(f"{path} cannot be read: it is damaged, or was cut off ({error})")


def _names_in(archive: Path) -> list[str]:
    if archive.suffix.lower() == ZIP:
        with ZipFile(archive) as opened:
            return [entry.filename for entry in opened.infolist() if not entry.is_dir()]
    return list(_tar(archive, archive.stat().st_mtime_ns))


def _member(archive: Path, path: Path) -> bytes:
    name = path.relative_to(archive).as_posix()
    try:
        if archive.suffix.lower() == ZIP:
            with ZipFile(archive) as opened:
                _refuse_large(path, opened.getinfo(name).file_size)
                return opened.read(name)
        return _tar(archive, archive.stat().st_mtime_ns)[name]
    except KeyError:
        msg = f"{archive.name} has no file {name}"
        raise RalmError(msg) from None


@lru_cache(maxsize=1)
def _tar(archive: Path, changed_ns: int) -> dict[str, bytes]:
    """The plain files of a tar file by their names, read once: its members can only be unfolded all together.

    A file that was changed, as its time says, is read anew.
    """
    content, found, size = _unfold(archive, archive.read_bytes()), {}, 0
    with tarfile.open(fileobj=BytesIO(content), mode="r:") as opened:
        for entry in opened:
            if entry.isreg() and ".." not in Path(entry.name).parts and not Path(entry.name).is_absolute():
                size += entry.size  # of a sparse file more than it has bytes
                _refuse_large(archive, size)
                stream = opened.extractfile(entry)
                found[entry.name.removeprefix("./")] = stream.read() if stream else b""
    return found
