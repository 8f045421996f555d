"""``ralm state backup``: a state directory as it was at one moment, also beside a running flow.

The order is the guarantee. First the recovery data, all files of it at one instant: the engine's writes wait for the
moment that takes. Then the stores, each as it is by then. So each store has at least what the recovery data says that
it has: ahead, never behind. What a flow finds after a restore is what it finds after a crash.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.recovery.backup_note import write_note
from flows.recovery.recovery_sqlite import connect
from flows.seed_sets.repartition import GROWN
from flows.state_verify import StateVerifier
from flows.support.errors import RalmError
from state.owner_lock import OwnedElsewhereError, owners
from state.state_dir import recovery_folders, store_paths
from state.state_format import check_format, write_format
from state.store_copy import copy_store
from state.store_layout import StoreError

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
    try:
        _refuse_target(state_dir, target)
        check_format(state_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as made:
            work = Path(made) / "backup"
            work.mkdir()
            _copy_all(state_dir, work, progress)
            refuse_damage(work, capacity, "the backup is not usable")
            work.rename(target)
    except (StoreError, OwnedElsewhereError, OSError, sqlite3.Error) as error:
        msg = f"no backup was made: {error}"
        raise RalmError(msg) from error


def _copy_all(state_dir: Path, work: Path, progress: Callable[[str], None]) -> None:
    began = datetime.now(UTC)
    write_format(work, backup=True)
    for folder in recovery_folders(state_dir):
        progress(f"recovery data of {folder.name}")
        _copy_recovery(folder, work / "recovery" / folder.name)
    positions = {}
    for partition, path in store_paths(state_dir).items():
        progress(f"store {path.name}")
        meta = copy_store(path, work / "seeds" / path.name)
        if meta is not None:
            positions[partition] = meta.position
    if (state_dir / GROWN).exists():
        shutil.copyfile(state_dir / GROWN, work / GROWN)
    if not positions and not (work / "recovery").exists():
        msg = f"there is nothing to back up in {state_dir}"
        raise RalmError(msg)
    write_note(work, began, positions)


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


def _refuse_target(state_dir: Path, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} is not empty: name a new directory for the backup"
        raise RalmError(msg)
    if target.resolve().is_relative_to(state_dir.resolve()):
        msg = f"{target} lies in the state directory {state_dir}: name a place beside it, best on another disk"
        raise RalmError(msg)


def refuse_damage(path: Path, capacity: int, why: str) -> dict[int, int]:
    """Verify a backup.

    Args:
        path: the backup.
        capacity: N, the most seeds of an item.
        why: what is said before the damages.

    Returns:
        The stores' positions by partition.

    Raises:
        RalmError: when anything is damaged or behind.
    """
    verifier = StateVerifier(path, capacity)
    reports = list(verifier.run())
    found = [words for report in reports for words in (*report.store.damages, *report.behind)] + verifier.damages
    if found:
        msg = f"{why}: {'; '.join(found)}"
        raise RalmError(msg)
    return {report.partition: report.store.meta.position for report in reports if report.store.meta is not None}
