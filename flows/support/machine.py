"""The machine: what a measurement was made on, and how many files a process may have open."""

import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path

_ENOUGH_FILES = 65_536
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
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"


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
