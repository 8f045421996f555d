"""RALM as a compared model: trained towers, and items that are nothing but their clustered seeds."""

from dataclasses import replace

import numpy as np

from ralm.clustering import cluster
from ralm.features import Floats, Histories, Interactions, Ints
from ralm.models.model import Report, SeedLists, silent
from ralm.models.shared_tower import TowerStore, user_model
from ralm.optimising import Log
from ralm.scoring import ItemBlock, global_embedding, score
from ralm.training import Trained, train_lookalike
from ralm.training_config import TrainingConfig

_CHUNK = 256
"""Users scored at once."""
_MOST_UNCLUSTERED = 200
"""Without clustering, the latest seeds of an item that are attended to."""


class LookalikeModel:
    """Clusters seeds and scores as the stream does: ``cluster`` and ``score`` are the ones that serve.

    Args:
        config: the hyperparameters of both stages; ``train_clusters`` is also the k of scoring. An alpha of 1 is "RALM
            with global attention", a beta of 1 "with local attention", and a k of 1 "with average".
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.log: Log = []
        self._store: TowerStore | None = None

    def use_store(self, store: TowerStore) -> None:
        """Share the trained user tower through a store."""
        self._store = store

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Train the user tower, unless the store has it, and the look-alike towers.

        Raises:
            ValueError: when no item has two seeds, or a loss is not finite.
        """
        config = replace(self.config, rng_seed=rng_seed)
        histories = Histories(clicks, config.history)
        user = user_model(clicks, histories, config, report, self._store)
        self.trained: Trained = train_lookalike(user, clicks, histories, config, report)
        self.log = self.trained.log
        self.vectors = self.trained.vectors(histories, np.arange(clicks.users))  # (users, h)
        self._clicks = clicks

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Look-alike scores (eq. 2) with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self.scores_of_seeds(users, SeedLists.of_clicks(self._clicks, items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Look-alike scores with items given by their seeds, float32[U, I]; an item without seeds scores 0."""
        weights = self.trained.towers.attention_weights()
        centroids = [self._centroids(seeds.of(item)) for item in range(seeds.items)]
        block = ItemBlock.of(centroids, [global_embedding(c, weights) for c in centroids], weights, seeds.counts)
        result = np.empty((len(users), seeds.items), np.float32)
        for start in range(0, len(users), _CHUNK):
            rows = slice(start, start + _CHUNK)
            result[rows] = score(self.vectors[users[rows]], block, weights).score
        return result

    def _centroids(self, seeds: Ints) -> Floats:
        if not len(seeds):
            return np.zeros((1, self.vectors.shape[1]), np.float32)
        if not self.config.train_clusters:
            return self.vectors[seeds[-_MOST_UNCLUSTERED:]]
        return cluster(self.vectors[seeds], self.config.train_clusters, rng_seed=0).centroids
