"""Whether two models differ by more than chance: a paired bootstrap over what they were both asked.

A difference of two means over the same users (or items) is taken again and again over as many users drawn with
replacement (Efron 1979). Its spread says how far the difference hangs on who happened to be asked, which the spread
over runs does not say.
"""

from dataclasses import dataclass

import numpy as np

from ralm.accuracy import Doubles

DRAWS = 2000
_ROWS = 1 << 22
"""Most numbers in one intermediate array."""


@dataclass(frozen=True)
class PairedDifference:
    """How much better one model is than another.

    Attributes:
        mean: of the differences.
        low: of the interval that holds 95% of the draws.
        high: its other end.
        p: twice the share of draws on the other side of 0, at least one draw and at most 1.
    """

    mean: float
    low: float
    high: float
    p: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def paired_difference(ours: Doubles, theirs: Doubles, rng_seed: int = 0, draws: int = DRAWS) -> PairedDifference:
    """The mean difference of two models' figures, and how sure it is.

    Args:
        ours: a figure of each user or item, float64[n]; NaN where nothing was asked.
        theirs: of the same ones, in the same order.
        rng_seed: fixes the draws.
        draws: how many.

    Raises:
        ValueError: when they are not of the same users or items, or none has both figures.
    """
    if ours.shape != theirs.shape:
        msg = f"{len(ours)} and {len(theirs)} figures cannot be paired"
        raise ValueError(msg)
    apart = (ours - theirs)[np.isfinite(ours) & np.isfinite(theirs)]
    if not len(apart):
        msg = "nothing was asked of both models"
        raise ValueError(msg)
    rng, means, rows = np.random.default_rng(rng_seed), [], max(1, _ROWS // len(apart))
    for start in range(0, draws, rows):
        drawn = rng.integers(0, len(apart), (min(rows, draws - start), len(apart)))
        means.append(apart[drawn].mean(axis=1))
    every = np.concatenate(means)
    low, high = np.quantile(every, (0.025, 0.975))
    beyond = min((every <= 0).mean(), (every >= 0).mean())
    return PairedDifference(float(apart.mean()), float(low), float(high), float(min(1.0, 2 * max(beyond, 1 / draws))))
