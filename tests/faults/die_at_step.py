"""A process that kills itself (SIGKILL) at a step of bringing items home after the clicks topic has changed.

A step is a moment before or after something that lasts: a store that is made or opened, a batch that is written, a file
that takes its place, a folder that is renamed, each file of a store that is removed. ``python -m
tests.faults.die_at_step run look-alike ...`` is the console script that does so at the step that its environment names.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flows import runtime
from flows.cli.start import main
from flows.seed_sets import repartition
from flows.seed_sets.first_positions import FirstPositions
from state.store.seed_store import SeedStore

STEP = "FAULTS_DIE_AT_STEP"
_BATCH_SEEDS = 300
"""Seeds that are moved in one write: so few that there are several of each pair of stores."""


class Steps:
    """Counts the steps while it is told to, and ends the process at one of them.

    Args:
        fatal: the step, from 1 on; 0: none.

    Attributes:
        number: steps so far.
    """

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self._counting = 0
        self.number = 0

    def step(self) -> None:
        """Count one."""
        if self._counting:
            self.number += 1
            if self.number == self._fatal:
                os.kill(os.getpid(), signal.SIGKILL)

    def during(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Have the steps of some work counted."""

        def counted(*given: Any, **named: Any) -> Any:
            self._counting += 1
            try:
                return work(*given, **named)
            finally:
                self._counting -= 1

        return counted

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Count a step before some work, and one after it."""

        def counted(*given: Any, **named: Any) -> Any:
            self.step()
            done = work(*given, **named)
            self.step()
            return done

        return counted

    def remove(self, folder: Path) -> None:
        """Remove a folder in steps."""
        for path in sorted(folder.iterdir()):
            self.step()
            path.unlink()
        self.step()
        folder.rmdir()
        self.step()


def arm(fatal: int) -> Steps:
    """Have this process count its steps, for good, and end at one of them."""
    steps = Steps(fatal)
    opened = steps.around(SeedStore.open)
    SeedStore.open = staticmethod(opened)  # type: ignore[method-assign, assignment]
    SeedStore.write = steps.around(SeedStore.write)  # type: ignore[method-assign]
    os.replace = steps.around(os.replace)
    os.rename = steps.around(os.rename)
    repartition.shutil = SimpleNamespace(rmtree=steps.remove)  # type: ignore[assignment]
    repartition._BATCH_SEEDS = _BATCH_SEEDS  # type: ignore[misc]
    repartition.follow_partitions = steps.during(repartition.follow_partitions)
    runtime.follow_partitions = repartition.follow_partitions
    FirstPositions.fix = steps.during(FirstPositions.fix)  # type: ignore[method-assign]
    return steps


if __name__ == "__main__":
    arm(int(os.environ.pop(STEP, "0")))
    main()
