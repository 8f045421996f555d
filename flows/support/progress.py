"""Progress on standard error, for everything that takes longer than a moment: bars on a terminal, elsewhere lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import isfinite
from threading import Event, Thread
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn

_EVERY_S = 5.0


class Bars(Progress):
    """Bars with counts, time and a note.

    Where standard error is no terminal, each task that is shown gives a line when it begins, every few seconds and
    when it is done.

    Args:
        console: where it is shown; standard error by default.
        every_s: seconds between two lines of a task.
    """

    def __init__(self, console: Console | None = None, every_s: float = _EVERY_S) -> None:
        console = console or Console(stderr=True)
        super().__init__(
            TextColumn("{task.description:<24}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._every_s = every_s
        self._written: dict[TaskID, str] = {}
        self._ended = Event()
        self._writer = Thread(target=self._write_lines, daemon=True)
        self._stages: dict[str, TaskID] = {}

    def start(self) -> None:
        """Begin to show them."""
        super().start()
        if self.disable:
            self._writer.start()

    def stop(self) -> None:
        """Show them a last time."""
        super().stop()
        if self.disable and not self._ended.is_set():
            self._ended.set()
            self._writer.join()
            for task in self.tasks:
                if task.fields.get("at_once", True) or task.id in self._written:
                    self._write(task)

    def add_task(
        self,
        description: str,
        start: bool = True,
        total: float | None = 100.0,
        completed: int = 0,
        visible: bool = True,
        **fields: Any,
    ) -> TaskID:
        """Add a task; its note is the field ``note``. With ``at_once=False`` a short one writes no line."""
        task = super().add_task(description, start, total, completed, visible, **{"note": "", **fields})
        if self.disable and fields.get("at_once", True):
            self._write(self._tasks[task])
        return task

    def counter(self, name: str) -> Callable[[int, int], None]:
        """A bar that is shown from its first call on: called with how many are done, and how many there are."""
        task: list[TaskID] = []

        def count(done: int, total: int) -> None:
            if not task:
                task.append(self.add_task(name, total=total, at_once=False))
            self.update(task[0], completed=done, total=total)

        return count

    def on_epoch(self, stage: str, done: int, epochs: int, loss: float) -> None:
        """A bar for each stage of training, which calls this when the stage begins and after each epoch."""
        if stage not in self._stages:
            self._stages[stage] = self.add_task(stage, total=epochs)
        self.update(
            self._stages[stage], completed=done, total=epochs, note=f"loss {loss:.4f}" if isfinite(loss) else ""
        )

    def _write_lines(self) -> None:
        while not self._ended.wait(self._every_s):
            for task in self.tasks:
                self._write(task)

    def _write(self, task: Task) -> None:
        """Write a task's line, unless it is the last one that was written."""
        of = "" if task.total is None else f"{task.completed:,.0f}/{task.total:,.0f}"
        passed = str(timedelta(seconds=int((task.finished_time if task.finished else task.elapsed) or 0)))
        line = "  ".join(part for part in (task.description, of, passed, str(task.fields["note"])) if part)
        if task.visible and self._written.get(task.id) != line:
            self._written[task.id] = line
            self.console.print(line, soft_wrap=True, markup=False, highlight=False)


def bars() -> Bars:
    """Bars on standard error."""
    return Bars()


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show that something is being done of which nobody knows how long it takes."""
    with bars() as progress:
        progress.add_task(what, total=None)
        yield
