"""How exposure is spread over the items: the item side of the experiment (section 6 of the paper, online table).

An item's exposure is how many of the judged users have it among their best.
"""

import numpy as np
from numpy.typing import NDArray

from ralm.features import Ints

TAIL = 0.8
"""Share of the items that is the tail: those with the fewest seeds."""


def exposure(best: Ints, items: int) -> Ints:
    """Exposures of each item, int64[I], from the best items of each user, int64[U, k] (-1 for none)."""
    return np.bincount(best[best >= 0], minlength=items)


def coverage(exposed: Ints) -> float:
    """Share of the items that have any exposure."""
    return float((exposed > 0).mean())


def gini(exposed: Ints) -> float:
    """Gini coefficient: ``G = sum_i (2 i - n - 1) x_i / (n sum_i x_i)``, x ascending, i from 1.

    0: every item has the same exposure; near 1: one item has it all. So *higher is less even*. (The paper reports a
    "Gini coefficient +5.36%" as an improvement and gives no formula.)

    >>> gini(np.array([2, 2, 2])), round(gini(np.array([0, 0, 9])), 3)
    (0.0, 0.667)
    """
    x = np.sort(exposed)
    n = len(x)
    return float(((2 * np.arange(1, n + 1) - n - 1) * x).sum() / (n * max(1, x.sum())))


def lorenz(exposed: Ints) -> NDArray[np.float64]:
    """The Lorenz curve: the share of the exposure of the i least exposed of n items, i from 0 to n, float64[n + 1]."""
    total: NDArray[np.float64] = np.concatenate([[0], np.cumsum(np.sort(exposed))]) / max(1, exposed.sum())
    return total


def tail_share(exposed: Ints, seeds: Ints) -> float:
    """Share of the exposure that goes to the tail.

    Args:
        exposed: int64[I].
        seeds: how many seeds each item has, int64[I].
    """
    tail = np.argsort(seeds, kind="stable")[: round(len(seeds) * TAIL)]
    return float(exposed[tail].sum() / max(1, exposed.sum()))
