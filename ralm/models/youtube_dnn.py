"""YouTube DNN: the user tower and the items' table alone, as the paper compares it (section 6.1.2)."""

from dataclasses import replace

import numpy as np

from ralm.features import Floats, Histories, Interactions, Ints
from ralm.models.model import Report, silent
from ralm.models.shared_tower import TowerStore, user_model
from ralm.optimising import Log
from ralm.training_config import TrainingConfig


class YouTubeDnn:
    """Scores ``x_i u`` (eq. 4); an item that had no click has a vector that nothing taught.

    Args:
        config: the hyperparameters of the user tower.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.log: Log = []
        self._store: TowerStore | None = None

    def use_store(self, store: TowerStore) -> None:
        """Share the trained user tower through a store."""
        self._store = store

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Train the user tower and the items' table.

        Raises:
            ValueError: when the loss is not finite.
        """
        config = replace(self.config, rng_seed=rng_seed)
        histories = Histories(clicks, config.history)
        model = user_model(clicks, histories, config, report, self._store)
        self.log = model.log
        self._users = model.embeddings(histories, np.arange(clicks.users))  # (users, m)
        self._items = model.items.table.weight.detach().numpy()  # (items, m)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Dot products, float32[U, I]."""
        scores: Floats = self._users[users] @ self._items[items].T
        return scores
