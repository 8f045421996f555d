"""Runs cells in worker processes; a cell that fails, or whose process dies, is reported and the others go on.

Each worker has one numeric thread: two trainings with a thread for each core slow each other down many times over,
since each waits for threads that the other one's keep busy.
"""

import multiprocessing as mp
import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from multiprocessing.connection import Connection, wait
from typing import Any

from rich.progress import Progress, TaskID

from flows.offline.evaluation.cells import CellSpec
from flows.offline.evaluation.plan import Plan
from flows.offline.evaluation.worker import CellWork
from flows.support.progress import bars
from flows.support.threads import ONE_THREAD

_PATIENCE = 5.0
"""Seconds that a worker gets to end."""


@dataclass(frozen=True)
class Failure:
    """A cell that failed.

    Attributes:
        spec: the cell.
        reason: the exception, or how its process ended.
        trace: where it happened; empty when the process died.
    """

    spec: CellSpec
    reason: str
    trace: str = ""


def run_cells(plan: Plan, specs: Sequence[CellSpec], processes: int) -> list[Failure]:
    """Run cells, which are then in the plan's folder; gives those that failed."""
    left, failures = deque(specs), list[Failure]()
    os.environ.update(ONE_THREAD)  # for the workers, whatever the environment says: they are one for each core
    with bars() as progress:
        total = progress.add_task("cells", total=len(specs))
        workers = [_Worker(plan, progress) for _ in range(min(processes, len(specs)))]
        try:
            for worker in workers:
                worker.begin(left.popleft())
            while busy := [worker for worker in workers if worker.spec is not None]:
                for worker in _ready(busy):
                    ended = worker.hear()
                    if ended is None:
                        continue
                    failures += [ended] if isinstance(ended, Failure) else []
                    progress.advance(total)
                    if left:
                        worker.begin(left.popleft())
        finally:
            for worker in workers:
                worker.stop()
    return failures


class _Worker:
    """One worker process with its line of the display; a process that died is replaced."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self._line: TaskID = progress.add_task("", total=1, visible=False)
        self._process: Any = None
        self.pipe: Connection
        self.spec: CellSpec | None = None

    def begin(self, spec: CellSpec) -> None:
        """Give it a cell."""
        if self._process is None:
            context = mp.get_context("spawn")
            self.pipe, other = context.Pipe()
            self._process = context.Process(target=_work, args=(other, self._plan), daemon=True)
            self._process.start()
            other.close()
        self.spec = spec
        name = f"{spec.model} {spec.rng_seed}" + (" cold" if spec.kind == "cold" else "")
        self._progress.reset(self._line, description=name, total=1, note="starting", visible=True)
        with suppress(BrokenPipeError):  # a process that has died meanwhile is noticed when it is listened to
            self.pipe.send(spec)

    def hear(self) -> bool | Failure | None:
        """What it says: True when its cell is done, a failure, or None while it goes on."""
        spec = self.spec
        if spec is None:
            return None
        try:
            kind, *said = self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            self.spec, code, self._process = None, self._process.exitcode, None
            return Failure(spec, f"its process ended with exit code {code}" + (", killed" if code == -9 else ""))
        if kind == "report":
            self._show(*said)
            return None
        self.spec = None
        self._progress.update(self._line, visible=False)
        return True if kind == "done" else Failure(spec, *said)

    def stop(self) -> None:
        """End the process; a cell in progress is lost."""
        if self._process is None:
            return
        self.pipe.close()  # one that waits for a cell ends of itself
        if self.spec is not None:
            self._process.terminate()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _show(self, stage: str, done: int, total: int, loss: float) -> None:
        note = f"{stage}, loss {loss:.4f}" if isfinite(loss) else stage
        self._progress.update(self._line, completed=done, total=total, note=note)


def _ready(workers: list[_Worker]) -> list[_Worker]:
    pipes = {worker.pipe: worker for worker in workers}
    return [pipes[pipe] for pipe in wait(list(pipes)) if isinstance(pipe, Connection)]


def _work(pipe: Connection, plan: Plan) -> None:
    """A worker process: cells until nobody is there to ask for them."""
    for number in (signal.SIGINT, signal.SIGHUP):  # they reach the whole group; who asked for cells ends us
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # libraries clean up behind them
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work = CellWork(plan)
    with suppress(EOFError, BrokenPipeError):
        while True:
            spec = pipe.recv()
            try:
                work.run(spec, lambda *progress: pipe.send(("report", *progress)))
            except BrokenPipeError:
                raise
            except Exception as error:  # whatever a model raises is its cell's failure
                pipe.send(("failed", f"{type(error).__name__}: {error}", traceback.format_exc()))
            else:
                pipe.send(("done",))


def _end_with_parent() -> None:
    """End at once when the command was killed: nobody would keep what comes out, and a new run needs the cores."""
    parent = mp.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
