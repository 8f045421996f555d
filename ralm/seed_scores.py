"""From seed sets to scores as the stream does it: cluster each item's seeds, then score users against the centroids."""

import numpy as np
from threadpoolctl import threadpool_limits

from ralm.clustering import cluster
from ralm.features import Floats, Ints
from ralm.scoring import AttentionWeights, ItemBlock, global_embedding, score
from ralm.seed_lists import SeedLists

_CHUNK = 256
"""Users scored at once."""
_MOST_UNCLUSTERED = 200
"""Without clustering, the latest seeds of an item that are attended to."""


def seed_scores(
    users: Floats, vectors: Floats, weights: AttentionWeights, seeds: SeedLists, *, clusters: int, rng_seed: int
) -> Floats:
    """Look-alike scores (eq. 2) of users for items given by their seeds.

    Args:
        users: look-alike vectors of the users, float32[U, h].
        vectors: of everybody who may be a seed, float32[users, h].
        weights: the trained weights.
        seeds: of each item.
        clusters: k; 0: each seed stands for itself.
        rng_seed: fixes the clusters.

    Returns:
        float32[U, I]; an item without seeds scores 0.
    """
    result = np.empty((len(users), seeds.items), np.float32)
    with threadpool_limits(1):  # a clustering is many small products, which more threads only slow down
        centroids = [_centroids(vectors, seeds.of(item), clusters, rng_seed) for item in range(seeds.items)]
        block = ItemBlock.of(centroids, [global_embedding(c, weights) for c in centroids], weights, seeds.counts)
        for start in range(0, len(users), _CHUNK):
            rows = slice(start, start + _CHUNK)
            result[rows] = score(users[rows], block, weights).score
    return result


def _centroids(vectors: Floats, seeds: Ints, clusters: int, rng_seed: int) -> Floats:
    if not len(seeds):
        return np.zeros((1, vectors.shape[1]), np.float32)
    if not clusters:
        return vectors[seeds[-_MOST_UNCLUSTERED:]]
    return cluster(vectors[seeds], clusters, rng_seed=rng_seed).centroids
