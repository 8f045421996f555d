"""The first thing that ``ralm`` runs: signals and standard streams are settled before anything is imported or opened.

A process with number 1, as in a container, gets no signal that it has no handler for; another dies of it. A flow that
has not begun has nothing to drain, so it ends with 0, as it does from then on (``flows/run.py``).

Before this line the interpreter starts, and no program can have a handler. Whoever starts us may hold the signals back
until we have one: ``env --block-signal=TERM,INT ralm run ...``.
"""

# Nothing else before the handlers are there: ``signal`` brings ``enum`` and ``re``, and takes as long as all of main().
import _signal  # type: ignore[import-not-found]
import os
import sys

_STOPPED = b"ralm: stopped before it had begun: nothing was read\n"
_STOPS = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)


def main() -> None:
    """Run the console script."""
    flow = sys.argv[1:2] == ["run"] and "--check" not in sys.argv
    _begin_anew_with_utf8()
    _settle_signals(flow)
    from flows.cli.watch import watch_over_command  # noqa: PLC0415 (it takes no time)

    watch_over_command()
    from flows.cli.streams import settle_streams  # noqa: PLC0415 (likewise)

    settle_streams()
    from flows.cli.main import main as console  # noqa: PLC0415 (it takes a tenth of a second, a flow's imports more)

    try:
        console(drains=flow)
    except SystemExit as end:
        if end.code != 128 + _signal.SIGINT:
            raise
        # The interpreter then ends by the signal itself, which is how a shell knows to leave a loop.
        sys.excepthook = _say_nothing
        raise KeyboardInterrupt from None


def _begin_anew_with_utf8() -> None:
    """Begin anew with UTF-8 where the interpreter runs without it in a locale of ASCII alone.

    It could name no file, user or item that is not ASCII, whatever bytes the command line has. Signals that come on the
    way are held back until there are handlers.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1" or not sys.executable:
        return
    if sys.getfilesystemencoding() == "ascii":
        os.environ["PYTHONUTF8"] = "1"
        _signal.pthread_sigmask(_signal.SIG_BLOCK, _STOPS)
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 (ourselves)


def _settle_signals(flow: bool) -> None:
    """Have a handler for each signal that could come, and let those come that were held back."""
    for number in _STOPS:
        ignored = _signal.getsignal(number) == _signal.SIG_IGN
        if number == _signal.SIGHUP and ignored:  # nohup
            continue
        if flow:
            _signal.signal(number, _stop_before_the_start)
        elif os.getpid() == 1:
            _signal.signal(number, _end)
        elif not ignored:
            _signal.signal(number, _signal.SIG_DFL)  # Python's own would show where in an import it was
    if flow:
        _signal.signal(_signal.SIGUSR1, _signal.SIG_IGN)  # it releases a brake, and nothing is held yet
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, (*_STOPS, _signal.SIGUSR1))


def _stop_before_the_start(_: int, __: object) -> None:
    try:
        os.write(2, _STOPPED)
    finally:
        os._exit(0)


def _end(number: int, _: object) -> None:
    """What the system does where the process number is not 1, but with everything closed."""
    sys.exit(128 + number)


def _say_nothing(*_: object) -> None:
    pass


if __name__ == "__main__":
    main()
