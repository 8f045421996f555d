"""The first thing that ``ralm`` runs: signals and standard streams are settled before anything is imported or opened.

A process with number 1, as in a container, gets no signal that it has no handler for; another dies of it. A flow that
has not begun has nothing to drain, so it ends with 0, as it does from then on (``flows/run.py``).
"""

import os
import signal
import sys
from types import FrameType

from flows.cli.streams import settle_streams

_STOPPED = b"ralm: stopped before it had begun: nothing was read\n"


def main() -> None:
    """Run the console script."""
    if sys.argv[1:2] == ["run"] and "--check" not in sys.argv:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop_before_the_start)
    elif os.getpid() == 1:
        signal.signal(signal.SIGTERM, _end)
    settle_streams()
    from flows.cli.main import main as console  # noqa: PLC0415 (it takes a tenth of a second, a flow's imports more)

    console()


def _stop_before_the_start(_: int, __: FrameType | None) -> None:
    try:
        os.write(2, _STOPPED)
    finally:
        os._exit(0)


def _end(number: int, _: FrameType | None) -> None:
    """What the system does where the process number is not 1, but with everything closed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
