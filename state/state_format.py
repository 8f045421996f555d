"""The format of a whole state directory: ``format.json``, written once by its first owner.

It covers what has no mark of its own: the engine's recovery data, in which our snapshots lie.
"""

import json
from pathlib import Path

from state.store_layout import FORMAT, StoreError, refusal_of_format
from state.whole_file import write_whole

NAME = "format.json"


def read_format(state_dir: Path) -> int | None:
    """The format of a state directory, None when it holds nothing yet; without a mark it is the first, 1.

    Raises:
        StoreError: when the mark cannot be read.
    """
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
            f'is. If only this version has run on it, write {{"format": {FORMAT}}} there; else restore the state '
            "directory from a backup (`ralm state restore`). Nothing was changed."
        )
        raise StoreError(msg) from error


def check_format(state_dir: Path) -> None:
    """See that a state directory is of this version's format, or empty.

    Raises:
        StoreError: when it is not; says how to migrate.
    """
    found = read_format(state_dir)
    if found not in (None, FORMAT):
        raise StoreError(refusal_of_format(f"the state directory {state_dir}", found or 1))


def mark_format(state_dir: Path) -> None:
    """See that a state directory is of this version's format, and mark it if it is new.

    Only an owner of the directory may call it. Several processes may: they write the same.

    Raises:
        StoreError: when it is of another format; nothing is written then.
    """
    check_format(state_dir)
    if (state_dir / NAME).exists():
        return
    state_dir.mkdir(parents=True, exist_ok=True)
    write_whole(state_dir / NAME, json.dumps({"format": FORMAT}) + "\n")


def _holds_state(state_dir: Path) -> bool:
    stores, recovery = state_dir.glob("seeds/*/CURRENT"), state_dir.glob("recovery/*/part-*.sqlite3")
    return next(stores, None) is not None or next(recovery, None) is not None
