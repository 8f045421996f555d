"""Standard streams that may be closed, full, or a pipe that nobody reads any more.

What is written to standard error is lost then, and the process goes on: a flow does not end because its log cannot be
written. Standard output is what a command was asked for, so there it is an error that names the stream.
"""

import io
import os
import sys
from typing import Any

from flows.support.lossy import lossy_text

OUTPUT = "standard output"
"""What an error of the system names where standard output cannot be written."""
_INPUT, _OUTPUT, _ERROR = range(3)


class _Named(io.FileIO):
    """Says in its errors which stream it is."""

    def write(self, data: Any) -> int:
        """Write; how many bytes were.

        Raises:
            OSError: names ``OUTPUT``.
        """
        try:
            return super().write(data)
        except OSError as error:
            error.filename = OUTPUT
            raise


def settle_streams() -> None:
    """Make standard output and standard error ones that can be relied on; call it before anything else is opened.

    A closed descriptor is opened again, since the next file or socket would get its number, and with it whatever a
    library writes to standard error. What takes the place of a closed standard output refuses to be written.
    """
    for number, mode in ((_INPUT, os.O_RDONLY), (_OUTPUT, os.O_RDONLY), (_ERROR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, mode)  # the lowest number that is free, which is this one
    sys.stdout = _text(_Named(_OUTPUT, "w", closefd=False), sys.stdout)
    sys.stderr = _error()


def drop_output() -> None:
    """Lose what was not written to standard output, so that the interpreter does not fail at it once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _OUTPUT)
    os.close(nowhere)


def _error() -> io.TextIOWrapper:
    before: Any = sys.stderr
    if before is not None:
        before.flush()
    return lossy_text(_ERROR, getattr(before, "encoding", None) or "utf-8")


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    """A text stream as the interpreter makes it, but for characters that its encoding does not have."""
    encoding = getattr(before, "encoding", None) or "utf-8"
    if before is not None:
        before.flush()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors="backslashreplace", line_buffering=raw.isatty())
