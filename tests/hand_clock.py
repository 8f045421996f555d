"""A clock that a test sets by hand."""


class HandClock:
    """Says ``now``, in seconds.

    Args:
        now: what it says first.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
