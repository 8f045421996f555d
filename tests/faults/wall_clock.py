"""Faults of the wall clock: it jumps by an hour, forward or back, while the flow works and between its runs.

The flow's processes see a wall clock that a file shifts (``shims/shift_clock.c``); the monotonic clock goes on as it
is, as it does when a real clock is set. The broker's clock judges the clicks, so that none is refused. Where a topic
has the producers' times, clicks of now are ``future_time`` by the rule while the clock is an hour back: they must be
dead letters, and are redriven once the clock is right, as an operator would.
"""

import struct
import time
from contextlib import closing
from pathlib import Path

from state.store.seed_store import SeedStore

from .registry import fault
from .scene import Scene
from .shims import library, missing

_HOUR_S = 3600
_EPOCHS_S = 60.0
_SHIFT = "shift_clock"


def _missing() -> str:
    return missing(_SHIFT)


@fault("clock-forward", _missing)
def clock_forward(scene: Scene) -> None:
    """An hour forward while it works, and back again between runs."""
    _jump(scene, _HOUR_S)


@fault("clock-back", _missing)
def clock_back(scene: Scene) -> None:
    """An hour back while it works, and forward again between runs."""
    _jump(scene, -_HOUR_S)


def _jump(scene: Scene, seconds: int) -> None:
    scene.busy()
    scene.drain()
    clock = scene.home / "clock"
    _set(clock, 0)
    scene.cluster.environment = {"LD_PRELOAD": str(library(_SHIFT)), "FAULTS_CLOCK": str(clock)}
    try:
        scene.start()
        scene.busy()
        scene.settle()
        scene.clock_is_back = seconds < 0
        _set(clock, seconds)
        scene.busy()
        scene.settle()
        until = time.monotonic() + _EPOCHS_S
        while not _all_settled(scene):
            if time.monotonic() > until:
                scene.problem(f"no epoch has ended for {_EPOCHS_S:g} s after the clock jumped by {seconds} s")
                break
            time.sleep(0.5)
        scene.drain()
    finally:
        scene.cluster.environment = {}
    scene.start()  # between the runs it jumps back to what it was
    scene.redrive()
    scene.busy()
    scene.settle()


def _all_settled(scene: Scene) -> bool:
    """Whether each store would be read on where it ends: two epochs have ended since its last click."""
    for path in (scene.state / "seeds").iterdir():
        with closing(SeedStore.inspect(path)) as store:
            if store.meta.resume != store.position:
                return False
    return True


def _set(clock: Path, seconds: int) -> None:
    """Shift the flow's clock: eight bytes written in place, since the flow has them mapped."""
    with clock.open("r+b" if clock.exists() else "wb") as file:
        file.write(struct.pack("=q", seconds))
