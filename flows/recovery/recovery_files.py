"""The engine's recovery files, read from outside: whether they are whole, and what they would resume from.

The engine keeps its progress and our snapshots in SQLite files, ``part-N.sqlite3``, and pickles the snapshots. SQLite
checks its own structure but not what is in a row, and the engine says little when a file is damaged. So they are read
here first, with nothing written and no pickle run: of a pickle only None, a whole number or bytes are understood.

Known of each file: ``parts`` (which of how many it is), ``exs`` (executions), ``fronts`` (how far each worker came),
``commits`` (older snapshots than this epoch are gone) and ``snaps`` (a snapshot for each step, key and epoch).
"""

import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.recovery.recovery_keepers import KINDS, STEP, decoded_keeper, late_keepers, positions_of
from flows.recovery.recovery_laws import FIRST_EPOCH, Tables, broken_laws, resume_epoch
from flows.recovery.recovery_pickles import Snapshot, unpickled
from flows.recovery.recovery_sqlite import Rows, read_tables
from flows.recovery.sealed import unseal
from flows.seed_sets.keeper_state import OperatorSnapshot
from flows.support.errors import RalmError
from state.directory import mark_format
from state.store.layout import StoreError

_TRIES = 10
_WAIT_S = 0.05
_WAY_OUT = (
    "Restore the state directory, stores and recovery data together, from a backup (`ralm state restore`). Or move the "
    "folder {} away: then all clicks and requests that the topics still have are read again; no seed set is changed by "
    "that, centroids are made anew, and requests are answered again."
)


@dataclass
class RecoveryData:
    """What recovery files hold.

    Attributes:
        epoch: what the engine would resume from; snapshots of earlier epochs count.
        snapshots: the newest that counts of each step (without the dataflow's name) and key.
        keepers: those of the seed sets, by key.
        damages: each damage in words.
    """

    epoch: int = FIRST_EPOCH
    snapshots: dict[tuple[str, str], Snapshot] = field(default_factory=dict)
    keepers: dict[str, OperatorSnapshot] = field(default_factory=dict, compare=False)
    damages: list[str] = field(default_factory=list)


def check_recovery(path: Path) -> None:
    """See that the engine can resume from recovery files, before it is started.

    Args:
        path: their folder; one that does not exist or is empty is as good as new.

    Raises:
        RalmError: when a file is missing or damaged, or they do not belong together; says what to do.
    """
    known_partitions(path)


def known_partitions(path: Path) -> dict[str, set[int]]:
    """The Kafka partitions, by kind of topic, that recovery files know; none where there are no files.

    Raises:
        RalmError: as ``check_recovery`` does.
    """
    data = read_recovery(path)
    if data.damages:
        raise RalmError("; ".join(with_way_out(path, data.damages)))
    return {kind: set(positions) for kind in KINDS if (positions := source_positions(data, kind))}


def with_way_out(path: Path, damages: list[str]) -> list[str]:
    """Damages of recovery files, the last of them with what to do.

    Args:
        path: the files' folder.
        damages: in words.
    """
    return [*damages[:-1], *(f"{words}. {_WAY_OUT.format(path)}" for words in damages[-1:])]


def source_positions(data: RecoveryData, kind: str) -> dict[int, int | None]:
    """The next offset of each partition of a topic, as the source's snapshots have it.

    Raises:
        RalmError: when a snapshot is damaged; never where ``data.damages`` is empty.
    """
    return positions_of(data.snapshots, kind)


def read_recovery(path: Path, *, running: bool = False) -> RecoveryData:
    """Read all recovery files of a folder; a damage is told, never raised.

    Args:
        path: the folder.
        running: whether an engine writes to it; where none does, nothing in the folder is changed.

    Raises:
        RalmError: when there is no room for a copy of a file.
    """
    data = _read_once(path, running)
    for _ in range(_TRIES):
        before, data = data, _read_once(path, running)
        # The files are read one after the other: only where no epoch ended meanwhile do they belong together.
        if data == before:
            break
        time.sleep(_WAIT_S)
    return data


def open_state_dir(state_dir: Path, flow: str) -> dict[str, set[int]]:
    """What the owner of a state directory does before it starts the engine: check what is there, and mark it.

    Args:
        state_dir: the directory.
        flow: the dataflow's name.

    Returns:
        The Kafka partitions, by kind of topic, that the recovery data knows.

    Raises:
        RalmError: when it is of another format, cannot be used, its recovery data is damaged, or something else lies
            where that belongs; says what to do.
    """
    path = state_dir / "recovery" / flow
    try:
        mark_format(state_dir)
        (state_dir / "recovery").mkdir(exist_ok=True)
        _refuse_what_is_in_the_way(path)
        return known_partitions(path)
    except StoreError as error:
        raise RalmError(str(error)) from error
    except OSError as error:
        msg = (
            f"the state directory {state_dir} cannot be read or written: {error}. Look for a full or failing disk, or "
            "for files of another owner; once it is mended, start again: nothing is lost."
        )
        raise RalmError(msg) from error


def _refuse_what_is_in_the_way(path: Path) -> None:
    """The engine's files are put in place as a whole folder, which can only be where there is none or an empty one."""
    if path.is_dir():
        there = sorted(file.name for file in path.iterdir())
        if not there or any(name.startswith("part-") for name in there):
            return
        what = f"holds no recovery files, but {', '.join(there[:5])}"
    elif path.exists() or path.is_symlink():
        what = "is no folder"
    else:
        return
    msg = (
        f"{path}, where the engine's recovery files belong, {what}. If files are missing there: {_WAY_OUT.format(path)}"
    )
    raise RalmError(msg)


def _read_once(path: Path, running: bool) -> RecoveryData:
    data = RecoveryData()
    if not path.is_dir() or not any(path.iterdir()):
        return data
    files: dict[Path, dict[str, Rows]] = {}
    for file in sorted(path.glob("part-*.sqlite3")):
        try:
            files[file] = read_tables(file, running=running)
        except (sqlite3.Error, OSError, ValueError) as error:
            data.damages.append(f"the recovery file {file} is damaged: {error}")
    if files or any(file.name.startswith("part-") for file in path.iterdir()):
        data.epoch = resume_epoch(files)
        if not data.damages:
            data.damages += broken_laws(path, files)
        _take_snapshots(files, data)
    return data


def _take_snapshots(files: Tables, data: RecoveryData) -> None:
    newest: dict[tuple[str, str], tuple[int, Any, Path]] = {}
    for file, tables in files.items():
        for step, key, epoch, value in tables["snaps"]:
            place = (str(step).rpartition(".")[2], str(key))
            if epoch < data.epoch and (place not in newest or epoch >= newest[place][0]):
                newest[place] = (epoch, value, file)
    for (step, key), (_, value, file) in newest.items():
        try:
            found = data.snapshots[step, key] = None if value is None else unpickled(bytes(value))
            _check_snapshot(step, key, found, data)
        except RalmError:
            del data.snapshots[step, key]
            data.damages.append(f"the snapshot of {step} {key} in {file} does not fit its checksum")
        except (ValueError, TypeError) as error:
            data.damages.append(f"the snapshot of {step} {key} in {file} cannot be read: {error}")
    data.damages += late_keepers(data.snapshots, data.keepers, {place: file for place, (*_, file) in newest.items()})


def _check_snapshot(step: str, key: str, found: Snapshot, data: RecoveryData) -> None:
    if step in (*KINDS, STEP) and isinstance(found, bytes):
        unseal(found)
    keeper = decoded_keeper(found) if step == STEP else None
    if keeper is not None:
        data.keepers[key] = keeper
