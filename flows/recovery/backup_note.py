"""The note in a backup, ``backup.json``: when it was made, the stores' positions and the recovery files' hashes."""

import json
from datetime import UTC, datetime
from pathlib import Path

from flows.support.errors import RalmError
from state.atomic_file import file_sha256
from state.directory import is_backup

NOTE = "backup.json"


def write_note(backup: Path, began: datetime, positions: dict[int, int]) -> None:
    """Write the note, last of all.

    Args:
        backup: the backup.
        began: when it was begun.
        positions: of the stores, by partition.

    Raises:
        OSError: when it cannot be written.
    """
    note = {
        "began": began.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "positions": {f"{partition:05d}": position for partition, position in positions.items()},
        "sha256": {name: file_sha256(backup / name) for name in _files(backup)},
    }
    (backup / NOTE).write_text(json.dumps(note, indent=2) + "\n")


def check_note(source: Path) -> dict[int, int] | None:
    """See that the recovery files, which check less of themselves than the stores do, are as they were written.

    Args:
        source: a backup, or a state directory that was drained and copied, which has no note.

    Returns:
        The stores' positions by partition as they were written, None without a note.

    Raises:
        RalmError: when the note is gone or damaged, or a file is not as it says.
    """
    if not (source / NOTE).exists():
        if is_backup(source):
            msg = f"{source} is no whole backup: its {NOTE} is gone"
            raise RalmError(msg)
        return None
    try:
        note = json.loads((source / NOTE).read_bytes())
        hashes, positions = dict(note["sha256"]), {int(name): int(at) for name, at in note["positions"].items()}
        files = _files(source)
        wrong = sorted(
            {*files, *hashes}
            - {name for name in files if name in hashes and file_sha256(source / name) == hashes[name]}
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{source} is no whole backup: {NOTE} or a file that it names cannot be read ({error!r})"
        raise RalmError(msg) from error
    if wrong:
        msg = f"the backup in {source} is damaged, and nothing was restored: {', '.join(wrong)} changed since"
        raise RalmError(msg)
    return positions


def _files(backup: Path) -> list[str]:
    return sorted(str(file.relative_to(backup)) for file in backup.glob("recovery/*/*.sqlite3"))
