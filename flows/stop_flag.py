"""Says that the flow is to stop; a signal sets it, in the middle of anything."""

import os


class StopFlag:
    """A flag that takes no lock, so that a signal's handler may set it whatever the thread that it interrupts holds."""

    def __init__(self) -> None:
        self._set = False
        self._told, self._tell = os.pipe()

    def set(self, number: int) -> None:
        """Set it.

        Args:
            number: the signal's.
        """
        self._set = True
        os.write(self._tell, bytes([number]))

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def wait(self) -> int:
        """Wait until it is set; the signal's number."""
        return os.read(self._told, 1)[0]
