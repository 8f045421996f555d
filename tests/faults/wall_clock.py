"""Faults of the wall clock: it jumps by an hour, forward or back, while the flow works and between its runs.

The flow's processes see a wall clock that a file shifts (libfaketime); the monotonic clock goes on as it is, as it does
when a real clock is set. While the clock is an hour back, clicks of now are ``future_time`` by the rule: they must be
dead letters, and are sent back once the clock is right, as an operator would.
"""

import os
from importlib.util import find_spec
from pathlib import Path

from .registry import fault
from .scene import Scene

_HOUR_S = 3600
_PLACES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
)


def _library() -> Path | None:
    found = find_spec("libfaketime")
    packaged = Path(found.origin or "").parent / "vendor/libfaketime/src/libfaketime.so.1" if found else None
    return next((path for path in [packaged, *map(Path, _PLACES)] if path is not None and path.is_file()), None)


def _no_library() -> str:
    return "" if _library() else "libfaketime is not installed (pip install libfaketime, or apt-get install faketime)"


@fault("clock-forward", _no_library)
def clock_forward(scene: Scene) -> None:
    """An hour forward while it works, and back again between runs."""
    _jump(scene, _HOUR_S)


@fault("clock-back", _no_library)
def clock_back(scene: Scene) -> None:
    """An hour back while it works, and forward again between runs."""
    _jump(scene, -_HOUR_S)


def _jump(scene: Scene, seconds: int) -> None:
    scene.busy()
    scene.drain()
    clock = scene.home / "clock"
    _set(clock, 0)
    scene.cluster.environment = {
        "LD_PRELOAD": str(_library()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    try:
        scene.start()
        scene.busy()
        scene.settle()
        scene.clock_is_back = seconds < 0
        _set(clock, seconds)
        scene.busy()
        scene.settle()
        scene.drain()
    finally:
        scene.cluster.environment = {}
    scene.start()  # between the runs it jumps back to what it was
    scene.send_back()
    scene.busy()
    scene.settle()


def _set(clock: Path, seconds: int) -> None:
    """Shift the flow's clock; the file is put in place whole, since it is read all the time."""
    new = clock.with_suffix(".new")
    new.write_text(f"{seconds:+d}\n")
    os.replace(new, clock)
