"""Activity: the users who click much come first, whatever the item. The control beside every figure.

A user who clicks much looks like everybody's seed, so a look-alike model may owe much of its figure to this alone.
"""

import numpy as np

from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists


class Activity:
    """Scores a user by all clicks it was fitted with; it learns nothing of items."""

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Count the clicks of each user; no choice is random."""
        self._clicks = np.bincount(clicks.clicks_user, minlength=clicks.users).astype(np.float32)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """The users' clicks, the same for all items, float32[U, I]."""
        return self._for_all(users, len(items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The users' clicks, the same for all items, float32[U, I]."""
        return self._for_all(users, seeds.items)

    def _for_all(self, users: Ints, items: int) -> Floats:
        return np.repeat(self._clicks[users, None], items, axis=1)
