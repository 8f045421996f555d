"""What holds between the tables of recovery files that one engine wrote, whenever it was killed.

- Executions count from 0. The first begins at epoch 1, each later one where the one before it got to.
- That is where its slowest worker got to. A worker says how far it came only once it is past the beginning.
- When all workers are past an epoch, each file commits it: older snapshots are removed. Only then does the epoch after
  the next begin. So what is committed is less than the epoch to resume from, by two at most, and no snapshot is of a
  later epoch than that one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from flows.recovery.recovery_sqlite import Rows

Tables: TypeAlias = Mapping[Path, Mapping[str, Rows]]
"""The rows of each table of each file."""

FIRST_EPOCH = 1
_MOST_BEHIND = 2


def resume_epoch(files: Tables) -> int:
    """The epoch that the engine would resume from; snapshots of earlier ones count."""
    executions = sorted(row for _, row in _rows(files, "exs"))
    return _came_to(files, executions[-1]) if executions else FIRST_EPOCH


def broken_laws(path: Path, files: Tables) -> Iterator[str]:
    """In which way files are not of one engine and one time, in words; nothing where they are.

    Args:
        path: their folder.
        files: what they hold; all files must be there.
    """
    yield from _missing(path, files)
    found = list(_executions(files)) or list(_workers(files)) or list(_chain(files))
    yield from (f"the recovery files in {path} do not belong together: {words}{_oldest(files)}" for words in found)
    if not found:
        times = _times(files, resume_epoch(files))
        yield from (f"the recovery files in {path} are of different times: {words}" for words in times)


def _rows(files: Tables, table: str) -> Iterator[tuple[Path, tuple[Any, ...]]]:
    for file, tables in files.items():
        for row in tables[table]:
            yield file, row


def _missing(path: Path, files: Tables) -> Iterator[str]:
    parts = [row for _, row in _rows(files, "parts")]
    counts = {count for _, count in parts}
    if len({index for index, _ in parts}) != len(files) or len(counts) > 1:
        yield f"the recovery files in {path} do not belong together: {len(files)} files speak of {sorted(counts)}"
        return
    expected = counts.pop() if counts else 0
    gone = sorted(set(range(min(expected, 10_000))) - {index for index, _ in parts})
    if gone or not expected:
        names = ", ".join(f"part-{index}.sqlite3" for index in gone)
        yield f"of the {expected} recovery files in {path} there are {len(files)}; missing: {names or 'all'}"


def _executions(files: Tables) -> Iterator[str]:
    rows = sorted((row[0], file.name) for file, row in _rows(files, "exs"))
    for expected, (number, name) in enumerate(rows):
        if number < expected:
            yield f"execution {number} is there twice, in {rows[expected - 1][1]} and {name}"
            return
        if number > expected:
            yield f"{name} has execution {number}, and none has execution {expected}"
            return


def _workers(files: Tables) -> Iterator[str]:
    executions = {row[0]: row for _, row in _rows(files, "exs")}
    for file, (execution, worker, frontier) in _rows(files, "fronts"):
        if execution not in executions:
            yield f"{file.name} has a worker of execution {execution}, and none has that execution"
            continue
        _, workers, start = executions[execution]
        if worker >= workers or frontier <= start:
            yield (
                f"{file.name} has worker {worker} of execution {execution} at epoch {frontier}; that execution has "
                f"{workers} workers and began at {start}"
            )


def _chain(files: Tables) -> Iterator[str]:
    expected = FIRST_EPOCH
    for execution, name in sorted((row, file.name) for file, row in _rows(files, "exs")):
        number, _, start = execution
        if start != expected:
            before = f"execution {number - 1} came to" if number else "the first at"
            yield f"in {name} execution {number} begins at epoch {start}; {before} {expected}"
            return
        expected = _came_to(files, execution)


def _came_to(files: Tables, execution: tuple[Any, ...]) -> int:
    number, workers, start = execution
    came = {row[1]: row[2] for _, row in _rows(files, "fronts") if row[0] == number}
    # One that has said nothing is where it began; of those, one is enough.
    return int(min(max(came.get(worker, start), start) for worker in range(min(workers, len(came) + 1))))


def _oldest(files: Tables) -> str:
    ends = {file.name: max((row[1] for row in tables["commits"]), default=0) for file, tables in files.items()}
    last = max(ends.values())
    old = ", ".join(name for name, end in ends.items() if end < last - 1)
    return f"; older than the others: {old}" if old else ""


def _times(files: Tables, epoch: int) -> Iterator[str]:
    last = max((row[0] for _, row in _rows(files, "exs")), default=0)
    holds = {file.name for table in ("exs", "fronts") for file, row in _rows(files, table) if row[0] == last}
    where = f"epoch {epoch}, up to which the workers came by {', '.join(sorted(holds)) or 'all files'}"
    for file, tables in files.items():
        committed = max((row[1] for row in tables["commits"]), default=0)
        newest = max((row[2] for row in tables["snaps"]), default=0)
        if committed >= epoch or newest > epoch:
            yield f"{file.name} went on to epoch {max(committed, newest)}, later than {where}{_oldest(files)}"
        elif committed < epoch - _MOST_BEHIND:
            yield f"{file.name} ends with epoch {committed}, earlier than {where}; it is old"
