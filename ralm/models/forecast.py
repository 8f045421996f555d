"""Both encoders, and a prior of how many clickers an item's seeds lead to expect: a trial.

Who clicks little clicks what everybody clicks, so that an item whose first clickers click little is likely to have many
more; the number of its seeds says nothing of that while all new items have few.

``score = cosine(z_u, E_global) + g b (s_i - mean of s over all users)``, ``s_i`` = the mean of ``log(1 + clicks)`` over
the item's seeds, b = the slope of ``log(1 + clickers)`` on s over the items of the fit, s of their first 10 clickers.

It moves items against each other, and not the order of users for an item.
"""

from dataclasses import dataclass, field

import numpy as np
from threadpoolctl import threadpool_limits

from ralm.click_matrix import seed_matrix
from ralm.encoders.both import Both
from ralm.encoders.encoder import EncoderRecipe, unit
from ralm.features import Floats, Interactions, Ints
from ralm.models.encoded import fitted_vectors
from ralm.models.fit_store import SharesFits
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_FIRST = 10
"""Clickers of a learned item that its others are told from."""
_LEAST_CLICKERS = 20
"""Clickers that a learned item must have to be told of."""
_LEAST_ITEMS = 20
"""Of fewer items a slope says nothing."""


@dataclass(frozen=True)
class Forecast:
    """Options.

    Attributes:
        prior: g, as of a prior on the number of seeds.
        encoder: how user vectors are learned.
    """

    prior: float = 0.1
    encoder: EncoderRecipe = field(default_factory=Both)


class ForecastLookalike(SharesFits):
    """Fits an encoder and the slope; on one numeric thread.

    Args:
        config: the options.

    Attributes:
        slope: b, after a fit; 0 where too little tells it.
        log: after a fit, b in words.
    """

    def __init__(self, config: Forecast) -> None:
        self.config = config
        self.slope = 0.0
        self.log: list[dict[str, str | int | float]] = []

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Fit the encoder and the slope.

        Raises:
            ValueError: when the encoder has too little to learn from.
        """
        self._clicks = clicks
        self._activity = np.log1p(np.bincount(clicks.clicks_user, minlength=clicks.users))  # (users)
        self.slope = self._fitted_slope()
        self.log = [{"stage": f"slope {self.slope:.2f}", "epoch": 0, "loss": 0.0}]
        with threadpool_limits(1):
            self._vectors = fitted_vectors(self._store, self.config.encoder, clicks, rng_seed, report)  # (users, h)

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self.scores_of_seeds(users, SeedLists.of_clicks(self._clicks, items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores for items given by their seeds, float32[U, I]; of an item without seeds nothing is expected."""
        with threadpool_limits(1):
            cosines = self._vectors[users] @ unit(seed_matrix(seeds, len(self._vectors)) @ self._vectors).T
        above = np.where(seeds.counts > 0, self._seed_activity(seeds) - self._activity.mean(), 0.0)  # (I)
        scores: Floats = (cosines + self.config.prior * self.slope * above).astype(np.float32)
        return scores

    def _seed_activity(self, seeds: SeedLists) -> Floats:
        """s, float64[I]."""
        mean: Floats = seed_matrix(seeds, len(self._activity)) @ self._activity / np.maximum(seeds.counts, 1)
        return mean

    def _fitted_slope(self) -> float:
        clicked = SeedLists.of_clicks(self._clicks, np.arange(self._clicks.items)).counts
        items = np.flatnonzero(clicked >= _LEAST_CLICKERS)
        if len(items) < _LEAST_ITEMS:
            return 0.0
        first = SeedLists.of_clicks(self._clicks, items).first(np.full(len(items), _FIRST))
        s = self._seed_activity(first)
        apart, wanted = s - s.mean(), np.log1p(clicked[items])
        return float(apart @ wanted / max(float(apart @ apart), 1e-12))
