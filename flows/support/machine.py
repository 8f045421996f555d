"""The machine: what a measurement was made on, how many cores a process may use and how many files it may open."""

import math
import os
import platform
import resource
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

_ENOUGH_FILES = 65_536
_CGROUPS, _OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_MANY_THREADS = 4096
"""A user who may have so many threads and processes has enough, however many others there are."""
_UNIFIED = "0::"
"""How the line of cgroup v2 begins; the older form has one for each controller, ``N:cpu,cpuacct:PATH``."""
_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of a container's own control group, in both versions of them."""
_NO_LIMIT = 1 << 60
"""The first version says a number beyond this where there is none."""


def describe_machine() -> str:
    """Processor, cores, Python and the versions that matter, in one line."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("bytewax", "confluent-kafka", "rocksdict", "numpy"))
    return f"{processor()}, {packages}"


def processor() -> str:
    """Processor, cores and Python."""
    model = "unknown processor"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return f"{model}, {cores()} cores, Python {platform.python_version()}"


def cores(groups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int:
    """How many cores this process may keep busy: those that it may run on, as far as its share of time goes.

    A container with a limit of 0.5 runs on each core of the machine, and gets half the time of one.

    Args:
        groups: where the system shows its control groups.
        own: the file that says in which of them this process is.
    """
    allowed = len(os.sched_getaffinity(0))
    return max(1, min(allowed, math.ceil(min(_shares(groups, own), default=allowed))))


def _shares(groups: Path, own: Path) -> Iterator[float]:
    """How many cores' time this process's control groups get; none where nothing limits them."""
    for quota, period in _limits(groups, own, "cpu", ("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        if quota > 0 and period > 0:
            yield quota / period


def threads_to_be_had(wanted: int, groups: Path = _CGROUPS, own: Path = _OWN_CGROUP) -> int:
    """How many of so many threads could be started now; all are, where no limit is near.

    Args:
        wanted: how many are needed.
        groups: where the system shows its control groups.
        own: the file that says in which of them this process is.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    files = ("pids.max", "pids.current")
    near = any(most - now < wanted for most, now in _limits(groups, own, "pids", files, files))
    if not near and (soft == resource.RLIM_INFINITY or soft >= _MANY_THREADS):
        return wanted
    began, end = 0, threading.Event()
    try:
        for _ in range(wanted):
            threading.Thread(target=end.wait, daemon=True).start()
            began += 1
    except RuntimeError:
        pass
    finally:
        end.set()
    return began


def _limits(
    groups: Path, own: Path, controller: str, unified: tuple[str, ...], older: tuple[str, ...]
) -> Iterator[tuple[int, int]]:
    """Two numbers of each of this process's control groups, one around the other; nothing of those without a limit.

    Args:
        groups: where the system shows them.
        own: the file that says in which of them this process is.
        controller: whose limit it is.
        unified: the files with the numbers in cgroup v2.
        older: the files with the numbers in cgroup v1.
    """
    try:
        lines = own.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    for line in lines or [f"{_UNIFIED}/"]:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        is_unified = line.startswith(_UNIFIED)
        if not is_unified and controller not in controllers.split(","):
            continue
        top = groups if is_unified else groups / controller
        inside = Path(path.lstrip("/"))
        for folder in (top / inside, *(top / each for each in inside.parents)):
            try:
                texts = [(folder / name).read_text() for name in (unified if is_unified else older)]
                first, second = " ".join(texts).split()
                yield int(first), int(second)
            except (OSError, ValueError):  # "max", or another system, or a container that sees another part of the tree
                continue


def file_limit() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _ENOUGH_FILES if soft == resource.RLIM_INFINITY else soft


def address_space() -> int | None:
    """How many bytes of addresses this process may have, None where nothing limits them."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def memory_limit() -> int | None:
    """How many bytes of memory this process's container may have, None where nothing limits it."""
    for file in _MEMORY_LIMITS:
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):  # "max", or another system
            continue
        return limit if limit < _NO_LIMIT else None
    return None


def raise_file_limit() -> None:
    """Let this process open as many files as its user may allow it to.

    What a shell or a service manager starts may often open 1,024, and could have more for the asking.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_FILES)
    if file_limit() < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
