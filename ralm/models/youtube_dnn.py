"""YouTube DNN: the user tower and the items' table alone, as the paper compares it (section 6.1.2)."""

import numpy as np

from ralm.features import Floats, Interactions, Ints
from ralm.models.shared_tower import TowerModel
from ralm.progress import Report, silent


class YouTubeDnn(TowerModel):
    """Scores ``x_i u`` (eq. 4); an item that had no click has a vector that nothing taught."""

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Train the user tower and the items' table.

        Raises:
            ValueError: when the loss is not finite.
        """
        _, histories, model = self.user_model(clicks, rng_seed, report)
        self.log = model.log
        self._users = model.embeddings(histories, np.arange(clicks.users))  # (users, m)
        self._items = model.items.table.weight.detach().numpy()  # (items, m)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Dot products, float32[U, I]."""
        scores: Floats = self._users[users] @ self._items[items].T
        return scores
