"""The first thing that ``ralm`` runs: signals and standard streams are settled before anything is imported or opened.

A process with number 1, as in a container, gets no signal that it has no handler for; another dies of it. A flow that
has not begun has nothing to drain, so it ends with 0, as it does from then on (``flows/run.py``).
"""

# Nothing else before the handlers are there: ``signal`` brings ``enum`` and ``re``, and takes as long as all of main().
import _signal  # type: ignore[import-not-found]
import os
import sys

_STOPPED = b"ralm: stopped before it had begun: nothing was read\n"


def main() -> None:
    """Run the console script."""
    if sys.argv[1:2] == ["run"] and "--check" not in sys.argv:
        for number in (_signal.SIGTERM, _signal.SIGINT):
            _signal.signal(number, _stop_before_the_start)
    elif os.getpid() == 1:
        _signal.signal(_signal.SIGTERM, _end)
    from flows.cli.streams import settle_streams  # noqa: PLC0415 (likewise)

    settle_streams()
    from flows.cli.main import main as console  # noqa: PLC0415 (it takes a tenth of a second, a flow's imports more)

    console()


def _stop_before_the_start(_: int, __: object) -> None:
    try:
        os.write(2, _STOPPED)
    finally:
        os._exit(0)


def _end(number: int, _: object) -> None:
    """What the system does where the process number is not 1, but with everything closed."""
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
