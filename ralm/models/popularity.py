"""Popularity: every user gets the same ranking, the items that most have clicked."""

import numpy as np

from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists


class Popularity:
    """Scores an item by its distinct clickers, which are its seeds; it learns nothing of users."""

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Count the distinct clickers of each item; no choice is random."""
        pairs = np.unique(clicks.clicks_item * np.int64(clicks.users) + clicks.clicks_user)
        self._clickers = np.bincount(pairs // clicks.users, minlength=clicks.items)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """The items' clickers, the same for all users, float32[U, I]."""
        return _for_all(users, self._clickers[items])

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The items' seeds, the same for all users, float32[U, I]."""
        return _for_all(users, seeds.counts)


def _for_all(users: Ints, counts: Ints) -> Floats:
    return np.tile(counts.astype(np.float32), (len(users), 1))
