"""Kinds of schedules that come seldom: in each, what other schedules hardly ever come to happens again and again.

Of twenty schedules four are of them. What is drawn for the others is drawn as if there were none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final


@dataclass(frozen=True)
class Kind:
    """What is fixed in a kind of schedules; all else is drawn as usual.

    Attributes:
        rules: attributes of ``Rules``.
        habits: attributes of ``Habits``.
        weights: how often something happens.
        partitions: how many there are at first; 0: as usual.
        grows: whether clicks grow at times; None: as usual.
        loses: how likely a store is lost between two lives; None: as usual.
        switches: how likely the model is another one in the next life; None: as usual.
        halves: how likely a process that is to crash does so within one of its first epochs' ends.
        lives: how often the process ends, one of these.
        listed: whether all items are listed from the beginning.
        stops: whether time passes, and clicks come, while no process runs; the one before died of a delivery at times.
        lags: whether one partition gets clicks long after another when clicks grow, late ones last.
        loses_grown: whether stores are lost once clicks have grown, too.
        restores: how likely a store is replaced by an older copy of itself between two lives, as from a backup.
        alters: how likely the settings are others in the next life.
        breaks: how likely a topic is made anew between two lives, or loses messages that were read, or were not.
        reloads: how likely the scorer that reads along begins anew with the next life.
    """

    rules: Mapping[str, Any] = field(default_factory=dict)
    habits: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    partitions: int = 0
    grows: bool | None = None
    loses: float | None = None
    switches: float | None = None
    halves: float = 0.3
    lives: tuple[int, ...] = (1, 2, 4)
    listed: bool = False
    stops: bool = False
    lags: bool = False
    loses_grown: bool = False
    restores: float = 0
    alters: float = 0
    breaks: float = 0
    reloads: float = 0


USUAL: Final = Kind()

_SEVERAL: Final = {"window": 1000, "lateness": 0, "max_items": 1000, "max_listings": 1000}

KINDS: Final = {
    # An item is listed and taken down in turn, and clustered in between; processes die between an epoch's halves.
    "to and fro": Kind(
        rules={**_SEVERAL, "min_seeds": 1, "item_ttl": 0, "retention": 0, "only_listed": False, "idle_after": 0},
        habits={"few_items": 0.9, "users": 24},
        weights={"waver": 2, "sweep": 0, "list": 0.1},
        loses=0,
        switches=0.1,
        halves=1,
        lives=(1, 1, 2),
    ),
    # Sets end by gaps, while a process stands still too, and what follows is too small.
    "gaps": Kind(
        rules={**_SEVERAL, "min_seeds": 3, "item_ttl": 1500, "retention": 0, "only_listed": False, "max_seeds": 1000},
        habits={"few_items": 0.6, "users": 24, "most": 11, "late": 0.02, "fast": 0, "retires": 0},
        weights={"list": 0, "sweep": 0, "click": 1.5, "clock": 3, "epoch": 0.7},
        grows=False,
        loses=0,
        switches=0,
        lives=(1,),
        listed=True,
        stops=True,
    ),
    # Clicks grow while one partition is behind another, whose last clicks were late.
    "lags": Kind(
        rules={**_SEVERAL, "item_ttl": 0, "retention": 0, "only_listed": False, "min_seeds": 1, "max_seeds": 1000},
        habits={"few_items": 0.3, "users": 24},
        partitions=2,
        grows=True,
        switches=0.1,
        loses=0,
        lags=True,
    ),
}

LOST_AFTER_GROWTH: Final = Kind(partitions=2, grows=True, loses=0, loses_grown=True)


LATER_KINDS: Final = (
    Kind(restores=0.6, grows=False, reloads=0.3),
    Kind(alters=0.8, grows=False, lives=(2, 4, 6), reloads=0.3),
    Kind(breaks=0.8, grows=False, loses=0, lives=(2, 4, 6), reloads=0.3),
)
"""What an operator does between two lives."""


def kind_of(number: int) -> Kind:
    """The kind of a schedule; ``USUAL`` of most."""
    if number % 20 == 2:
        return LOST_AFTER_GROWTH
    if number % 10 == 7:
        return LATER_KINDS[number // 10 % len(LATER_KINDS)]
    if number % 20 == 12:
        return KINDS[Random(f"kind of {number}").choice(sorted(KINDS))]
    return USUAL
