"""Logistic regression of each item, "LR" among the paper's baselines: seeds against other users, over their features.

An item has a regression of its own, so nothing is learned at the fit: an item is fitted when it is asked for, from its
seeds and nothing else. That makes an item that was never seen as good as any.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from ralm.click_matrix import click_matrix
from ralm.features import Floats, Interactions, Ints
from ralm.models.user_matrix import UserMatrix
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_CHUNK = 512
"""Items whose weights, one for each feature, are held at once."""


class LogisticLookalike:
    """Scores by the log-odds that a user is a seed of the item.

    Args:
        strength: of the L2 regularisation, 1/C of scikit-learn. Few seeds and thousands of columns need much.
        negatives: users sampled for each seed.
        least_negatives: that even an item of few seeds gets.
        most_rows: seeds and negatives of an item that has more are thinned out alike; bounds the time of an item.
        history: most past clicks of a user that are features, the most recent.
    """

    def __init__(
        self,
        *,
        strength: float = 3.0,
        negatives: int = 8,
        least_negatives: int = 1000,
        most_rows: int = 6000,
        history: int = 50,
    ) -> None:
        self._strength = strength
        self._negatives = negatives
        self._least_negatives = least_negatives
        self._most_rows = most_rows
        self._history = history

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Lay out the features; the regressions wait until their items are asked for."""
        self._users = UserMatrix.of_clicks(clicks, self._history)
        self._clicked = click_matrix(clicks).T.tocsr()
        self._rng_seed = rng_seed

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Log-odds, float32[U, I]; the item itself is no feature of its regression."""
        of = self._clicked[items]
        seeds = SeedLists(of.indices.astype(np.int64), of.indptr.astype(np.int64))
        return self._log_odds(users, seeds, items.tolist())

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The same for items given by their seeds, float32[U, I]."""
        return self._log_odds(users, seeds, [None] * seeds.items)

    def _log_odds(self, users: Ints, seeds: SeedLists, own: list[int | None]) -> Floats:
        rows = self._users.rows(users)
        result = np.zeros((len(users), seeds.items), np.float32)
        for start in range(0, seeds.items, _CHUNK):
            part = range(start, min(start + _CHUNK, seeds.items))
            # Without the threads of BLAS, which for such small products mostly wait for one another.
            with threadpool_limits(1):
                fitted = [self._regression(seeds.of(i), own[i]) for i in part]
            weights, intercepts = zip(*fitted, strict=True)
            result[:, part] = rows @ np.stack(weights, axis=1) + np.array(intercepts)
        return result

    def _regression(self, seeds: Ints, own: int | None) -> tuple[NDArray[np.float64], float]:
        """Weights and intercept of one item; all 0 when it has no seeds, or nobody but seeds."""
        others = np.setdiff1d(np.arange(self._users.users), seeds)
        if not len(seeds) or not len(others):
            return np.zeros(self._users.counts.shape[1]), 0.0
        # The draw follows the seeds, so that the same set has the same negatives, whoever asks and in any order.
        seeds = np.sort(seeds)
        rng = np.random.default_rng([self._rng_seed, *seeds.tolist()])
        wanted = max(self._negatives * len(seeds), self._least_negatives)
        share = min(1.0, self._most_rows / (len(seeds) + wanted))
        positive = _some(rng, seeds, int(np.ceil(share * len(seeds))))
        negative = _some(rng, others, int(np.ceil(share * wanted)))
        rows = self._users.rows(np.concatenate([positive, negative]), own)
        label = np.repeat([1, 0], [len(positive), len(negative)])
        model = LogisticRegression(C=1 / self._strength, max_iter=200).fit(rows, label)
        # Sampling changes the odds by a factor, the weights not at all; the intercept takes it back.
        sampled = np.log(len(positive) / len(seeds)) - np.log(len(negative) / len(others))
        return model.coef_[0], float(model.intercept_[0] - sampled)


def _some(rng: np.random.Generator, users: Ints, most: int) -> Ints:
    return users if len(users) <= most else rng.choice(users, most, replace=False)
