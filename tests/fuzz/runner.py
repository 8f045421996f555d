"""Runs a target in a process of its own, so that a crash, a hang or a hunger for memory ends that process only."""

import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from random import Random
from typing import Any

from .target import Check, Target

SLOW_S = 1.0
"""Processor time that one input may take."""
HANG_S = 120.0
"""Without a new input for so long, the process is ended."""
MEMORY = 2 << 30
"""Bytes of address space that a process may take over what it has at its start."""
MOST_CRASHES = 20
"""After so many of a target, the rest of its inputs is left out."""
_processes = multiprocessing.get_context("fork")


@dataclass
class Crash:
    """An input that a target could not stand.

    Attributes:
        target: the target's name.
        number: of the input.
        kind: ``crash``, ``hang`` or ``death``.
        text: what happened.
    """

    target: str
    number: int
    kind: str
    text: str


@dataclass
class Result:
    """What became of a target's inputs.

    Attributes:
        inputs: how many were tried.
        outcomes: how often each outcome came.
        crashes: what went wrong.
        slowest: processor time of the slowest input in s, its target and its number.
    """

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: list[Crash] = field(default_factory=list)
    slowest: tuple[float, str, int] = (0.0, "", 0)

    def add(self, other: "Result") -> None:
        """Take in another result."""
        self.inputs += other.inputs
        self.outcomes += other.outcomes
        self.crashes += other.crashes
        self.slowest = max(self.slowest, other.slowest)


def made(target: Target, rng_seed: int, number: int) -> Any:
    """The input of a number; the same at every call."""
    return target.make(Random(rng_seed << 64 | zlib.crc32(target.name.encode()) << 32 | number))


def run_target(
    target: Target,
    rng_seed: int,
    inputs: int,
    progress: Callable[[int], None] = lambda _: None,
    slow_s: float = SLOW_S,
    hang_s: float = HANG_S,
) -> Result:
    """Try the inputs 0 to ``inputs`` of a target."""
    limits = (slow_s, hang_s)
    whole, start = Result(), 0
    while start < inputs and len(whole.crashes) < MOST_CRASHES:
        part, start = _run_child(target, rng_seed, start, inputs, progress, limits)
        whole.add(part)
    progress(inputs)
    return whole


def _run_child(
    target: Target,
    rng_seed: int,
    start: int,
    end: int,
    progress: Callable[[int], None],
    limits: tuple[float, float],
) -> tuple[Result, int]:
    """Run a process from an input on; gives its result, and the input to go on from."""
    current = _processes.RawArray("q", [start])
    mine, theirs = _processes.Pipe(duplex=False)
    home = _new_home()
    slow_s, hang_s = limits
    arguments = (target, rng_seed, start, end, slow_s, current, theirs, home)
    process = _processes.Process(target=_child, args=arguments, daemon=True)
    process.start()
    theirs.close()
    try:
        return _watch(process, mine, target.name, start, current, progress, hang_s)
    finally:
        process.kill()
        process.join()
        shutil.rmtree(home, ignore_errors=True)


def _watch(
    process: Any,
    results: Connection,
    name: str,
    start: int,
    current: Any,
    progress: Callable[[int], None],
    hang_s: float,
) -> tuple[Result, int]:
    result, last, changed = Result(), start, time.monotonic()
    while process.is_alive() or results.poll():
        if results.poll(0.2):
            try:
                result.add(results.recv())
            except EOFError:
                break
        number = int(current[0])
        progress(number)
        if number != last:
            last, changed = number, time.monotonic()
        elif time.monotonic() - changed > hang_s:
            return _ended(result, Crash(name, number, "hang", f"no end after {hang_s:g} s"), start)
    process.join()
    number = int(current[0])
    if process.exitcode:
        return _ended(result, Crash(name, number, "death", f"the process ended with {process.exitcode}"), start)
    return result, number


def _ended(result: Result, crash: Crash, start: int) -> tuple[Result, int]:
    result.crashes.append(crash)
    result.inputs = crash.number + 1 - start  # the last ones were not told
    return result, crash.number + 1


def _child(
    target: Target, rng_seed: int, start: int, end: int, slow_s: float, current: Any, out: Connection, home: str
) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    tempfile.tempdir = home
    check = target.check()
    _bound_memory()
    _try_all(target, rng_seed, start, end, slow_s, check, current, out)


def _try_all(
    target: Target, rng_seed: int, start: int, end: int, slow_s: float, check: Check, current: Any, out: Connection
) -> None:
    result, crashed = Result(), 0
    for number in range(start, end):
        current[0] = number
        given = made(target, rng_seed, number)
        began = time.process_time()
        try:
            found = check(given)
            result.outcomes.update([found] if isinstance(found, str) else found)
        except (Exception, SystemExit):
            result.crashes.append(Crash(target.name, number, "crash", traceback.format_exc()[-6000:]))
        took = time.process_time() - began
        result.slowest = max(result.slowest, (took, target.name, number))
        result.inputs += 1
        if took > slow_s:
            result.crashes.append(Crash(target.name, number, "hang", f"it took {took:.1f} s"))
        crashed += len(result.crashes)
        if number % 1000 == 0 or result.crashes:
            out.send(result)
            result = Result()
        if crashed >= MOST_CRASHES:
            break
    out.send(result)
    current[0] = end


def _bound_memory() -> None:
    if sys.platform == "linux":
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
        most = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _new_home() -> str:
    """A folder for a process's files, in memory if there is such a place."""
    try:
        return tempfile.mkdtemp(prefix="ralm-fuzz-", dir="/dev/shm")
    except OSError:
        return tempfile.mkdtemp(prefix="ralm-fuzz-")
