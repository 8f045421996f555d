"""Yahoo's look-alike extension (Ma, Wen, Xia and Chen, BigMine 2016), "Yahoo" among the paper's baselines.

First the candidates of an item: users whose features resemble those of one seed at least, found by MinHash in bands.
Then a weight for each feature, the more the commoner it is among the item's seeds than among other users; a candidate
scores the sum of the weights of its features. Features are binary. Nothing but counts is learned, and only from seeds.
"""

import numpy as np
from scipy.sparse import csr_matrix

from ralm.click_matrix import Csr, click_matrix, seed_matrix
from ralm.features import Floats, Interactions, Ints
from ralm.models.min_hash import band_buckets
from ralm.models.user_matrix import UserMatrix
from ralm.progress import Report, silent
from ralm.seed_lists import SeedLists

_BINS = 10
"""Columns of a continuous field."""
_CHUNK = 512
"""Items whose weights, one for each feature, are dense at once."""


class YahooLookalike:
    """Scores by the weights of the features that the item's seeds have more often than others do.

    ``weight_j = (p_j - q_j) * log(p_j / q_j)`` where ``p_j > q_j``, else 0: p_j is the share of the seeds with feature
    j and q_j that of all users who are no seeds, both smoothed.

    Who is no candidate keeps the order of the sums but comes after all candidates: a sum is between 0 and the sum of
    all weights of the item, and one more than that is taken off.

    Args:
        bands: b of the MinHash; more find more candidates.
        band_rows: r, permutations of a band; more find fewer. With 32 bands of 2 half of the pairs collide whose
            features have a Jaccard similarity of 0.15, so that an item of many seeds reaches nearly everybody.
        smoothing: seeds with, and as many without, every feature that are added to the counts.
        history: most past clicks of a user that are features, the most recent.

    Raises:
        ValueError: when there is no band, or nothing in a band, or ``smoothing`` is not above 0.
    """

    def __init__(self, bands: int = 32, band_rows: int = 2, smoothing: float = 1.0, history: int = 50) -> None:
        if bands < 1 or band_rows < 1 or smoothing <= 0:
            msg = (
                "YahooLookalike needs bands >= 1, band_rows >= 1 and smoothing > 0; "
                f"got {bands}, {band_rows} and {smoothing}"
            )
            raise ValueError(msg)
        self._bands = bands
        self._band_rows = band_rows
        self._smoothing = smoothing
        self._history = history

    def fit(self, clicks: Interactions, rng_seed: int, report: Report = silent) -> None:
        """Lay out the features and put the users into buckets; ``rng_seed`` draws the permutations."""
        self._users = UserMatrix.of_clicks(clicks, self._history, bins=_BINS)
        self._has = self._users.counts.copy()
        self._has.data[:] = 1
        rng = np.random.default_rng(rng_seed)
        self._buckets = band_buckets(self._has, self._bands, self._band_rows, rng)
        self._clicked = click_matrix(clicks).T.tocsr()

    def scores(self, users: Ints, items: Ints) -> Floats:
        """Sums of weights, float32[U, I]; the item itself is no feature."""
        return self._sums(users, self._clicked[items], items)

    def scores_of_seeds(self, users: Ints, seeds: SeedLists) -> Floats:
        """The same for items given by their seeds, float32[U, I]; 0 for one without seeds."""
        return self._sums(users, seed_matrix(seeds, self._users.users), None)

    def candidates(self, users: Ints, seeds: Csr) -> np.ndarray:
        """Who shares a bucket of any band with any seed.

        Args:
            users: int64[U].
            seeds: CSR[I, all users].

        Returns:
            bool[U, I].
        """
        found = np.zeros((len(users), seeds.shape[0]), bool)
        for buckets in self._buckets:
            some = np.flatnonzero(buckets >= 0)
            shape = (len(buckets), max(1, buckets.max() + 1))
            members = csr_matrix((np.ones(len(some), np.float32), (some, buckets[some])), shape=shape)
            reached = (seeds @ members).toarray().T > 0  # (buckets, I)
            found |= reached[buckets[users]] & (buckets[users] >= 0)[:, None]
        return found

    def weights(self, seeds: Csr, own: Ints | None) -> Floats:
        """Weights of all features for items.

        Args:
            seeds: CSR float32[I, users].
            own: the items whose seeds these are, int64[I], left out as if nobody had clicked them; None if unknown.

        Returns:
            float32[I, features], 0 and up.
        """
        with_it: Floats = (seeds @ self._has).toarray()  # (I, features), seeds with the feature
        count = np.diff(seeds.indptr)[:, None].astype(np.float32)
        total = np.asarray(self._has.sum(axis=0), np.float32)
        others = total - with_it  # no other user has the item itself, so that nothing is left out here
        if own is not None:
            with_it -= self._of_own(seeds, own).toarray()
        p = (with_it + self._smoothing) / (count + 2 * self._smoothing)
        q = (others + self._smoothing) / (self._users.users - count + 2 * self._smoothing)
        weights: Floats = np.where((p > q) & (with_it > 0), (p - q) * np.log(p / q), 0).astype(np.float32)
        return weights

    def _of_own(self, seeds: Csr, own: Ints) -> Csr:
        """How many seeds have a feature only because of the item itself, float32[I, features]."""
        item, user = seeds.nonzero()
        column = self._users.column_of(own[item])
        had = _elements(self._has, user, column) > 0
        item, user, column = item[had], user[had], column[had]
        pair, category = np.nonzero(self._users.item_categories[own[item]])
        at = category + self._users.blocks["categories"].start
        only = _elements(self._users.counts, user[pair], at) == 1
        row, place = np.concatenate([item, item[pair[only]]]), np.concatenate([column, at[only]])
        return csr_matrix((np.ones(len(row), np.float32), (row, place)), shape=(len(own), self._has.shape[1]))

    def _sums(self, users: Ints, seeds: Csr, own: Ints | None) -> Floats:
        result = np.zeros((len(users), seeds.shape[0]), np.float32)
        for start in range(0, seeds.shape[0], _CHUNK):
            part = slice(start, start + _CHUNK)
            weights = self.weights(seeds[part], None if own is None else own[part])
            below = weights.sum(axis=1) + 1
            result[:, part] = self._has[users] @ weights.T
            result[:, part] -= np.where(self.candidates(users, seeds[part]), np.float32(0), below)
        return result


def _elements(matrix: Csr, rows: Ints, columns: Ints) -> Floats:
    """Single elements of a sparse matrix, float32[n]; of none SciPy would give a matrix."""
    if not len(rows):
        return np.zeros(0, np.float32)
    return np.asarray(matrix[rows, columns], np.float32).ravel()
