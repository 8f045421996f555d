"""Item-based nearest neighbours: a user wants what resembles the items that the user clicked.

Two items resemble each other as far as the same users clicked both: the cosine of their columns in the matrix of
clicks. An item needs nothing but its seeds for that, so an item never seen is answered like any other.
"""

import numpy as np

from ralm.click_matrix import Csr, click_matrix, seed_matrix
from ralm.features import Floats, Interactions, Ints
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_CHUNK = 512
"""Items whose similarities are dense at once."""


class ItemKnn:
    """Scores ``sum of sim(i, j)`` over the items j that the user clicked and that are among item i's neighbours.

    ``sim(i, j) = |clickers of both| / (sqrt(|clickers of i| * |clickers of j|) + shrinkage)``.

    Args:
        neighbours: k, the most neighbours of an item; more cost time and bring noise.
        shrinkage: added below the fraction; pulls down the similarities that rest on few clickers. 0: plain cosine.

    Raises:
        ValueError: when ``neighbours`` is less than 1 or ``shrinkage`` is negative.
    """

    def __init__(self, neighbours: int = 100, shrinkage: float = 0.0) -> None:
        if neighbours < 1 or shrinkage < 0:
            msg = f"ItemKnn needs neighbours >= 1 and shrinkage >= 0; got {neighbours} and {shrinkage}"
            raise ValueError(msg)
        self._most = neighbours
        self._shrinkage = shrinkage

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Keep who clicked what; no choice is random."""
        self._clicked = click_matrix(clicks)
        self._counts = np.asarray(self._clicked.sum(axis=0)).ravel()

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Summed similarities, float32[U, I], 0 and up; an item is not its own neighbour."""
        return self._summed(users, self._clicked.T.tocsr()[items], items)

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The same for items given by their seeds, float32[U, I]; any item of the fit may be a neighbour."""
        return self._summed(users, seed_matrix(seeds, self._clicked.shape[0]), None)

    def similarities(self, clickers: Csr, own: Ints | None) -> Floats:
        """Similarity to every item of the fit, 0 but for the nearest.

        Args:
            clickers: of each item, CSR float32[I, users].
            own: the items' own columns, int64[I], which are left out; None when they have none.

        Returns:
            float32[I, items].
        """
        similar: Floats = (clickers @ self._clicked).toarray()  # (I, items), clickers of both
        length = np.sqrt(np.outer(np.diff(clickers.indptr), self._counts)) + self._shrinkage
        np.divide(similar, length, out=similar, where=similar > 0)
        if own is not None:
            similar[np.arange(len(own)), own] = 0
        if self._most < similar.shape[1]:
            # A stable order, so that of equally near items always the same are neighbours.
            far = np.argsort(-similar, axis=1, kind="stable")[:, self._most :]
            np.put_along_axis(similar, far, 0, axis=1)
        return similar

    def _summed(self, users: Ints, clickers: Csr, own: Ints | None) -> Floats:
        clicked = self._clicked[users]
        result = np.zeros((len(users), clickers.shape[0]), np.float32)
        for start in range(0, clickers.shape[0], _CHUNK):
            part = slice(start, start + _CHUNK)
            result[:, part] = clicked @ self.similarities(clickers[part], None if own is None else own[part]).T
        return result
