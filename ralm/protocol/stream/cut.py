"""What of a stream is learned from: the clicks before one moment, but those on some items that are withheld.

The withheld items, a fifth of those with 20 clicks or more, have no click in what is learned from; their clicks before
the cut are dropped altogether, so that they appear in the stream as new ones, without a seed.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions

WITHHELD = 0.2
"""Share of the items with enough clicks that is withheld."""
_LEAST_CLICKS = 20
"""Clicks that such an item must have."""
_HOUR_MS = 3_600_000
_MOST_SAME = 0.5
"""Share of the clicks at the same time as their user's click before that is not worth a word; MovieLens has 0.4."""
_OFTEN_SAME = (
    "{same:.0%} of the clicks come at the same time as their user's click before, and their order is not known. "
    "Requests stand before such a group of clicks, never within it, so that fewer of them lie "
    "in the middle of a session."
)


@dataclass(frozen=True)
class StreamCut:
    """One draw of a stream.

    Attributes:
        kept: the clicks that are learned from or streamed, the first of each user and item.
        learned: the clicks that are learned from.
        withheld: items that are new in the stream, bool[I].
        at: the cut, ms; later clicks, and those of that moment, are streamed.
    """

    kept: Interactions
    learned: Interactions
    withheld: NDArray[np.bool_]
    at: int


def cut_stream(data: Interactions, share: float, draw: int) -> StreamCut:
    """Cut a data set.

    Args:
        data: all clicks, with times.
        share: of the clicks that lies before the cut.
        draw: fixes which items are withheld.

    Raises:
        ValueError: when one side of the cut is empty, or too few items have enough clicks to withhold any.
    """
    data = first_clicks(data)
    times = np.sort(data.clicks_time)
    at = int(times[min(len(times) - 1, int(len(times) * share))]) if len(times) else 0
    before = data.clicks_time < at
    able = np.flatnonzero(np.bincount(data.clicks_item, minlength=data.items) >= _LEAST_CLICKS)
    withheld = np.zeros(data.items, bool)
    rng = np.random.default_rng(draw)
    withheld[rng.choice(able, int(len(able) * WITHHELD), replace=False)] = True
    learned = before & ~withheld[data.clicks_item]
    if not learned.any() or before.all() or not withheld.any():
        msg = (
            f"a cut at {share:g} leaves {int(learned.sum())} clicks to learn from and {int((~before).sum())} to "
            f"stream, with {int(withheld.sum())} new items; {len(able)} items have {_LEAST_CLICKS} clicks"
        )
        raise ValueError(msg)
    return StreamCut(data.only(learned | ~before), data.only(learned), withheld, at)


def first_clicks(data: Interactions) -> Interactions:
    """The first click of each user on each item; clicks that come again are dropped."""
    order = np.lexsort((data.clicks_time, data.clicks_item, data.clicks_user))
    users, items = data.clicks_user[order], data.clicks_item[order]
    again = np.zeros(len(order), bool)
    again[1:] = (users[1:] == users[:-1]) & (items[1:] == items[:-1])
    first = np.ones(len(order), bool)
    first[order[again]] = False
    return data.only(first)


def coarseness(data: Interactions) -> str:
    """What the times do not tell, when they are whole days, hours or parts of them, or often the same; else empty.

    A request can stand only between two moments: clicks of one moment have no order. So position in the session means
    little where a moment is as long as a session.
    """
    if not len(data.clicks_time):
        return ""
    unit = int(np.gcd.reduce(data.clicks_time - data.clicks_time.min()))
    same = np.zeros(len(data.clicks_time), bool)
    order = np.lexsort((data.clicks_time, data.clicks_user))
    users, times = data.clicks_user[order], data.clicks_time[order]
    same[1:] = (users[1:] == users[:-1]) & (times[1:] == times[:-1])
    if unit and unit < _HOUR_MS:
        return _OFTEN_SAME.format(same=same.mean()) if same.mean() > _MOST_SAME else ""
    length, name = (86_400_000, "days") if unit >= 86_400_000 else (_HOUR_MS, "hours")
    steps = f"times of whole {name}" if unit == length else f"times in steps of {unit / length:g} {name}"
    return (
        f"The clicks have {steps if unit else 'one time'}, too coarse for a session: {same.mean():.0%} of them come at "
        "the same time as their user's click before, and their order is not known. Requests stand before such a group "
        "of clicks, never within it, so that these figures say nothing of what happens in the middle of a session."
    )
