"""The seeds' clusters as training sees them."""

import numpy as np
import torch

from ralm.towers.seed_clusters import SeedClusters, SeedSets

K, H = 5, 16


def test_a_target_is_kept_out_of_its_own_items_seeds() -> None:
    rng = np.random.default_rng(0)
    pairs = np.unique(rng.integers(0, 4, 60) * 30 + rng.integers(0, 30, 60))
    seeds = SeedSets(pairs // 30, pairs % 30, 4, 30)
    vectors = rng.normal(size=(30, H)).astype(np.float32)
    clusters = SeedClusters.of(seeds, vectors, K, rng)
    taken = rng.random(len(pairs)) < 0.8
    targets = np.array([0, 7, 21, len(pairs) - 1])
    items, users = seeds.items[targets], seeds.users[targets]
    sums, counts = clusters.sums(items, torch.from_numpy(vectors), taken)
    own_sums, own_counts = clusters.without(sums, counts, torch.from_numpy(vectors), (items, users), taken)
    for row, target in enumerate(targets):
        others = (seeds.items == seeds.items[target]) & taken & (np.arange(len(pairs)) != target)
        for cluster in range(K):
            members = seeds.users[others & (clusters.clusters == cluster)]
            assert own_counts[row, cluster] == len(members)
            np.testing.assert_allclose(own_sums[row, cluster], vectors[members].sum(axis=0), atol=1e-5)
