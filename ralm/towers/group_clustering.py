"""K-means of many small groups at once, for training: the clusters of every item's seeds, afresh each epoch.

The same idea as ``ralm/clustering.py``, which treats one large set at a time when serving; here there are thousands of
sets of at most a few hundred seeds, and no Python loop over them.
"""

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints

_CHUNK = 4096
"""Rows compared at once: rows x k x h float32 must fit in memory."""


def cluster_groups(vectors: Floats, groups: Ints, k: int, rng: np.random.Generator, steps: int = 4) -> Ints:
    """Lloyd's k-means within each group.

    Args:
        vectors: float32[n, h].
        groups: the group of each row, int64[n], ascending, 0 to g - 1, none empty.
        k: clusters of a group; a smaller group has a cluster for each of its rows.
        rng: chooses the first centres.
        steps: Lloyd steps.

    Returns:
        For each row its cluster within its group, int64[n], in [0, k).
    """
    count = int(groups[-1]) + 1 if len(groups) else 0
    start = np.searchsorted(groups, groups)
    # The first centres: k random rows of each group, told by their place in a random order within the group.
    order = np.lexsort((rng.random(len(groups)), groups))
    place = np.empty(len(groups), np.int64)
    place[order] = np.arange(len(groups)) - start
    centres = np.zeros((count, k, vectors.shape[1]), np.float32)
    first = place < k
    centres[groups[first], place[first]] = vectors[first]
    filled = np.zeros((count, k), bool)
    filled[groups[first], place[first]] = True
    labels = np.where(first, place, 0)
    for _ in range(steps):
        labels = _nearest(vectors, groups, centres, filled)
        slot = groups * k + labels
        members = np.bincount(slot, minlength=count * k).reshape(count, k)
        sums = np.zeros((count * k, vectors.shape[1]), np.float32)
        np.add.at(sums, slot, vectors)
        filled = members > 0
        centres = sums.reshape(centres.shape) / np.maximum(members, 1).astype(np.float32)[:, :, None]
    return labels


def _nearest(vectors: Floats, groups: Ints, centres: Floats, filled: NDArray[np.bool_]) -> Ints:
    labels = np.empty(len(vectors), np.int64)
    squares = np.where(filled, np.einsum("gkh,gkh->gk", centres, centres), np.inf)
    for start in range(0, len(vectors), _CHUNK):
        rows = slice(start, start + _CHUNK)
        products = np.einsum("nh,nkh->nk", vectors[rows], centres[groups[rows]], optimize=True)
        labels[rows] = (squares[groups[rows]] - 2.0 * products).argmin(axis=1)
    return labels
