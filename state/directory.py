"""The layout and format of a state directory: one folder a partition, the recovery data, ``format.json``."""

import json
import re
from pathlib import Path

from state.atomic_file import atomic_write, sync
from state.store.layout import STATE_FORMAT, StoreError, refusal_of_format
from state.store.rocks import holds_data

_STORE = re.compile(r"\d{5}")
NAME = "format.json"
RESTORING = "restoring"


def store_paths(state_dir: Path) -> dict[int, Path]:
    """The stores by their partitions, ascending: folders named by five digits in which there is a store.

    A folder that cannot be read counts as a store, so that opening it raises.

    Raises:
        StoreError: when they cannot be listed.
    """
    found = [path for path in _folders(state_dir / "seeds") if _STORE.fullmatch(path.name)]
    return {int(path.name): path for path in found if _may_hold(path)}


def recovery_folders(state_dir: Path) -> list[Path]:
    """The folders of recovery data, one for each dataflow; those that are still being made have a dot before the name.

    Raises:
        StoreError: when they cannot be listed.
    """
    return [path for path in _folders(state_dir / "recovery") if _readable(path)]


def cannot_be_read(path: Path, error: OSError) -> StoreError:
    """Why a part of a state directory cannot be read, and the way on."""
    return StoreError(
        f"{path} cannot be read: {error}. Run the command as the user whom the files belong to, or see to the disk."
    )


def _folders(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return []
        return sorted(each for each in path.iterdir() if not each.name.startswith(".") and each.is_dir())
    except OSError as error:
        raise cannot_be_read(path, error) from error


def _may_hold(path: Path) -> bool:
    try:
        return holds_data(path)
    except StoreError:
        return True


def _readable(path: Path) -> bool:
    try:
        next(path.iterdir(), None)
    except OSError as error:
        raise cannot_be_read(path, error) from error
    return True


def read_format(state_dir: Path) -> int | None:
    """The format of a state directory, None when it holds nothing yet; without a mark it is the first, 1.

    Raises:
        StoreError: when the mark cannot be read, or a restore was cut off.
    """
    refuse_cut_off(state_dir)
    try:
        mark = json.loads((state_dir / NAME).read_bytes())
        if type(mark["format"]) is not int:
            raise TypeError
        return int(mark["format"])
    except FileNotFoundError:
        return 1 if _holds_state(state_dir) else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = (
            f"{state_dir / NAME} cannot be read ({type(error).__name__}). It says of which format the state directory "
            f'is. If only this version has run on it, write {{"format": {STATE_FORMAT}}} there; else restore the state '
            "directory from a backup (`ralm state restore`). Nothing was changed."
        )
        raise StoreError(msg) from error


def check_format(state_dir: Path) -> None:
    """See that a state directory is of this version's format, or empty.

    Raises:
        StoreError: when it is not; says how to migrate.
    """
    found = read_format(state_dir)
    if found not in (None, STATE_FORMAT):
        raise StoreError(refusal(state_dir, found or 1))


def refusal(state_dir: Path, found: int) -> str:
    """Why a state directory of another format is refused, and the way on."""
    words = refusal_of_format(f"the state directory {state_dir}", found)
    if (state_dir / NAME).exists():
        return words
    return (
        f"{words} It is taken for that since it has no {NAME}: if that file was removed, or this is a copy that was "
        "cut short, copy or restore the whole directory again."
    )


def refuse_cut_off(state_dir: Path) -> None:
    """See that no restore into a state directory was cut off or goes on.

    Raises:
        StoreError: when one was.
    """
    try:
        if not (state_dir / RESTORING).exists():
            return
    except OSError as error:
        raise cannot_be_read(state_dir, error) from error
    msg = (
        f"a restore into {state_dir} was cut off, or is still going on: run `ralm state restore` again (an unfinished "
        "one may be restored over)"
    )
    raise StoreError(msg)


def mark_format(state_dir: Path) -> None:
    """See that a state directory is of this version's format, and mark it if it is new.

    Only an owner of the directory may call it. Several processes may: they write the same.

    Raises:
        StoreError: when it is of another format; nothing is written then.
    """
    check_format(state_dir)
    if (state_dir / NAME).exists():
        return
    write_format(state_dir)


def write_format(state_dir: Path, *, backup: bool = False) -> None:
    """Write the mark of this version's format, whatever is there.

    Args:
        state_dir: the directory, made if there is none.
        backup: whether it is a backup, which has a note beside it.

    Raises:
        OSError: when it cannot be written.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    mark = {"format": STATE_FORMAT, "backup": True} if backup else {"format": STATE_FORMAT}
    with atomic_write(state_dir / NAME) as work:
        work.write_text(json.dumps(mark) + "\n")


def is_backup(state_dir: Path) -> bool:
    """Whether the mark says that a directory was made as a backup."""
    try:
        return bool(json.loads((state_dir / NAME).read_bytes())["backup"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def begin_restoring(state_dir: Path) -> None:
    """Have a state directory refused until ``end_restoring``.

    Raises:
        OSError: when that cannot be written.
    """
    (state_dir / RESTORING).touch()
    sync(state_dir / RESTORING)
    sync(state_dir)


def end_restoring(state_dir: Path) -> None:
    """The state directory is whole, and on the disk.

    Raises:
        OSError: when that cannot be written.
    """
    (state_dir / RESTORING).unlink()
    sync(state_dir)


def _holds_state(state_dir: Path) -> bool:
    recovery = (next(folder.glob("part-*.sqlite3"), None) for folder in recovery_folders(state_dir))
    return bool(store_paths(state_dir)) or any(recovery)
