"""What a ranking at one moment is worth: is one of the user's next clicks among its first places?

The one judge of rankings in a stream, for answers that were served (the demo) and for methods side by side (the
streaming protocol). *Wanted* are the user's next 10 clicks from the request on. What the user had clicked is not
ranked. A *group* narrows both, ranking and wanted items, to some items, such as the tail; a request of which the group
has nothing that is wanted is not judged there. A hit is a wanted item among the first 10 places.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ralm.accuracy import hits
from ralm.features import Floats, Ints
from ralm.protocol.exposure import TAIL

PLACES = 10
"""Places of a ranking that are looked at."""
NEXT_CLICKS = 10
"""Clicks from the request on that are wanted."""

Bools = NDArray[np.bool_]


def tail_of(clicks: Ints) -> Bools:
    """The tail of a catalogue, the less clicked 80% of its items; of equally clicked ones the later numbers.

    Args:
        clicks: so far, of every item, int64[I].

    Returns:
        bool[I].

    >>> tail_of(np.array([9, 1, 3, 1, 1])).tolist()
    [False, True, True, True, True]
    """
    tail = np.zeros(len(clicks), bool)
    tail[np.argsort(-clicks, kind="stable")[round((1 - TAIL) * len(clicks)) :]] = True
    return tail


def first_places(scores: Floats, allowed: Bools, rng: np.random.Generator | None = None) -> Ints:
    """The best allowed items of each request.

    Args:
        scores: float32[R, I], more is better.
        allowed: which items are ranked, bool[R, I].
        rng: draws the order of equal scores, one for all requests. None: by their numbers, and best first, for which
            every score is sorted.

    Returns:
        int64[R, at most PLACES], -1 where no more are allowed.
    """
    values = np.where(allowed, -scores, np.inf)
    places = min(PLACES, values.shape[1])
    if rng is None or places == values.shape[1]:
        best = np.argsort(values, axis=1, kind="stable")[:, :places]
    else:
        order = rng.permutation(values.shape[1])
        best = order[np.argpartition(values[:, order], places - 1, axis=1)[:, :places]]
    return np.where(np.take_along_axis(allowed, best, axis=1), best, -1)


def judged_requests(wanted: Bools, groups: Mapping[str, Bools]) -> dict[str, Bools]:
    """Which requests each group judges, bool[R]: those with a wanted item (bool[R, I]) in the group (bool[I])."""
    return {name: _any(wanted & group) for name, group in groups.items()}


def hits_by_group(
    scores: Floats,
    allowed: Bools,
    wanted: Bools,
    groups: Mapping[str, Bools],
    rng: np.random.Generator | None = None,
) -> dict[str, Bools]:
    """Which requests a ranking hits, in each group.

    Args:
        scores: float32[R, I].
        allowed: which items may be ranked, bool[R, I].
        wanted: bool[R, I].
        groups: of each the items, bool[I].
        rng: as `first_places` takes it.

    Returns:
        Of each group bool[R].
    """
    return {
        name: _any(hits(first_places(scores, allowed & group, rng), wanted & group)) for name, group in groups.items()
    }


def _any(rows: Bools) -> Bools:
    """Which rows have any, bool[R]."""
    found: Bools = np.any(rows, axis=1).reshape(-1)
    return found
