"""MinHash signatures in bands: who is likely to resemble whom, without comparing every pair.

Under a random permutation of all features two sets have the same first member with a probability of their Jaccard
similarity s. A band is ``r`` such permutations, all of which must agree (AND); of ``b`` bands one must (OR). A pair
collides with probability
``1 - (1 - s^r)^b``: a step that is steepest near ``(1/b)^(1/r)``.
"""

import numpy as np
from numpy.typing import NDArray

from ralm.click_matrix import Csr
from ralm.features import Ints


def band_buckets(features: Csr, bands: int, rows: int, rng: np.random.Generator) -> Ints:
    """The bucket of each user in each band; two users collide in a band when they share the bucket.

    Args:
        features: who has what, CSR[users, features]; every stored entry is a feature.
        bands: b.
        rows: r, permutations of a band.
        rng: draws the permutations.

    Returns:
        int64[b, users], 0 and up within a band; -1 for a user without features, who collides with nobody.
    """
    buckets = np.full((bands, features.shape[0]), -1)
    some = np.flatnonzero(np.diff(features.indptr))
    if len(some):
        for band in range(bands):
            minima = _minima(features, some, rows, rng)
            buckets[band, some] = np.unique(minima, axis=0, return_inverse=True)[1].ravel()
    return buckets


def _minima(features: Csr, users: Ints, rows: int, rng: np.random.Generator) -> NDArray[np.int64]:
    # True permutations: the usual (a x + c) mod p is far from one on columns that lie side by side.
    hashes = rng.permuted(np.tile(np.arange(features.shape[1]), (rows, 1)), axis=1)  # (r, features)
    minima: NDArray[np.int64] = np.minimum.reduceat(hashes[:, features.indices], features.indptr[users], axis=1).T
    return minima
