"""Watches over a command that reads what others wrote: where the Kafka client ends it, that is said, and done again.

A damaged batch can make the client library abort the process, and one that unfolds to gigabytes can have the system
kill it, with no message. So the command is a child of ours, made before anything is imported; where it ends so it is
begun anew, and reads batch by batch, in processes of their own, which finds the batch (``flows/kafka/scout.py``).
"""

# Nothing heavy: whatever is imported here, both processes have.
import _signal  # type: ignore[import-not-found]
import os
import sys
from contextlib import suppress

from flows.support import ends

_BY_BATCH = b"it is read again, each batch in a process of its own"
_HOW_AGAIN = {
    "dead-letters": _BY_BATCH,
    "run": _BY_BATCH,  # its --check: a flow finds such a batch at its next start, and by itself
    "ask": b"it asks once more, and reads only what comes after that",
}
"""The commands that read what others wrote, and how each does it once more."""
_FORWARDED = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
_DIES_WITH_PARENT = 1
_AGAIN = b"ralm: what was read ended the command (signal %d): "
_NO_BATCH = b"ralm: the command was ended again (signal %d), and not by a batch: look how much memory there is left\n"


def watch_over_command() -> None:
    """Return in a process that may die; the one that called this waits for it, and ends as it does."""
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    if command not in _HOW_AGAIN or "--help" in sys.argv or (command == "run" and "--check" not in sys.argv):
        return
    for words in (_AGAIN + _HOW_AGAIN[command] + b"\n", _NO_BATCH):
        try:
            child = _fork(again=words is _NO_BATCH)
        except OSError:  # no more processes, or no memory for one: what it needs, the command says by itself
            return
        if not child:
            return
        number = _ended(child)
        with suppress(OSError):  # standard error may be closed, or full
            os.write(2, words % number)
    os._exit(1)


def _fork(*, again: bool) -> int:
    parent = os.getpid()
    child = os.fork()
    if not child:
        _die_with(parent)
        ends.once = again
    return child


def _ended(child: int) -> int:
    """Wait for the child; by which of the signals it died. Does not return where it ended otherwise."""
    heard = [number for number in _FORWARDED if _signal.getsignal(number) != _signal.SIG_IGN]
    before = {number: _signal.signal(number, lambda number, _: os.kill(child, number)) for number in heard}
    status = os.waitpid(child, 0)[1]
    for number, handler in before.items():
        _signal.signal(number, handler)
    if not os.WIFSIGNALED(status):
        os._exit(os.waitstatus_to_exitcode(status))
    number = os.WTERMSIG(status)
    if number not in ends.CRASHES:
        _signal.signal(number, _signal.SIG_DFL)
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    return number


def _die_with(parent: int) -> None:
    """Have the system end this process with its parent, where it can."""
    try:
        import ctypes  # noqa: PLC0415 (a command alone needs it)

        ctypes.CDLL(None).prctl(_DIES_WITH_PARENT, int(_signal.SIGTERM))
    except (OSError, AttributeError, ImportError):
        return  # only Linux has it
    if os.getppid() != parent:
        os._exit(1)
