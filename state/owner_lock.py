"""One owner per state directory: a lock file that says who holds it."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Self


class OwnedElsewhereError(Exception):
    """The state directory cannot be had: a process that is alive has it, or it cannot be written; says which."""


class OwnerLock:
    """Holds a state directory for one process of a flow; the kernel lets go when the process dies, however it dies.

    Args:
        state_dir: the directory, made if there is none.
        process_id: number of the process in its cluster; each holds its own lock.
        flow: the dataflow's name, for whoever finds the directory taken.
    """

    def __init__(self, state_dir: Path, process_id: int, flow: str) -> None:
        self._path = state_dir / f"process-{process_id}.lock"
        self._flow = flow
        self._file: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            OwnedElsewhereError: when another process has it, or there can be no lock file.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            msg = f"the state directory {self._path.parent} cannot be used: {error}"
            raise OwnedElsewhereError(msg) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = _words(file)
            os.close(file)
            raise OwnedElsewhereError(in_use(self._path.parent, who)) from None
        except OSError as error:
            os.close(file)
            msg = f"the state directory {self._path.parent} cannot be had: {_no_lock(self._path, error)}"
            raise OwnedElsewhereError(msg) from error
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "flow": self._flow,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with suppress(OSError):  # a full disk: the lock is the kernel's, the words are for people
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(holder).encode() + b"\n", 0)
        self._file = file
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


@contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock file; the kernel lets go when the process dies, however it dies.

    Args:
        path: the file, made if there is none.
        wait: whether to wait for another holder.

    Raises:
        BlockingIOError: when another process holds it and ``wait`` is off.
        OSError: when there can be no lock file.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def in_use(state_dir: Path, who: str) -> str:
    """What to say to whoever finds a state directory taken, and by whom, in the holder's own words."""
    return (
        f"{state_dir} is in use; its holder: {who}. Stop that process first. If this one is to run beside it: in the "
        "same cluster with another --process-id, else with a --state-dir and a --group-id of its own."
    )


def owners(state_dir: Path, process_id: int | None = None) -> list[str]:
    """Who holds a state directory now, as each holder describes itself; looks without taking anything.

    Args:
        state_dir: the directory.
        process_id: look only for the holder with this number in its cluster.

    Raises:
        OwnedElsewhereError: when that cannot be found out.
    """
    found = []
    for path in sorted(state_dir.glob(f"process-{'*' if process_id is None else process_id}.lock")):
        try:
            holder = _held_by(path)
        except PermissionError as error:
            advice = "Run as the user whom the files belong to."
            msg = f"cannot determine whether a flow is running on {state_dir}: {error}. {advice}"
            raise OwnedElsewhereError(msg) from error
        except OSError as error:
            msg = f"cannot determine whether a flow is running on {state_dir}: {_no_lock(path, error)}"
            raise OwnedElsewhereError(msg) from error
        if holder is not None:
            found.append(holder)
    return found


def _held_by(path: Path) -> str | None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _words(file)
    finally:
        os.close(file)
    return None


def _words(file: int) -> str:
    """What a holder wrote about itself."""
    with suppress(OSError):
        return os.read(file, 4096).decode(errors="replace").strip() or "unknown"
    return "unknown"


def _no_lock(path: Path, error: OSError) -> str:
    return (
        f"{path} cannot be locked ({error}). Look for a failing disk or one without locks, as some network disks are; "
        "a state directory belongs on a local one."
    )
