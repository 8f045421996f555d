"""What a measurement was made on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path


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
