"""Mini-batch k-means of one set with scikit-learn: for very large sets, and where the compiled form is not there.

A step looks at 1,024 vectors, however many there are. For hundreds of vectors its time is overhead: ``native.py`` does
the same 30 times faster (``ralm bench clustering``).
"""

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from ralm.clustering.clusters import Clusters, assign

_BATCH = 1024
_LEAST_STEPS = 12
"""Mini-batch steps that even a small seed set gets; centres move little after them."""
_INIT_ROWS = 2048
"""Rows that k-means++ looks at for a cold start."""


def cluster_mini_batch(
    vectors: NDArray[np.float32], k: int, rng_seed: int, start: NDArray[np.float32] | None = None
) -> Clusters:
    """Cluster vectors into at most ``k`` clusters; fewer when fewer are distinct.

    Args:
        vectors: float32[n, h], n >= 1, all finite, in an order that their contents decide.
        k: the most clusters.
        rng_seed: the same vectors, start and seed give the same clusters.
        start: centroids to start from, float32[k', h], finite.
    """
    rng = np.random.default_rng(rng_seed)
    vectors = vectors[rng.permutation(len(vectors))]
    if len(vectors) <= 4 * k:  # few enough that equal vectors could leave less than k distinct ones
        distinct, counts = np.unique(vectors, axis=0, return_counts=True)
        if len(distinct) <= k:
            return Clusters(distinct, counts.astype(np.int64))
    return _means(vectors, _centres(vectors, k, rng, start))


def _centres(
    vectors: NDArray[np.float32], k: int, rng: np.random.Generator, start: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    # Seconds to import, and seldom needed.
    from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus  # noqa: PLC0415

    state = int(rng.integers(2**31))
    with _one_thread():
        if start is None:
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


def _one_thread() -> AbstractContextManager[object]:
    """One numeric thread: more would wait for each other by spinning, for minutes where the machine is busy."""
    limit: AbstractContextManager[object] = _controller().limit(limits=1)
    return limit


@cache
def _controller() -> ThreadpoolController:
    """Of the libraries that scikit-learn has brought by now; looking for them takes a while."""
    return ThreadpoolController()


def _means(vectors: NDArray[np.float32], centres: NDArray[np.float32]) -> Clusters:
    labels = assign(vectors, centres)
    counts = np.bincount(labels, minlength=len(centres))
    order = np.argsort(labels, kind="stable")
    filled = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[filled])[:-1]])
    sums = np.add.reduceat(vectors[order], starts, axis=0, dtype=np.float64)
    return Clusters((sums / counts[filled, None]).astype(np.float32), counts[filled].astype(np.int64))
