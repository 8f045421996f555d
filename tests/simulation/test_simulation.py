"""200 schedules of the simulation, and old faults put back; ``make simulate`` plays 20,000 more at each run."""

from pathlib import Path

import pytest

from .checks import Outcome
from .mutation import found, found_by
from .mutations import MUTATIONS
from .schedule import run
from .sums import Sums

SCHEDULES = 200
_SOME = 20
_SEARCHED = 20
"""Schedules that each old fault gets, from where it was found last: a small change of the code may move it a little."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("first", range(0, SCHEDULES, _SOME))
def test_what_is_promised_holds_under_every_schedule(first: int) -> None:
    wrong = [(outcome.number, outcome.wrong) for outcome in map(run, range(first, first + _SOME)) if outcome.wrong]
    assert not wrong, "again: python -m tests.simulation --schedule NUMBER"


def test_a_schedule_is_the_same_each_time() -> None:
    assert run(7) == run(7)
    assert run(7).happened != run(8).happened


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", sorted(found().keys() & MUTATIONS.keys()))
def test_an_old_fault_is_found(name: str) -> None:
    first = found()[name]
    number = found_by(name, range(first, first + _SEARCHED), run)
    assert number is not None, f'search it: python -m tests.simulation --mutations --mutation "{name}"'


def test_sums_go_on_from_run_to_run(tmp_path: Path) -> None:
    file = tmp_path / "sums" / "sums.json"
    sums = Sums.read(file)
    sums.add(Outcome(3, ["seeds"], {"crashes": 2}))
    sums.add(Outcome(4, [], {"crashes": 1, "clicks": 1000}))
    sums.next = 5
    sums.write(file)
    again = Sums.read(file)
    assert again == sums
    assert again.line() == "2 schedules, 1 wrong; 1,000 clicks, 3 crashes"
    assert again.wrong == [3]
