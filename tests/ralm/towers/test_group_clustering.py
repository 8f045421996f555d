"""K-means of many small groups at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.towers.group_clustering import cluster_groups


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5), st.integers(0, 2**31))
def test_groups_are_clustered_each_for_itself(sizes: list[int], k: int, rng_seed: int) -> None:
    rng = np.random.default_rng(rng_seed)
    groups = np.repeat(np.arange(len(sizes)), sizes)
    vectors = rng.normal(size=(len(groups), 4)).astype(np.float32)
    labels = cluster_groups(vectors, groups, k, rng)
    assert labels.min() >= 0
    assert labels.max() < k
    for group, size in enumerate(sizes):
        if size <= k:
            assert len(set(labels[groups == group].tolist())) == size
