"""What grows is found, and what goes up and down is not taken for growth."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from .judge import BOUNDS, judge
from .sample import Sample

_USUAL = {each.name: 100 for each in fields(Sample)}


def month(**changed: Callable[[int], float]) -> list[Sample]:
    """Thirty days that are alike but for some measures, which follow the day."""
    made: list[dict[str, Any]] = [{**_USUAL, "day": day} for day in range(1, 31)]
    return [Sample(**{**day, **{name: rule(day["day"]) for name, rule in changed.items()}}) for day in made]


def growing(samples: list[Sample]) -> list[str]:
    return [verdict.name for verdict in judge(samples) if verdict.grows]


def test_everything_that_is_sampled_is_judged() -> None:
    assert set(BOUNDS) == {each.name for each in fields(Sample)} - {"day", "clicks", "logs_mib"}


@pytest.mark.parametrize("name", BOUNDS)
def test_what_grows_day_by_day_is_found(name: str) -> None:
    assert growing(month(**{name: lambda day: 100 + 20 * day})) == [name]


@pytest.mark.parametrize("name", BOUNDS)
def test_what_has_grown_at_once_is_found(name: str) -> None:
    assert growing(month(**{name: lambda day: 400 if day > 20 else 100})) == [name]


@pytest.mark.parametrize("name", BOUNDS)
def test_what_was_filled_at_first_is_flat(name: str) -> None:
    assert not growing(month(**{name: lambda day: min(day, 10)}))


def test_what_goes_up_and_down_is_flat() -> None:
    noise = np.random.default_rng(3).integers(-4, 5, 31).tolist()
    assert not growing(month(state_mib=lambda day: 100 + noise[day], rss_mib=lambda day: 100 + day % 5))


def test_one_bad_day_is_no_growth() -> None:
    assert not growing(month(log_kib=lambda day: 9000 if day == 25 else 100))
