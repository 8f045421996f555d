"""Which clicks and which items a training step sees (section 5.2 of the paper)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions, Ints


def log_uniform_probability(ranks: Ints, count: int) -> NDArray[np.float64]:
    """Eq. 3: ``p(x) = (log(k + 2) - log(k + 1)) / log(D + 1)``, k the 0-based rank by frequency, D the item count.

    >>> float(log_uniform_probability(np.arange(1000), 1000).sum().round(9))
    1.0
    """
    probability: NDArray[np.float64] = (np.log(ranks + 2.0) - np.log(ranks + 1.0)) / np.log(count + 1.0)
    return probability


@dataclass(frozen=True)
class NegativeSampler:
    """Draws items by eq. 3; frequent items more often.

    Attributes:
        by_rank: items, the most frequent first, int64[D].
    """

    by_rank: Ints

    @classmethod
    def of_clicks(cls, clicked: Ints, items: int) -> "NegativeSampler":
        """Rank ``items`` items by their clicks, int64[n]."""
        return cls(np.argsort(-np.bincount(clicked, minlength=items), kind="stable"))

    def log_probability(self) -> NDArray[np.float32]:
        """The logarithm of eq. 3 for each item, float32[D]."""
        ranks = np.empty(len(self.by_rank), np.int64)
        ranks[self.by_rank] = np.arange(len(ranks))
        return np.log(log_uniform_probability(ranks, len(ranks))).astype(np.float32)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
        """Items, int64 of a shape; the closed form of eq. 3's inverse: ``k = floor((D + 1)^U) - 1``."""
        count = len(self.by_rank)
        ranks = np.floor(np.exp(rng.random(shape) * np.log(count + 1.0))).astype(np.int64) - 1
        drawn: Ints = self.by_rank[np.minimum(ranks, count - 1)]
        return drawn


def bounded_positives(rng: np.random.Generator, users: Ints, most: int) -> Ints:
    """Choose at most ``most`` clicks of each user, so that busy users do not rule the loss.

    Args:
        rng: random generator.
        users: user of each click, int64[n].
        most: the most clicks of a user.

    Returns:
        The chosen clicks' places, ascending.
    """
    order = np.lexsort((rng.random(len(users)), users))
    ordered = users[order]
    start = np.searchsorted(ordered, ordered)
    return np.sort(order[np.arange(len(users)) - start < most])


def times_before(rng: np.random.Generator, data: Interactions, rows: Ints, far: float) -> Ints:
    """As of when the users of some clicks are looked at: just before the click, or at a random earlier click of theirs.

    What is asked of a score is what a user clicks some time later, not only next.

    Args:
        rng: random generator.
        data: the clicks.
        rows: places of clicks, int64[B].
        far: share of the clicks that are looked at from a random earlier moment.

    Returns:
        int64[B], ms, none later than the click.
    """
    start = np.searchsorted(data.clicks_user, data.clicks_user[rows])
    back = np.where(rng.random(len(rows)) < far, rng.random(len(rows)), 0.0)
    place = rows - np.floor(back * (rows - start + 1)).astype(np.int64)
    times: Ints = data.clicks_time[place]
    return times
