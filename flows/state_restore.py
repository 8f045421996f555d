"""``ralm state restore``: puts a backup in place as a state directory, whole or refused until it is done again.

A file ``restoring`` lies in the directory from before the first file of the backup until all of them are on the disk.
Whatever opens the directory meanwhile refuses it; a restore that was cut off is done again over what it left.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from flows.recovery.backup_note import check_note
from flows.seed_sets.repartition import GROWN
from flows.state_backup import refuse_damage
from flows.support.errors import RalmError
from state.owner_lock import OwnedElsewhereError, OwnerLock, owners
from state.state_dir import recovery_folders, store_paths
from state.state_format import NAME as FORMAT_NAME
from state.state_format import RESTORING, begin_restoring, end_restoring, write_format
from state.store_layout import StoreError
from state.whole_file import sync, write_whole

_FOLDERS = ("seeds", "recovery")


def restore(source: Path, state_dir: Path, capacity: int, progress: Callable[[str], None]) -> None:
    """Put a backup in place as a state directory; verifies it first.

    Args:
        source: the backup, or a copy of a drained state directory.
        state_dir: the state directory; must not exist or be empty but for lock files and what a restore left.
        capacity: N, the most seeds of an item.
        progress: told what is done.

    Raises:
        RalmError: when a flow holds either directory, this one is not empty, or the backup is damaged.
    """
    try:
        _refuse_in_use(state_dir, "stop it first")
        _refuse_in_use(source, "such a copy is none; `ralm state backup` makes one beside a flow")
        _refuse_if_full(state_dir)
        if state_dir.resolve().is_relative_to(source.resolve()):
            msg = f"{state_dir} lies in the backup {source}: restore to another place"
            raise RalmError(msg)
        progress(f"verifying {source}")
        _verify(source, capacity)
        with OwnerLock(state_dir, 0, "restore"):
            _refuse_if_full(state_dir)
            begin_restoring(state_dir)
            _copy_all(source, state_dir, progress)
            if (source / GROWN).exists():
                write_whole(state_dir / GROWN, (source / GROWN).read_text())
            _refuse_in_use(source, "it was started meanwhile, so this copy is none")
            write_format(state_dir)
            end_restoring(state_dir)
    except (OwnedElsewhereError, StoreError) as error:
        raise RalmError(str(error)) from error
    except OSError as error:  # shutil.Error, of all files that could not be copied, is one
        msg = (
            f"{state_dir} could not be restored: {error}. Once that is mended, restore again: what this one left is "
            "restored over, and refused until then."
        )
        raise RalmError(msg) from error


def _verify(source: Path, capacity: int) -> None:
    noted = check_note(source)
    found = refuse_damage(source, capacity, f"the backup in {source} is damaged, and nothing was restored")
    if noted is not None and noted != found:
        msg = (
            f"the backup in {source} is damaged, and nothing was restored: its stores are at {found}, and were written "
            f"at {noted} (partition: position)"
        )
        raise RalmError(msg)


def _copy_all(source: Path, state_dir: Path, progress: Callable[[str], None]) -> None:
    (state_dir / FORMAT_NAME).unlink(missing_ok=True)
    for name, folders in zip(_FOLDERS, (store_paths(source).values(), recovery_folders(source)), strict=True):
        if (state_dir / name).exists():
            shutil.rmtree(state_dir / name)
        progress(f"copying {name}")
        (state_dir / name).mkdir()
        for folder in folders:
            shutil.copytree(folder, state_dir / name / folder.name)
        for copied in (*(state_dir / name).rglob("*"), state_dir / name):
            sync(copied)


def _refuse_in_use(path: Path, advice: str) -> None:
    held = owners(path)
    if held:
        msg = f"a flow is running on {path} ({'; '.join(held)}): {advice}"
        raise RalmError(msg)


def _refuse_if_full(state_dir: Path) -> None:
    there = sorted(file.name for file in state_dir.iterdir()) if state_dir.is_dir() else []
    ours = (RESTORING, FORMAT_NAME, GROWN, *_FOLDERS) if RESTORING in there else ()
    if any(not name.endswith(".lock") and not name.startswith(f".{FORMAT_NAME}-") for name in {*there} - {*ours}):
        msg = f"{state_dir} is not empty ({', '.join(there[:5])}): move it away first, nothing is overwritten"
        raise RalmError(msg)
