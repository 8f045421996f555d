"""Waiting for what other threads and processes do."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float = 120.0) -> T:
    """Call a condition until it is true; returns what it returned then, and fails after so many seconds."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"still {found!r} after {seconds} s"
        time.sleep(0.05)
    return found


def close_in_time(close: Callable[[], object], seconds: float = 15.0) -> bool:
    """Close a client, or go on without: librdkafka may wait for ever for a broker that says nothing, or is gone.

    Returns:
        Whether it is closed; if not, a thread that no exit waits for goes on with it.
    """
    closing = threading.Thread(target=close, name="close", daemon=True)
    closing.start()
    closing.join(seconds)
    return not closing.is_alive()
