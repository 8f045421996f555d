"""The layout and format of a state directory: a folder for each partition's store, and ``format.json``."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from state.atomic_file import atomic_write, sync
from state.nesting import json_of
from state.store.layout import StoreError
from state.store.meta import MIGRATED_FORMAT, STATE_FORMAT, refusal_of_format
from state.store.rocks import holds_data

_STORE = re.compile(r"\d{5}")
NAME = "format.json"
STORES = "seeds"
RESTORING = "restoring"
BEFORE = "clicks_before"
"""Under ``begun``: the partitions whose stores have clicks, too, of a topic that was there before under its name."""


class UnreadableFormatError(StoreError):
    """``format.json`` cannot be read."""


def store_path(state_dir: Path, partition: int) -> Path:
    """Where the store of a partition lies, or is to lie.

    >>> store_path(Path("/var/lib/ralm"), 3).as_posix()
    '/var/lib/ralm/seeds/00003'
    """
    return state_dir / STORES / f"{partition:05d}"


def store_paths(state_dir: Path) -> dict[int, Path]:
    """The stores by their partitions, ascending: folders named by five digits in which there is a store.

    A folder that cannot be read counts as a store, so that opening it raises.

    Raises:
        StoreError: when they cannot be listed.
    """
    found = [path for path in _folders(state_dir / STORES) if _STORE.fullmatch(path.name)]
    return {int(path.name): path for path in found if _may_hold(path)}


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


def read_format(state_dir: Path) -> int | None:
    """The format of a state directory, None when it holds nothing yet; without a mark it is the first, 1.

    Raises:
        UnreadableFormatError: when the mark cannot be read.
        StoreError: when a restore was cut off.
    """
    refuse_cut_off(state_dir)
    mark = _read_mark(state_dir)
    return mark.format if mark is not None else 1 if store_paths(state_dir) else None


def partition_counts(state_dir: Path) -> list[int]:
    """How many partitions the clicks topic had at each time, ascending; where that is not noted, the stores tell.

    Raises:
        StoreError: when the mark, or the stores' folder, cannot be read.
    """
    mark = _read_mark(state_dir)
    stores = max(store_paths(state_dir), default=-1) + 1
    return sorted(mark.partitions) if mark is not None and mark.partitions else [stores] if stores else []


def noted_counts(state_dir: Path) -> list[int]:
    """How many partitions the clicks topic had at each time, as it is noted; empty where nothing is.

    Raises:
        StoreError: when the mark cannot be read.
    """
    mark = _read_mark(state_dir)
    return [] if mark is None else mark.partitions


def begun_partitions(state_dir: Path, kind: str) -> frozenset[int]:
    """The partitions of ``clicks`` or ``requests`` of which it is fixed here where the first start began.

    Raises:
        StoreError: when the mark cannot be read.
    """
    mark = _read_mark(state_dir)
    return frozenset() if mark is None else frozenset(mark.begun.get(kind, ()))


def moved_positions(state_dir: Path) -> dict[int, int]:
    """Of each store to which items were moved how far it had read when they last were, by partition.

    Raises:
        StoreError: when the mark cannot be read.
    """
    mark = _read_mark(state_dir)
    return {} if mark is None else {int(name): position for name, position in mark.moved.items()}


def note_moved(state_dir: Path, positions: Mapping[int, int]) -> None:
    """Note of stores how far they have read as items are moved to them: an older copy of one lacks those.

    Only an owner of the directory may call it, and no two at once.

    Raises:
        StoreError: when the mark cannot be read.
        OSError: when it cannot be written.
    """
    known = moved_positions(state_dir)
    if known | dict(positions) != known:
        _rewrite(state_dir, moved={**known, **positions})


def forget_moved(state_dir: Path, partitions: Iterable[int]) -> None:
    """Forget that of stores that begin anew.

    Only an owner of the directory may call it, and no two at once.

    Raises:
        StoreError: when the mark cannot be read.
        OSError: when it cannot be written.
    """
    known, gone = moved_positions(state_dir), set(partitions)
    if known.keys() & gone:
        _rewrite(state_dir, moved={partition: at for partition, at in known.items() if partition not in gone})


def _rewrite(state_dir: Path, **changes: Any) -> None:
    mark = _read_mark(state_dir)
    kept: dict[str, Any] = {"partitions": [], "begun": {}, "moved": {}}
    if mark is not None:
        kept = {"partitions": mark.partitions, "begun": mark.begun, "moved": moved_positions(state_dir)}
    write_format(state_dir, **{**kept, **changes})


def note_begun(state_dir: Path, kind: str, partitions: Iterable[int]) -> None:
    """Note that it is fixed where the first start began in partitions of ``clicks`` or ``requests``.

    Only an owner of the directory may call it, and no two at once.

    Raises:
        StoreError: when the mark cannot be read.
        OSError: when it cannot be written.
    """
    mark = _read_mark(state_dir)
    begun = {} if mark is None else mark.begun
    more = sorted({*begun.get(kind, ()), *partitions})
    if more != begun.get(kind, []):
        _rewrite(state_dir, begun={**begun, kind: more})


def note_partition_count(state_dir: Path, now: int) -> list[int]:
    """Note how many partitions the clicks topic has now; returns every count so far, ascending.

    Only an owner of the directory may call it, and no two at once.

    Raises:
        StoreError: when the mark cannot be read.
        OSError: when it cannot be written.
    """
    counts = sorted({*partition_counts(state_dir), now})
    mark = _read_mark(state_dir)
    if mark is None or mark.partitions != counts:
        _rewrite(state_dir, partitions=counts)
    return counts


def forget_partitions(state_dir: Path, now: int) -> None:
    """Note that the clicks topic has so many partitions and never had another number: it is another topic than before.

    Only an owner of the directory may call it, and no two at once.

    Raises:
        StoreError: when the mark cannot be read.
        OSError: when it cannot be written.
    """
    mark = _read_mark(state_dir)
    begun = {} if mark is None else {kind: [p for p in given if p < now] for kind, given in mark.begun.items()}
    begun[BEFORE] = list(range(now))
    write_format(state_dir, partitions=[now], begun=begun)


@dataclass(frozen=True)
class _Mark:
    """What ``format.json`` says."""

    format: int
    partitions: list[int]
    backup: dict[str, int] | None
    begun: dict[str, list[int]]
    moved: dict[str, int]


def _read_mark(state_dir: Path) -> _Mark | None:
    try:
        mark = json_of((state_dir / NAME).read_bytes())
        found = _Mark(
            mark["format"], mark.get("partitions", []), mark.get("backup"), mark.get("begun", {}), mark.get("moved", {})
        )
        _check_mark(found)
        if found.format == STATE_FORMAT and mark.keys() - {"format", "partitions", "backup", "begun", "moved"}:
            raise ValueError
        return found
    except FileNotFoundError:
        return None
    except OSError as error:  # of the system, not of the file: to write it anew would lose what it says
        msg = (
            f"{state_dir / NAME} cannot be read: {error.strerror}. Fix that (rights, files that may be open, the "
            "disk) and start again. Nothing was changed."
        )
        raise UnreadableFormatError(msg) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = (
            f"{state_dir / NAME} cannot be read ({type(error).__name__}). It says of which format the state directory "
            "is, and how many partitions the clicks topic had. Copy it from a backup (BACKUP/format.json). Without "
            f'one, and if only this version has run here, write {{"format": {STATE_FORMAT}, "partitions": [N]}} there, '
            "N being how many partitions the topic had when the flow ran last: without them a growth since would not "
            "be noticed. Nothing was changed."
        )
        raise UnreadableFormatError(msg) from error


def _check_mark(found: _Mark) -> None:
    """See that everything is of its type.

    Raises:
        ValueError: when something is not.
        TypeError: likewise.
    """
    if (type(found.format), type(found.partitions), type(found.begun)) != (int, list, dict):
        raise TypeError
    if any(type(at) is not int for partitions in found.begun.values() for at in partitions):
        raise TypeError
    if any(type(count) is not int or count < 1 for count in found.partitions):
        raise ValueError
    for positions in ({} if found.backup is None else found.backup, found.moved):
        if any(type(at) is not int or not _STORE.fullmatch(name) for name, at in positions.items()):
            raise ValueError


def check_format(state_dir: Path) -> None:
    """See that a state directory is of a format that this version reads, or empty.

    Raises:
        StoreError: when it is not; says how to migrate.
    """
    found = read_format(state_dir)
    if found not in (None, MIGRATED_FORMAT, STATE_FORMAT):
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
        f"a restore into {state_dir} was cut off, or is still going on: run `ralm state restore BACKUP` again (an "
        "unfinished one may be restored over)"
    )
    raise StoreError(msg)


def mark_format(state_dir: Path) -> None:
    """See that a state directory is of this version's format, mark it if it is new, and migrate the format before.

    Only an owner of the directory may call it. Several processes may: they write the same.

    Raises:
        StoreError: when it is of another format; nothing is written then.
    """
    check_format(state_dir)
    mark = _read_mark(state_dir)
    if mark is not None and mark.format == STATE_FORMAT:
        return
    # The stores are migrated one by one, each with its first write.
    write_format(state_dir, partitions=_counts_before(state_dir))


def _counts_before(state_dir: Path) -> list[int]:
    """The counts of partitions where the format before had them; a damaged note of them tells nothing."""
    try:
        counts = json_of((state_dir / "grown.json").read_bytes())
        if all(type(count) is int and count > 0 for count in counts):
            return sorted({*counts, *partition_counts(state_dir)})
    except (OSError, ValueError, TypeError):
        pass
    return partition_counts(state_dir)


def write_format(
    state_dir: Path,
    *,
    partitions: Sequence[int] = (),
    backup: Mapping[int, int] | None = None,
    begun: Mapping[str, Sequence[int]] | None = None,
    moved: Mapping[int, int] | None = None,
) -> None:
    """Write the mark of this version's format, whatever is there.

    Args:
        state_dir: the directory, made if there is none.
        partitions: how many partitions the clicks topic had at each time.
        begun: the partitions of each kind of topic of which it is fixed where the first start began.
        backup: of a backup the position of each store in it, by partition.
        moved: of stores to which items were moved how far they had read then, by partition.

    Raises:
        OSError: when it cannot be written.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    mark: dict[str, object] = {"format": STATE_FORMAT, "partitions": list(partitions)}
    if begun:
        mark["begun"] = {kind: list(given) for kind, given in begun.items()}
    for name, positions in (("moved", moved or None), ("backup", backup)):
        if positions is not None:
            mark[name] = {f"{partition:05d}": position for partition, position in positions.items()}
    with atomic_write(state_dir / NAME) as work:
        work.write_text(json.dumps(mark) + "\n")


def backup_positions(state_dir: Path) -> dict[int, int] | None:
    """The position of each store of a backup, by partition, as they were when it was made; None if it is not a backup.

    Raises:
        StoreError: when the mark cannot be read.
    """
    mark = _read_mark(state_dir)
    if mark is None or mark.backup is None:
        return None
    return {int(name): position for name, position in mark.backup.items()}


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
