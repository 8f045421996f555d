"""Both encoders, with the shape of the closed form that tells held-out clickers best: a trial.

The first direction of the closed form is what everybody clicks; where all know the same few items it says the most of a
user's vector, and little of its taste.

The trained half is the same whatever the other one's size, so it is learned once and shared through the store.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from ralm.click_matrix import seed_matrix
from ralm.encoders.both import Both
from ralm.encoders.encoder import unit
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.spectral import Spectral
from ralm.features import Floats, Interactions, Ints
from ralm.models.encoded import fitted_vectors
from ralm.models.fit_store import SharesFits
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists


@dataclass(frozen=True)
class SizedBoth:
    """Options.

    Attributes:
        dims: dimensions of the closed form to choose from, together with its weight.
        firsts: what its first direction is multiplied by, to choose from as well.
        both: the two encoders; the dimensions of its closed form are not looked at.
    """

    dims: tuple[int, ...] = (16, 32, 48, 64)
    both: Both = field(default_factory=Both)
    firsts: tuple[float, ...] = (1.0,)


class SizedBothLookalike(SharesFits):
    """Fits both encoders and scores by the cosine to the mean of an item's seeds; on one numeric thread.

    Args:
        config: the options.
    """

    def __init__(self, config: SizedBoth) -> None:
        self.config = config

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Choose dimensions and weight on clicks held out, then fit both encoders on all.

        Raises:
            ValueError: when the encoders have too little to learn from.
        """
        both = self.config.both
        with threadpool_limits(1):
            self.dim, self.first, self.weight = self._chosen(clicks, rng_seed, report)
            learned = fitted_vectors(self._store, both.learned, clicks, rng_seed, report)
            spectral = fitted_vectors(self._store, replace(both.spectral, dim=self.dim), clicks, rng_seed, report)
        self._vectors = side_by_side(learned, with_first(spectral, self.first), self.weight)
        said = f"dim {self.dim}, " + (f"first {self.first:g}, " if len(self.config.firsts) > 1 else "")
        self.log = [{"stage": f"{said}weight {self.weight:g}", "epoch": 0, "loss": 0.0}]
        self._clicks = clicks

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Scores with the items' seeds in the clicks of the fit, float32[U, I]."""
        return self.scores_of_seeds(users, SeedLists.of_clicks(self._clicks, items))

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """Scores for items given by their seeds, float32[U, I]."""
        with threadpool_limits(1):
            scores: Floats = self._vectors[users] @ unit(seed_matrix(seeds, len(self._vectors)) @ self._vectors).T
        return scores

    def _chosen(self, clicks: Interactions, rng_seed: int, report: Report) -> tuple[int, float, float]:
        """The dimensions, the share of the first and the weight that tell held-out clickers from others best."""
        both, dims = self.config.both, self.config.dims
        held_out = HeldOutClicks.of(clicks, np.random.default_rng(rng_seed))
        trial = replace(both.learned, steps=min(both.trial_steps, both.learned.steps))
        try:
            learned = fitted_vectors(self._store, trial, held_out.train, rng_seed, report)
            values = {
                (dim, first, weight): held_out.value(side_by_side(learned, with_first(spectral, first), weight))
                for dim in dims
                for spectral in [fitted_vectors(self._store, Spectral(dim), held_out.train, rng_seed, report)]
                for first in self.config.firsts
                for weight in both.weights
            }
        except ValueError:  # too little is left to fit them on
            return dims[0], self.config.firsts[0], both.weights[0]
        return max(values, key=lambda choice: np.nan_to_num(values[choice], nan=-1.0))


def with_first(spectral: Floats, first: float) -> Floats:
    """Vectors of the closed form, float32[U, h], as a table of items with another first column makes them."""
    scale = np.ones(spectral.shape[1], np.float32)
    scale[:1] = first
    return spectral if first == 1 else unit(spectral * scale)


def side_by_side(learned: Floats, spectral: Floats, weight: float) -> Floats:
    """``(z_learned, w z_spectral) / sqrt(1 + w^2)``, float32[U, h]."""
    whole = np.float32(np.hypot(1.0, weight))
    made: Floats = np.concatenate([learned / whole, spectral * (np.float32(weight) / whole)], axis=1)
    return made
