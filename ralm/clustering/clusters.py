"""The clusters of one seed set, and which of them is nearest to a vector."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Clusters:
    """The clusters of one seed set.

    Attributes:
        centroids: float32[k, h], the mean vector of each cluster's members.
        counts: int64[k], its members, all above 0.
    """

    centroids: NDArray[np.float32]
    counts: NDArray[np.int64]


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


def inertia(vectors: NDArray[np.float32], centroids: NDArray[np.float32]) -> float:
    """The sum of squared distances of vectors float32[n, h] to the nearest of centroids float32[k, h]."""
    return float(((vectors - centroids[assign(vectors, centroids)]).astype(np.float64) ** 2).sum())


def in_order(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows in an order that only their contents decide: by a hash of their bits, exact in integers."""
    words = np.ascontiguousarray(vectors).view(np.uint32).astype(np.uint64)
    factors = np.random.default_rng(0).integers(1, 2**63, vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    return vectors[np.argsort(words @ factors, kind="stable")]
