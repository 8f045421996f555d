"""What is written of progress where standard error is no terminal."""

import io
import re
from collections.abc import Callable
from threading import Event

import pytest
from rich.console import Console

from flows.support.progress import Bars


class Output(io.StringIO):
    """Notes when it holds enough lines."""

    def __init__(self) -> None:
        super().__init__()
        self.enough = Event()
        self.lines = 1

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.getvalue().count("\n") >= self.lines:
            self.enough.set()
        return written


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def shown(output: Output) -> Callable[[float], Bars]:
    return lambda every_s: Bars(Console(file=output, width=40), every_s)


def test_a_task_writes_a_line_when_it_begins_and_when_it_is_done(
    output: Output, shown: Callable[[float], Bars]
) -> None:
    with shown(3600.0) as progress:
        task = progress.add_task("sending", total=2000)
        assert re.fullmatch(r"sending  0/2,000  0:\d\d:\d\d\n", output.getvalue())
        progress.update(task, completed=1000)
        progress.update(task, completed=2000, note="[all] of a long line that is not to be broken at any width")
    last = output.getvalue().splitlines()[1]
    assert last.startswith("sending  2,000/2,000  0:0")
    assert last.endswith("[all] of a long line that is not to be broken at any width")


def test_a_task_that_goes_on_writes_lines_meanwhile(output: Output, shown: Callable[[float], Bars]) -> None:
    output.lines = 2
    with shown(0.01) as progress:
        task = progress.add_task("waiting", total=None)
        progress.update(task, note="for the broker")
        assert output.enough.wait(60)
    assert output.getvalue().splitlines()[-1].endswith("for the broker")


def test_a_task_that_is_done_writes_no_more_lines(output: Output, shown: Callable[[float], Bars]) -> None:
    output.lines = 5
    with shown(0.01) as progress:
        progress.update(progress.add_task("short", total=1), completed=1)
        progress.add_task("long", total=None)
        assert output.enough.wait(60)
    assert sum(line.startswith("short  1/1") for line in output.getvalue().splitlines()) == 1


def test_a_stage_of_training_is_there_before_its_first_epoch_is_done(
    output: Output, shown: Callable[[float], Bars]
) -> None:
    with shown(3600.0) as progress:
        progress.on_epoch("user tower", 0, 3, float("nan"))
        assert re.fullmatch(r"user tower  0/3  0:\d\d:\d\d\n", output.getvalue())
        progress.on_epoch("user tower", 3, 3, 0.5)
    assert output.getvalue().endswith("loss 0.5000\n")


def test_a_short_count_writes_nothing(output: Output, shown: Callable[[float], Bars]) -> None:
    with shown(3600.0) as progress:
        count = progress.counter("reading")
        count(1, 2)
        count(2, 2)
    assert output.getvalue() == ""


def test_a_terminal_gets_bars(output: Output) -> None:
    with Bars(Console(file=output, width=100, force_terminal=True)) as progress:
        progress.add_task("sending", total=2)
    assert "━" in output.getvalue()
    assert "0/2" in output.getvalue()
