"""From seed sets to scores as the stream does it: cluster each item's seeds, then score users against the centroids."""

import numpy as np
from threadpoolctl import threadpool_limits

from ralm.clustering import Clusters, cluster_many
from ralm.features import Floats, Ints
from ralm.scoring import COUNTED, ItemBlock, ScoreForm, global_embedding, score
from ralm.seed_lists import SeedLists

_CHUNK = 256
"""Users scored at once."""
_ITEMS = 64
"""Items that are clustered at once."""
_MOST_UNCLUSTERED = 200
"""Without clustering, the latest seeds of an item that are attended to."""


def seed_scores(
    users: Floats,
    vectors: Floats,
    form: ScoreForm,
    seeds: SeedLists,
    *,
    clusters: int,
    rng_seed: int,
    prior: float = 0.0,
) -> Floats:
    """Look-alike scores of users for items given by their seeds.

    Args:
        users: look-alike vectors of the users, float32[U, h].
        vectors: of everybody who may be a seed, float32[users, h].
        form: of the scores.
        seeds: of each item.
        clusters: k; 0: each seed stands for itself.
        rng_seed: fixes the clusters.
        prior: weight of ``log(1 + seeds)``.

    Returns:
        float32[U, I]; an item without seeds scores 0.
    """
    result = np.empty((len(users), seeds.items), np.float32)
    with threadpool_limits(1):  # a clustering is many small products, which more threads only slow down
        made: list[Clusters] = []
        for first in range(0, seeds.items, _ITEMS):
            lists = [seeds.of(item) for item in range(first, min(first + _ITEMS, seeds.items))]
            made += _clusters(vectors, lists, clusters, rng_seed, unit=form.name == COUNTED)
        centroids, counts = [each.centroids for each in made], [each.counts for each in made]
        globals_ = [global_embedding(c, form, n) for c, n in zip(centroids, counts, strict=True)]
        block = ItemBlock.of(centroids, globals_, form, seeds.counts, counts)
        for start in range(0, len(users), _CHUNK):
            rows = slice(start, start + _CHUNK)
            result[rows] = score(users[rows], block, form, prior).score
    return result


def _clusters(vectors: Floats, lists: list[Ints], clusters: int, rng_seed: int, *, unit: bool) -> list[Clusters]:
    if not clusters:
        each = [vectors[seeds[-_MOST_UNCLUSTERED:]] for seeds in lists]
        return [Clusters(own, np.ones(len(own), np.int64)) if len(own) else _nobody(vectors) for own in each]
    offsets = np.concatenate([[0], np.cumsum([len(seeds) for seeds in lists])])
    found = cluster_many(vectors[np.concatenate(lists)], offsets, clusters, rng_seed=rng_seed, unit=unit)
    for seeds, own in zip(lists, found, strict=True):
        if len(seeds) and own is None:
            msg = "a seed's vector is not finite"
            raise ValueError(msg)
    return [_nobody(vectors) if own is None else own for own in found]


def _nobody(vectors: Floats) -> Clusters:
    """Of an item without seeds."""
    return Clusters(np.zeros((1, vectors.shape[1]), np.float32), np.ones(1, np.int64))
