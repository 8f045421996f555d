"""What a state directory holds: its stores and its folders of recovery data, and nothing that only lies beside them."""

import re
from pathlib import Path

from state.rocks import holds_data
from state.store_layout import StoreError

_STORE = re.compile(r"\d{5}")


def store_paths(state_dir: Path) -> dict[int, Path]:
    """The stores by their partitions, ascending: folders named by five digits in which there is a store.

    One that cannot be looked into counts as a store: whoever opens it is told.

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
