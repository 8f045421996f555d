"""How training reports its progress."""

from collections.abc import Callable

Report = Callable[[str, int, int, float], None]
"""Called with the stage, epochs done, epochs in all, and the mean loss: NaN when the stage begins."""


def silent(_stage: str, _done: int, _total: int, _loss: float) -> None:
    """A report to nobody."""
