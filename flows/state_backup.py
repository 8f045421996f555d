"""``ralm state backup`` and ``restore``: a state directory as it was at one moment, also beside a running flow.

The order is the guarantee. First the recovery data, all files of it at one instant: the engine's writes wait for the
moment that takes. Then the stores, each as it is by then. So each store has at least what the recovery data says that
it has: ahead, never behind. What a flow finds after a restore is what it finds after a crash.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flows.errors import RalmError
from flows.recovery_sqlite import connect
from flows.state_verify import StateVerifier
from state.owner_lock import OwnedElsewhereError, OwnerLock, owners
from state.state_format import NAME as FORMAT_NAME
from state.state_format import check_format, mark_format
from state.store_copy import copy_store
from state.store_layout import StoreError

NOTE = "backup.json"
_LOCK_TIMEOUT_S = 10.0


def backup(state_dir: Path, target: Path, capacity: int, progress: Callable[[str], None]) -> None:
    """Back a state directory up, whole or not at all; a flow may be running on it.

    Args:
        state_dir: the directory; nothing in it is changed.
        target: where the backup is to lie; must not exist, or be empty.
        capacity: N, the most seeds of an item.
        progress: told what is done.

    Raises:
        RalmError: when something is damaged, or the backup cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} is not empty: name a new directory for the backup"
        raise RalmError(msg)
    try:
        check_format(state_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
            work = Path(made) / "backup"
            work.mkdir()
            _copy_all(state_dir, work, progress)
            _refuse_damage(work, capacity, "the backup is not usable")
            work.rename(target)
    except (StoreError, OSError, sqlite3.Error) as error:
        msg = f"no backup was made: {error}"
        raise RalmError(msg) from error


def restore(source: Path, state_dir: Path, capacity: int, progress: Callable[[str], None]) -> None:
    """Put a backup in place as a state directory; verifies it first.

    Args:
        source: the backup.
        state_dir: the state directory; must not exist or be empty but for lock files.
        capacity: N, the most seeds of an item.
        progress: told what is done.

    Raises:
        RalmError: when a flow holds the directory, it is not empty, or the backup is damaged.
    """
    held = owners(state_dir)
    if held:
        msg = f"a flow is running on {state_dir} ({'; '.join(held)}): stop it first"
        raise RalmError(msg)
    _refuse_if_full(state_dir)
    progress(f"verifying {source}")
    _check_hashes(source)
    _refuse_damage(source, capacity, f"the backup in {source} is damaged, and nothing was restored")
    try:
        with OwnerLock(state_dir, 0, "restore"):
            for folder in ("seeds", "recovery"):
                if (source / folder).is_dir():
                    progress(f"copying {folder}")
                    shutil.copytree(source / folder, state_dir / folder)
            # Last: without the mark, half a copy is refused.
            shutil.copy(source / FORMAT_NAME, state_dir / FORMAT_NAME)
    except OwnedElsewhereError as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = f"{state_dir} could not be restored: {error}. Remove what is there and restore again."
        raise RalmError(msg) from error


def _copy_all(state_dir: Path, work: Path, progress: Callable[[str], None]) -> None:
    began = datetime.now(UTC).isoformat(timespec="seconds")
    mark_format(work)
    for folder in sorted(state_dir.glob("recovery/*/")):
        progress(f"recovery data of {folder.name}")
        _copy_recovery(folder, work / "recovery" / folder.name)
    positions = {}
    for path in sorted(state_dir.glob("seeds/*/")):
        progress(f"store {path.name}")
        meta = copy_store(path, work / "seeds" / path.name)
        if meta is not None:
            positions[path.name] = meta.position
    if not positions and not (work / "recovery").exists():
        msg = f"there is nothing to back up in {state_dir}"
        raise RalmError(msg)
    files = sorted(work.glob("recovery/*/*.sqlite3"))
    note = {
        "began": began,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "positions": positions,
        "sha256": {str(file.relative_to(work)): _hash(file) for file in files},
    }
    (work / NOTE).write_text(json.dumps(note, indent=2) + "\n")


def _copy_recovery(folder: Path, target: Path) -> None:
    """All recovery files of a dataflow as they are at one instant."""
    target.mkdir(parents=True)
    files = sorted(folder.glob("part-*.sqlite3"))
    with _held_still(files, bool(owners(folder.parent.parent))):
        for file in files:
            with closing(connect(file)) as here, closing(sqlite3.connect(target / file.name)) as there:
                here.backup(there)
                # As it is to lie alone, without a log beside it.
                there.execute("PRAGMA journal_mode=DELETE")


@contextmanager
def _held_still(files: list[Path], running: bool) -> Iterator[None]:
    """Keep a running engine from writing: what it would write waits, for which it has seconds."""
    with ExitStack() as stack:
        for file in files if running else []:
            held = sqlite3.connect(file, timeout=_LOCK_TIMEOUT_S, isolation_level=None)
            stack.callback(held.close)
            held.execute("BEGIN IMMEDIATE")
        yield


def _refuse_if_full(state_dir: Path) -> None:
    there = sorted(file.name for file in state_dir.iterdir()) if state_dir.is_dir() else []
    if any(not name.endswith(".lock") for name in there):
        msg = f"{state_dir} is not empty ({', '.join(there[:5])}): move it away first, nothing is overwritten"
        raise RalmError(msg)


def _refuse_damage(path: Path, capacity: int, why: str) -> None:
    verifier = StateVerifier(path, capacity)
    reports = list(verifier.run())
    found = [words for report in reports for words in (*report.store.damages, *report.behind)] + verifier.damages
    if found:
        msg = f"{why}: {'; '.join(found)}"
        raise RalmError(msg)


def _check_hashes(source: Path) -> None:
    """See that the recovery files, which check less of themselves than the stores do, are as they were written."""
    if not (source / NOTE).exists():
        return  # a drained state directory that was simply copied
    try:
        hashes: dict[str, Any] = json.loads((source / NOTE).read_bytes())["sha256"]
        wrong = [name for name, expected in hashes.items() if _hash(source / name) != expected]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{source} is no whole backup: {NOTE} or a file that it names cannot be read ({error})"
        raise RalmError(msg) from error
    if wrong:
        msg = f"the backup in {source} is damaged, and nothing was restored: {', '.join(wrong)} changed since"
        raise RalmError(msg)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
