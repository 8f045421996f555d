"""Seeds clustering: mini-batch k-means of one item's seed vectors (section 4 of the paper).

The centroids stand for the seeds (eq. 1, ``R_seeds = {E_centroid_1, ..., E_centroid_k}``). As the first author's
article has it, each is the mean of the seed vectors nearest to one k-means centre.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus

_BATCH = 1024
_LEAST_STEPS = 12
"""Mini-batch steps that even a small seed set gets; centres move little after them."""
_INIT_ROWS = 2048
"""Rows that k-means++ looks at for a cold start."""


@dataclass(frozen=True)
class Clusters:
    """The clusters of one seed set.

    Attributes:
        centroids: float32[k, h], the mean vector of each cluster's members.
        counts: int64[k], its members, all above 0.
    """

    centroids: NDArray[np.float32]
    counts: NDArray[np.int64]


def cluster(
    vectors: NDArray[np.float32],
    k: int,
    *,
    rng_seed: int,
    start: NDArray[np.float32] | None = None,
    sample: int = 50_000,
) -> Clusters:
    """Cluster seed vectors into at most ``k`` clusters; fewer when fewer are distinct.

    Args:
        vectors: look-alike vectors of the seeds, float32[n, h], n >= 1.
        k: the most clusters.
        rng_seed: the same vectors (in any order), start and seed give the same clusters.
        start: centroids of the last time, float32[k', h], to start from.
        sample: rows looked at; a larger set is sampled without replacement.

    Raises:
        ValueError: when there is no vector, or one is not finite.
    """
    if not len(vectors) or not np.isfinite(vectors).all():
        msg = f"clustering needs at least one vector and finite numbers; got shape {vectors.shape}"
        raise ValueError(msg)
    rng = np.random.default_rng(rng_seed)
    vectors = _in_order(vectors)
    if len(vectors) > sample:
        vectors = vectors[rng.choice(len(vectors), sample, replace=False)]
    vectors = vectors[rng.permutation(len(vectors))]
    if len(vectors) <= 4 * k:  # few enough that equal vectors could leave less than k distinct ones
        distinct, counts = np.unique(vectors, axis=0, return_counts=True)
        if len(distinct) <= k:
            return Clusters(distinct, counts.astype(np.int64))
    return _means(vectors, _centres(vectors, k, rng, start))


def _in_order(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows in an order that only their contents decide: by a hash of their bits, exact in integers."""
    words = np.ascontiguousarray(vectors).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    return vectors[np.argsort(words @ factors, kind="stable")]


def assign(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int64]:
    """The nearest centroid (squared Euclidean distance) of each vector.

    Args:
        vectors: float32[n, h].
        centroids: float32[k, h].

    Returns:
        int64[n], in [0, k).
    """
    # |v - c|^2 = |v|^2 - 2 v.c + |c|^2, and |v|^2 is the same for every c.
    distances = vectors @ (-2.0 * centroids.T)  # (n, k)
    distances += np.einsum("kh,kh->k", centroids, centroids)
    nearest: NDArray[np.int64] = distances.argmin(axis=1)
    return nearest


def _centres(
    vectors: NDArray[np.float32], k: int, rng: np.random.Generator, start: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    state = int(rng.integers(2**31))
    if start is None or not np.isfinite(start).all():
        initial, _ = kmeans_plusplus(vectors[:_INIT_ROWS], k, random_state=state)
    else:
        missing = max(0, k - len(start))
        initial = np.concatenate([start[:k], vectors[rng.choice(len(vectors), missing, replace=False)]])
    means = MiniBatchKMeans(k, init=initial, n_init=1, random_state=state, reassignment_ratio=0.0)
    batches = max(1, len(vectors) // _BATCH)
    for step in range(max(_LEAST_STEPS, batches)):
        first = step % batches * _BATCH
        means.partial_fit(vectors[first : first + _BATCH])
    centres: NDArray[np.float32] = means.cluster_centers_.astype(np.float32)
    return centres


def _means(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> Clusters:
    labels = assign(vectors, centres)
    counts = np.bincount(labels, minlength=len(centres))
    order = np.argsort(labels, kind="stable")
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
    sums = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
    return Clusters((sums / counts[filled, None]).astype(np.float32), counts[filled].astype(np.int64))
