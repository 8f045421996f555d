"""What the compiled k-means was chosen over: the same algorithm in batched numpy and in numba, to measure beside it.

Neither is part of the product (docs/adr/0021-compiled-clustering.md). Both do k-means++ with four candidates a step and
Lloyd's algorithm, from one start. numba is measured where it is installed.
"""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from ralm.features import Floats

_TRIALS = 4
_STEPS = 12


def has_numba() -> bool:
    """Whether numba is installed; nothing here needs it."""
    return find_spec("numba") is not None


def cluster_batched(sets: Floats, k: int) -> Floats:
    """k-means of equally large sets, float32[M, n, h] to centroids float32[M, k, h], each step a product over all."""
    rng = np.random.default_rng(0)
    centroids = _plus_plus(sets, k, rng)
    for _ in range(_STEPS):
        distances = np.matmul(sets, centroids.transpose(0, 2, 1))  # (M, n, k); |x|^2 is the same for every cluster
        distances *= -2
        distances += np.einsum("mkh,mkh->mk", centroids, centroids)[:, None]
        members = np.zeros(distances.shape, np.float32)
        np.put_along_axis(members, distances.argmin(axis=2)[:, :, None], 1, axis=2)
        counts = members.sum(axis=1)[:, :, None]  # (M, k, 1)
        means = np.matmul(members.transpose(0, 2, 1), sets) / np.maximum(counts, 1)
        centroids = np.where(counts > 0, means, centroids)
    return centroids


def _plus_plus(sets: Floats, k: int, rng: np.random.Generator) -> Floats:
    many, n, h = sets.shape
    square, every = np.einsum("mnh,mnh->mn", sets, sets), np.arange(many)[:, None]
    centroids = np.empty((many, k, h), np.float32)
    centroids[:, :1] = sets[every, rng.integers(0, n, (many, 1))]
    nearest = np.full((many, n), np.inf, np.float32)
    tried = centroids[:, :1]
    for j in range(k):
        away = square[:, :, None] - 2 * np.matmul(sets, tried.transpose(0, 2, 1))  # (M, n, trials)
        away += np.einsum("mth,mth->mt", tried, tried)[:, None]
        away = np.minimum(np.maximum(away, 0), nearest[:, :, None])
        best = away.sum(axis=1).argmin(axis=1)
        centroids[:, j] = tried[np.arange(many), best]
        nearest = np.take_along_axis(away, best[:, None, None], axis=2)[:, :, 0]
        total = np.cumsum(nearest, axis=1)
        drawn = rng.random((many, _TRIALS)).astype(np.float32) * total[:, -1:]
        tried = sets[every, (total[:, None] < drawn[:, :, None]).sum(axis=2).clip(max=n - 1)]
    return centroids


def numba_cluster() -> Callable[[Floats, int], Floats]:
    """The same in numba, compiled at the first call; needs numba."""
    from numba import njit  # noqa: PLC0415 (an optional rival)

    return cast("Callable[[Floats, int], Floats]", njit(fastmath=True, nogil=True)(_plain))


def _plain(sets: Any, k: Any) -> Any:  # noqa: C901, PLR0912 (numba compiles one function of loops best)
    many, n, h = sets.shape
    centroids = np.empty((many, k, h), np.float32)
    nearest, away, best = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    labels = np.empty(n, np.int64)
    zero = np.float32(0)
    for m in range(many):
        x, c = sets[m], centroids[m]
        nearest[:] = np.inf
        for j in range(k):
            lowest = np.float32(np.inf)
            total = nearest.sum()
            for _ in range(_TRIALS if j else 1):
                left, pick = np.random.random() * total, np.random.randint(n)
                if j:
                    pick = 0
                    while pick < n - 1 and left >= nearest[pick]:
                        left -= nearest[pick]
                        pick += 1
                for i in range(n):
                    s = zero
                    for d in range(h):
                        s += (x[i, d] - x[pick, d]) ** 2
                    away[i] = min(s, nearest[i])
                if away.sum() < lowest:
                    lowest = away.sum()
                    c[j] = x[pick]
                    best[:] = away
            nearest[:] = best
        for _ in range(_STEPS):
            for i in range(n):
                closest = np.float32(np.inf)
                for j in range(k):
                    s = zero
                    for d in range(h):
                        s += (x[i, d] - c[j, d]) ** 2
                    if s < closest:
                        closest = s
                        labels[i] = j
            sums, counts = np.zeros((k, h)), np.zeros(k)
            for i in range(n):
                counts[labels[i]] += 1
                for d in range(h):
                    sums[labels[i], d] += x[i, d]
            for j in range(k):
                if counts[j] > 0:
                    for d in range(h):
                        c[j, d] = sums[j, d] / counts[j]
    return centroids
