"""Progress bars on standard error, for everything that takes longer than a moment."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


def bars() -> Progress:
    """Bars with counts and time."""
    return Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
    )


@contextmanager
def epoch_bars() -> Iterator[Callable[[str, int, int, float], None]]:
    """A bar for each stage of training; gives what training calls after each epoch."""
    tasks: dict[str, TaskID] = {}
    with bars() as progress:

        def told(stage: str, done: int, epochs: int, loss: float) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=epochs, note="")
            progress.update(tasks[stage], completed=done, note=f"loss {loss:.4f}")

        yield told
