"""Reads the engine's SQLite files and leaves them, and what lies beside them, as they are.

SQLite itself is not so careful: whoever opens a file that has a log beside it (``-wal``) makes or rewrites its index
(``-shm``), and a log beside an empty file is removed. So where no engine runs, a copy is read.
"""

import errno
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

from flows.support.errors import RalmError

Rows: TypeAlias = list[tuple[Any, ...]]

TABLES = {
    "parts": "part_index, part_count",
    "exs": "ex_num, worker_count, resume_epoch",
    "fronts": "ex_num, worker_index, worker_frontier",
    "commits": "part_index, commit_epoch",
    "snaps": "step_id, state_key, snap_epoch, ser_change",
}
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def read_tables(file: Path, *, running: bool) -> dict[str, Rows]:
    """What is in a recovery file, by table.

    Args:
        file: the file.
        running: whether an engine writes to it.

    Raises:
        sqlite3.Error: when it cannot be read.
        OSError: likewise.
        RalmError: when there is no room for a copy.
        ValueError: when it is damaged.
    """
    with _opened(file, running=running) as connection:
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
        if said != ["ok"]:
            raise ValueError("; ".join(" ".join(words.split()) for words in said))
        tables = {
            name: connection.execute(f"SELECT {columns} FROM {name}").fetchall()  # noqa: S608 (our own names)
            for name, columns in TABLES.items()
        }
    numbers = [number for name in TABLES if name != "snaps" for row in tables[name] for number in row]
    numbers += [epoch for _, _, epoch, _ in tables["snaps"]]
    if not all(type(number) is int and number >= 0 for number in numbers):
        msg = "a number in it is none"
        raise ValueError(msg)
    return tables


def connect(file: Path) -> sqlite3.Connection:
    """Open a recovery file to read; of what lies beside it, SQLite may make the ``-shm`` anew.

    Raises:
        sqlite3.Error: when it cannot be opened, or SQLite would remove its log.
    """
    # Without a log beside it nobody writes, and SQLite need not make files of its own to read it.
    how = "mode=ro" if _has_log(file) else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=10.0)
    connection.text_factory = lambda data: data.decode(errors="replace")
    return connection


@contextmanager
def _opened(file: Path, *, running: bool) -> Iterator[sqlite3.Connection]:
    if running or not _has_log(file):
        with closing(connect(file)) as connection:
            yield connection
        return
    with _scratch() as folder:
        try:
            shutil.copyfile(file, folder / file.name)
            shutil.copyfile(_log(file), _log(folder / file.name))
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise _no_scratch(error) from error
            raise
        with closing(connect(folder / file.name)) as connection:
            yield connection


@contextmanager
def _scratch() -> Iterator[Path]:
    try:
        folder = TemporaryDirectory(prefix="ralm-recovery-")
    except OSError as error:
        raise _no_scratch(error) from error
    with folder as path:
        yield Path(path)


def _no_scratch(error: OSError) -> RalmError:
    return RalmError(
        f"there is no room for a copy of a recovery file in the system's temporary directory: {error}. Make room, or "
        "name another directory in TMPDIR."
    )


def _log(file: Path) -> Path:
    return file.with_name(file.name + "-wal")


def _has_log(file: Path) -> bool:
    log = _log(file)
    if not log.exists() or not log.stat().st_size:
        return False
    if not file.stat().st_size:
        # SQLite removes such a log, even when it only reads.
        msg = f"it is empty, and the log beside it, {log.name}, is not"
        raise sqlite3.DatabaseError(msg)
    return True
