"""Seeds clustering: what it promises of centroids and counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.clustering import assign, cluster


def groups(rng: np.random.Generator, sizes: list[int], dim: int = 8) -> np.ndarray:
    centres = rng.normal(scale=20.0, size=(len(sizes), dim))
    return np.concatenate([c + rng.normal(size=(n, dim)) for c, n in zip(centres, sizes, strict=True)]).astype("f4")


@settings(max_examples=40)
@given(st.integers(1, 60), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_members_are_all_counted_and_no_cluster_is_empty(n: int, k: int, rng_seed: int) -> None:
    vectors = np.random.default_rng(rng_seed).integers(0, 3, size=(n, 4)).astype(np.float32)
    clusters = cluster(vectors, k, rng_seed=rng_seed)
    assert clusters.counts.sum() == n
    assert clusters.counts.min() > 0
    assert len(clusters.centroids) == len(clusters.counts) <= min(k, len(np.unique(vectors, axis=0)))
    mean = (clusters.centroids * clusters.counts[:, None]).sum(axis=0) / n
    np.testing.assert_allclose(mean, vectors.mean(axis=0), atol=1e-4)


def test_separate_groups_are_found() -> None:
    vectors = groups(np.random.default_rng(0), [300, 100, 50, 30])
    clusters = cluster(vectors, 4, rng_seed=1)
    assert sorted(clusters.counts.tolist()) == [30, 50, 100, 300]


def test_the_same_seed_gives_the_same_clusters() -> None:
    vectors = groups(np.random.default_rng(0), [500, 500])
    one, other = (cluster(vectors, 20, rng_seed=7) for _ in range(2))
    np.testing.assert_array_equal(one.centroids, other.centroids)


def test_a_warm_start_is_at_least_as_good_as_its_start() -> None:
    vectors = groups(np.random.default_rng(3), [400, 400, 400, 400, 400])
    start = cluster(vectors[:200], 5, rng_seed=0).centroids
    warm = cluster(vectors, 5, rng_seed=0, start=start).centroids

    def inertia(centroids: np.ndarray) -> float:
        return float(((vectors - centroids[assign(vectors, centroids)]) ** 2).sum())

    assert inertia(warm) <= inertia(start) * 1.01


def test_a_large_set_is_sampled() -> None:
    vectors = groups(np.random.default_rng(0), [5000])
    assert cluster(vectors, 5, rng_seed=0, sample=1000).counts.sum() == 1000


@pytest.mark.parametrize("vectors", [np.empty((0, 4), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_nothing_or_not_a_number_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least one vector and finite"):
        cluster(vectors, 3, rng_seed=0)


@settings(max_examples=30)
@given(st.integers(1, 300), st.integers(0, 2**31))
def test_the_order_of_the_seeds_does_not_matter(count: int, rng_seed: int) -> None:
    rng = np.random.default_rng(rng_seed)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    one = cluster(vectors, 20, rng_seed=3, sample=200)
    other = cluster(vectors[rng.permutation(count)], 20, rng_seed=3, sample=200)
    np.testing.assert_array_equal(one.centroids, other.centroids)
    np.testing.assert_array_equal(one.counts, other.counts)
