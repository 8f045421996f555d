"""How training tells of its progress."""

from collections.abc import Callable

Report = Callable[[str, int, int, float], None]
"""Told of progress: the stage, epochs done, epochs in all, and the mean loss."""


def silent(_stage: str, _done: int, _total: int, _loss: float) -> None:
    """A report to nobody."""
