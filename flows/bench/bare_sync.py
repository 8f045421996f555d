"""A bare process that appends and syncs until its input ends: what the disk and the machine make of that alone.

``python -m flows.bench.bare_sync FILE BYTES PAUSE_S`` prints how often it did, and the longest time in seconds.
"""

import os
import select
import sys
import time


def main(file: str, size: int, pause_s: float) -> None:
    """Append ``size`` bytes and sync them, again and again."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    data, longest, count = os.urandom(size), 0.0, 0
    while not select.select([sys.stdin], [], [], pause_s)[0]:
        began = time.perf_counter()
        os.write(handle, data)
        os.fsync(handle)
        longest = max(longest, time.perf_counter() - began)
        count += 1
    os.close(handle)
    sys.stdout.write(f"{count} {longest:.6f}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
