"""Faults of the disk: full, and slow."""

import ctypes
import errno
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from .registry import fault
from .scene import Scene
from .shims import library, missing

_SLOW = "slow_sync"
_DISK_BYTES = 64 << 20
_LIBC = ctypes.CDLL(None, use_errno=True)


def mount(target: Path) -> str:
    """Mount a small disk in memory; why not, if it may not be."""
    target.mkdir(parents=True, exist_ok=True)
    done = _LIBC.mount(b"tmpfs", os.fsencode(target), b"tmpfs", 0, f"size={_DISK_BYTES}".encode())
    return "" if done == 0 else f"a tmpfs cannot be mounted: {os.strerror(ctypes.get_errno())}"


def unmount(target: Path) -> None:
    """Take the small disk away; what holds it loses it when it ends."""
    _LIBC.umount2(os.fsencode(target), 2)  # MNT_DETACH


@cache
def _no_mount() -> str:
    target = Path(mkdtemp(prefix="ralm-faults-mount-"))
    why = mount(target)
    if not why:
        unmount(target)
    target.rmdir()
    return why


@contextmanager
def _small_disk(scene: Scene) -> Iterator[Path]:
    """Have the state directory on a small disk meanwhile."""
    disk, aside = scene.state.parent, scene.home / "aside"
    scene.state.rename(aside)
    why = mount(disk)
    if why:
        raise RuntimeError(why)
    try:
        shutil.copytree(aside, scene.state)
        shutil.rmtree(aside)
        yield disk
        shutil.copytree(scene.state, aside)
    finally:
        scene.cluster.kill()
        unmount(disk)
        if aside.exists():
            aside.rename(scene.state)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte; the file that does it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
    return ballast


@fault("disk-full", _no_mount)
def disk_full(scene: Scene) -> None:
    """The disk fills up at work and while it starts; once there is room again, nothing is lost."""
    scene.busy()
    scene.drain()
    with _small_disk(scene) as disk:
        scene.start()
        scene.busy()
        ballast = fill(disk)
        until = time.monotonic() + scene.limits.settle
        while not scene.cluster.has_ended():
            scene.busy(0.3, 0.6)
            if time.monotonic() > until:
                scene.problem("it worked on with a full disk")
                break
        if scene.cluster.has_ended():
            _stopped(scene)
            _refuses_to_start(scene)
        ballast.unlink()
        if not scene.cluster.running:
            scene.check_positions()
            scene.start()
        scene.settle()
        scene.drain()
    scene.start()
    scene.settle()


def _stopped(scene: Scene) -> None:
    ended = scene.cluster.collect()
    if ended.in_words:
        scene.tally.stops.append(f"{scene.name}, {scene.fault}: {ended}")
    else:
        scene.bad_end(f"full disk: {ended}")


def _refuses_to_start(scene: Scene) -> None:
    """With the disk still full; that it can start is no fault either, as long as it ends in words."""
    ended = scene.cluster.start(timeout_s=scene.limits.settle)
    if ended is None:
        scene.cluster.kill()
    elif not ended.in_words:
        scene.bad_end(f"started on a full disk: {ended}")


@fault("disk-slow", lambda: missing(_SLOW))
def disk_slow(scene: Scene) -> None:
    """Every sync takes up to 0.3 s longer; killed and started meanwhile."""
    scene.busy()
    scene.drain()
    scene.cluster.environment = {"LD_PRELOAD": str(library(_SLOW)), "FAULTS_SYNC_MS": "300"}
    try:
        scene.start()
        scene.busy(2.0, 4.0)
        scene.settle()
        scene.busy()
        scene.cluster.send(signal.SIGKILL)
        scene.cluster.collect()
        scene.tally.kills += 1
        scene.check_positions()
        scene.start()
        scene.settle()
        scene.drain()
    finally:
        scene.cluster.environment = {}
    scene.start()
    scene.settle()
