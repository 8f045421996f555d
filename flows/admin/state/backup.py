"""Back up a state directory into a copy that can be restored, and restore it: each store is whole by itself."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from flows.admin.state.verify import StateVerifier, no_backup, no_stores
from flows.support.errors import RalmError
from state.atomic_file import remove_left_behind, sync
from state.directory import NAME as FORMAT_NAME
from state.directory import (
    RESTORING,
    STORES,
    backup_positions,
    begin_restoring,
    check_format,
    end_restoring,
    moved_positions,
    partition_counts,
    refuse_cut_off,
    store_path,
    store_paths,
    write_format,
)
from state.owner_lock import OwnedElsewhereError, OwnerLock, owners
from state.store.copy import copy_store
from state.store.layout import StoreError

_WORK = "-ralm-backup-"
_NO_COPY = "a copy of it is not a valid backup; `ralm state backup DIRECTORY` makes one beside a flow"
_NOT_VALID = "it was started meanwhile, so this copy is not valid"
_OURS = re.compile(r".*\.lock|process-\d+\.drains|lost\+found|\.format\.json-.*")
"""What an empty state directory may hold: locks, the count of drains, and what a disk has at its root."""


def backup(state_dir: Path, target: Path, capacity: int, progress: Callable[[str], None]) -> None:
    """Back a state directory up, whole or not at all; a flow may be running on it.

    Args:
        state_dir: the directory; nothing in it is changed.
        target: where the backup is to lie; must not exist, or be empty.
        capacity: N, the most seeds of an item.
        progress: called with what is being done.

    Raises:
        RalmError: when something is damaged, or the backup cannot be written.
    """
    try:
        _refuse_target(state_dir, target)
        check_format(state_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_left_behind(target.parent, f".*{_WORK}*")  # each backup may have a name of its own
        with TemporaryDirectory(prefix=f".{target.name}{_WORK}", dir=target.parent) as made:
            work = Path(made) / "backup"
            work.mkdir()
            _copy_all(state_dir, work, progress)
            refuse_damage(work, capacity, "the backup is not usable")
            work.rename(target)
    except (StoreError, OSError) as error:
        msg = f"no backup was made: {error}"
        raise RalmError(msg) from error


def _copy_all(state_dir: Path, work: Path, progress: Callable[[str], None]) -> None:
    positions = {}
    for partition, path in store_paths(state_dir).items():
        progress(f"store {path.name}")
        meta = copy_store(path, work / STORES / path.name)
        if meta is not None:
            positions[partition] = meta.position
    if not positions:
        raise no_stores(state_dir)
    write_format(work, partitions=partition_counts(state_dir), backup=positions, moved=moved_positions(state_dir))


def _refuse_target(state_dir: Path, target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"{target} is not empty: choose a new directory for the backup"
        raise RalmError(msg)
    if target.is_mount():
        msg = f"{target} is where a disk is mounted, which no backup can be put in place of: name a new directory on it"
        raise RalmError(msg)
    if target.resolve().is_relative_to(state_dir.resolve()):
        msg = f"{target} is inside the state directory {state_dir}: choose a place outside it, best on another disk"
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
        RalmError: when anything is damaged.
    """
    verifier = StateVerifier(path, capacity)
    reports = list(verifier.run())
    found = [words for report in reports for words in report.store.damages] + verifier.damages
    if found:
        msg = f"{why}: {'; '.join(found)}"
        raise RalmError(msg)
    return {report.partition: report.store.meta.position for report in reports if report.store.meta is not None}


def restore(source: Path, state_dir: Path, capacity: int, progress: Callable[[str], None]) -> None:
    """Put a backup in place as a state directory; verifies it first.

    Args:
        source: the backup, or a copy of a drained state directory.
        state_dir: the state directory; must not exist or be empty but for lock files and what a restore left.
        capacity: N, the most seeds of an item.
        progress: called with what is being done.

    Raises:
        RalmError: when a flow holds either directory, this one is not empty, or the backup is damaged.
    """
    try:
        _refuse_in_use(state_dir, "stop it first")
        _refuse_in_use(source, _NO_COPY)
        _refuse_if_full(state_dir)
        if state_dir.resolve().is_relative_to(source.resolve()):
            msg = f"{state_dir} is inside the backup {source}: restore to another place"
            raise RalmError(msg)
        refuse_cut_off(source)
        if not store_paths(source):
            raise no_backup(source)
        progress(f"verifying {source}")
        _verify(source, capacity)
        with OwnerLock(state_dir, 0, "restore"):
            _refuse_if_full(state_dir)
            begin_restoring(state_dir)
            _copy_back(source, state_dir, progress)
            _refuse_in_use(source, _NOT_VALID)
            write_format(state_dir, partitions=partition_counts(source), moved=moved_positions(source))
            end_restoring(state_dir)
    except (OwnedElsewhereError, StoreError) as error:
        raise RalmError(str(error)) from error
    except OSError as error:  # shutil.Error, of all files that could not be copied, is one
        msg = (
            f"{state_dir} could not be restored: {error}. Once that is fixed, restore again: what this one left is "
            "restored over, and refused until then."
        )
        raise RalmError(msg) from error


def restore_store(
    source: Path, state_dir: Path, partition: int, capacity: int, progress: Callable[[str], None]
) -> Path:
    """Put the store of one partition back; the state directory's others stay as they are.

    Args:
        source: the backup, or a copy of a drained state directory.
        state_dir: the state directory; must not have the store.
        partition: of which partition.
        capacity: N, the most seeds of an item.
        progress: called with what is being done.

    Returns:
        Where it lies now.

    Raises:
        RalmError: when a flow holds either directory, the store is there, or the backup lacks it or is damaged.
    """
    try:
        _refuse_in_use(state_dir, "stop it first")
        _refuse_in_use(source, _NO_COPY)
        check_format(state_dir)
        there = store_paths(source).get(partition)
        if there is None:
            msg = f"the backup {source} has no store of partition {partition}"
            raise RalmError(msg)
        target = store_path(state_dir, partition)
        if target.exists():
            msg = f"{target} is there: move that directory away first, nothing is overwritten"
            raise RalmError(msg)
        progress(f"verifying {source}")
        _verify(source, capacity)
        with OwnerLock(state_dir, 0, "restore"):
            target.parent.mkdir(exist_ok=True)
            remove_left_behind(target.parent, f".*{_WORK}*")
            with TemporaryDirectory(prefix=f".{target.name}{_WORK}", dir=target.parent) as made:
                work = Path(made) / target.name
                progress(f"copying store {target.name}")
                _copy_synced(there, work)
                _refuse_in_use(source, _NOT_VALID)
                work.rename(target)
                sync(target.parent)
    except (OwnedElsewhereError, StoreError) as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = f"{state_dir} could not be given the store: {error}. Once that is fixed, restore again."
        raise RalmError(msg) from error
    return target


def _verify(source: Path, capacity: int) -> None:
    noted = backup_positions(source)
    found = refuse_damage(source, capacity, f"the backup in {source} is damaged, and nothing was restored")
    if noted is not None and noted != found:
        msg = (
            f"the backup in {source} is damaged, and nothing was restored: its stores are at {found}, and were written "
            f"at {noted} (partition: position)"
        )
        raise RalmError(msg)


def _copy_back(source: Path, state_dir: Path, progress: Callable[[str], None]) -> None:
    (state_dir / FORMAT_NAME).unlink(missing_ok=True)
    target = state_dir / STORES
    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    for path in store_paths(source).values():
        progress(f"copying store {path.name}")
        _copy_synced(path, target / path.name)
    sync(target)


def _copy_synced(path: Path, target: Path) -> None:
    shutil.copytree(path, target)
    for copied in (*target.rglob("*"), target):
        sync(copied)


def _refuse_in_use(path: Path, advice: str) -> None:
    held = owners(path)
    if held:
        msg = f"a flow is running on {path} ({'; '.join(held)}): {advice}"
        raise RalmError(msg)


def _refuse_if_full(state_dir: Path) -> None:
    there = sorted(file.name for file in state_dir.iterdir()) if state_dir.is_dir() else []
    ours = (RESTORING, FORMAT_NAME, STORES) if RESTORING in there else ()
    found = [name for name in there if name not in ours and not _OURS.fullmatch(name)]
    if found:
        msg = (
            f"{state_dir} is not empty ({', '.join(found[:5])}): move what it holds to another place first, nothing is "
            "overwritten"
        )
        raise RalmError(msg)
