"""A stream that takes everything, and loses what cannot be written: nothing ends because its log is full or closed."""

import io
from typing import Any


class LossyFile(io.FileIO):
    """Takes everything, and loses what cannot be written."""

    def write(self, data: Any) -> int:
        """Write, or lose it; how many bytes were taken: all."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        try:
            while rest:
                written = super().write(rest)
                if not written:  # a full pipe that does not block
                    break
                rest = rest[written:]
        except OSError:
            pass
        return size


def lossy_text(number: int, encoding: str = "utf-8", *, closes: bool = False) -> io.TextIOWrapper:
    """Text of any characters, written at once to a descriptor as far as that takes it.

    Args:
        number: the descriptor.
        encoding: of the text; what it does not have is written as an escape.
        closes: whether it is closed with the stream.
    """
    return io.TextIOWrapper(
        io.BufferedWriter(LossyFile(number, "w", closefd=closes)),
        encoding,
        errors="backslashreplace",
        line_buffering=True,
        write_through=True,
    )
