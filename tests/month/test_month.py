"""The month in its short forms: nine days. ``make month`` plays thirty."""

from pathlib import Path
from uuid import uuid4

import pytest

from .judge import judge
from .month import Month
from .plan import Plan


def play(plan: Plan, broker: str, folder: Path) -> list[str]:
    """What grows and what is wrong."""
    month = Month(plan, folder, broker, f"m{uuid4().hex[:8]}.")
    try:
        samples = list(month.play())
    finally:
        month.close()
    assert samples[-1].items > 40
    assert samples[-1].index > 15
    return [str(verdict) for verdict in judge(samples) if verdict.grows] + month.wrong


@pytest.mark.timeout(600)
def test_nothing_grows_while_items_bundles_and_partitions_change(broker: str, tmp_path: Path) -> None:
    assert not play(Plan(days=9, clicks=500, items=16, rng_seed=3, period=3, spans=2), broker, tmp_path)


@pytest.mark.timeout(600)
def test_four_times_the_messages_leave_the_same_state(broker: str, tmp_path: Path) -> None:
    assert not play(Plan(days=9, clicks=800, items=16, rng_seed=4, period=0, times=4, spans=1), broker, tmp_path)


def test_thirds_that_cannot_be_compared_are_refused() -> None:
    with pytest.raises(ValueError, match="not three parts of whole periods"):
        Plan(days=30, period=4)
    with pytest.raises(ValueError, match="not three parts of whole periods"):
        Plan(days=31, period=0)
