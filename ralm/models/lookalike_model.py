"""RALM as a compared model: trained towers, and items that are nothing but their clustered seeds."""

import numpy as np

from ralm.features import Floats, Interactions, Ints
from ralm.models.shared_tower import TowerModel
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists
from ralm.seed_scores import seed_scores
from ralm.towers.training import train_lookalike


class LookalikeModel(TowerModel):
    """Clusters seeds and scores as the stream does.

    ``clusters`` of its config is also the k of scoring. An alpha of 1 is "RALM with global attention", a beta of
    1 "with local attention", and a k of 1 "with average".
    """

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Train the user tower, unless the store has it, and the look-alike towers.

        Raises:
            ValueError: when no item has two seeds, or a loss is not finite.
        """
        config, histories, user = self.user_model(clicks, rng_seed, report)
        trained = train_lookalike(user, clicks, histories, config, report)
        self.log = trained.log
        self._weights = trained.towers.attention_weights()
        self._prior = trained.towers.prior.item()
        self._vectors = trained.vectors(histories, np.arange(clicks.users))  # (users, h)
        self._clicks = clicks

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Look-alike scores (eq. 2) with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self.scores_of_seeds(users, SeedLists.of_clicks(self._clicks, items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Look-alike scores with items given by their seeds, float32[U, I]; an item without seeds scores 0."""
        k = self.config.clusters
        return seed_scores(
            self._vectors[users], self._vectors, self._weights, seeds, clusters=k, rng_seed=0, prior=self._prior
        )
