"""Matrix factorisation of implicit feedback (Hu, Koren and Volinsky, ICDM 2008), by the library implicit.

Alternating least squares finds vectors of users and items whose inner products are near 1 where there was a click and
near 0 elsewhere; a click is trusted ``1 + alpha`` times as much as its absence. With the users' vectors fixed, an item
from its seeds alone is one more step of the same: the least-squares solution of that item ("fold-in").
"""

from typing import Any

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from threadpoolctl import threadpool_limits

from ralm.click_matrix import click_matrix, seed_matrix
from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists


class MatrixFactorisation:
    """Scores by the inner product of the user's and the item's vector.

    Args:
        factors: length of the vectors.
        regularisation: lambda, the weight of the squared lengths.
        alpha: how much more a click is trusted than its absence.
        iterations: passes over users and items.
        threads: 0 for as many as OpenMP has cores. The vectors do not depend on it.
    """

    def __init__(
        self,
        factors: int = 32,
        regularisation: float = 10.0,
        alpha: float = 2.0,
        iterations: int = 15,
        threads: int = 0,
    ) -> None:
        self._factors = factors
        self._regularisation = regularisation
        self._alpha = alpha
        self._iterations = iterations
        self._threads = threads

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Alternate; ``report`` gets the loss of each iteration, the mean over all pairs of user and item."""

        def on_iteration(iteration: int, _seconds: float, loss: float) -> None:
            report("factorisation", iteration + 1, self._iterations, loss)

        # Threads of BLAS inside the solver's threads make it many times slower, as implicit itself warns.
        with threadpool_limits(1, "blas"):
            self._model: Any = AlternatingLeastSquares(
                factors=self._factors,
                regularization=self._regularisation,
                iterations=self._iterations,
                calculate_training_loss=True,
                num_threads=self._threads,
                random_state=rng_seed,
            )
            self._model.fit(
                click_matrix(clicks) * np.float32(1 + self._alpha), show_progress=False, callback=on_iteration
            )

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Inner products, float32[U, I]; 0 for a user without clicks."""
        product: Floats = self._model.user_factors[users] @ self._model.item_factors[items].T
        return product

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The same for items folded in from their seeds, float32[U, I]; 0 for an item without seeds."""
        trusted = seed_matrix(seeds, len(self._model.user_factors)) * np.float32(1 + self._alpha)
        with threadpool_limits(1, "blas"):
            folded = self._model.recalculate_item(np.arange(seeds.items), trusted)
        product: Floats = self._model.user_factors[users] @ folded.T
        return product
