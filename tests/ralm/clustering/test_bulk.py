"""Seeds clustering: what it promises of centroids and counts, compiled and not, one set and many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from ralm.clustering import Clusters, assign, cluster, cluster_many, is_compiled
from ralm.clustering.clusters import inertia
from ralm.clustering.native import cluster_compiled

COMPILED = pytest.param(
    True, marks=pytest.mark.skipif(not is_compiled(), reason="the compiled k-means was not built here"), id="compiled"
)
FORMS = pytest.mark.parametrize("compiled", [COMPILED, pytest.param(False, id="mini-batch")])


def groups(rng: np.random.Generator, sizes: list[int], dim: int = 8) -> np.ndarray:
    centres = rng.normal(scale=20.0, size=(len(sizes), dim))
    return np.concatenate([c + rng.normal(size=(n, dim)) for c, n in zip(centres, sizes, strict=True)]).astype("f4")


def one(vectors: np.ndarray, k: int, rng_seed: int = 0, *, compiled: bool, **options: object) -> Clusters:
    (found,) = cluster_many(vectors, np.array([0, len(vectors)]), k, rng_seed=rng_seed, compiled=compiled, **options)
    assert found is not None
    return found


@FORMS
@settings(max_examples=40)
@given(n=st.integers(1, 60), k=st.integers(1, 12), rng_seed=st.integers(0, 2**32 - 1))
def test_members_are_all_counted_and_no_cluster_is_empty(n: int, k: int, rng_seed: int, compiled: bool) -> None:
    vectors = np.random.default_rng(rng_seed).integers(0, 3, size=(n, 4)).astype(np.float32)
    clusters = one(vectors, k, rng_seed, compiled=compiled)
    assert clusters.counts.sum() == n
    assert clusters.counts.min() > 0
    assert len(clusters.centroids) == len(clusters.counts) <= min(k, len(np.unique(vectors, axis=0)))
    mean = (clusters.centroids * clusters.counts[:, None]).sum(axis=0) / n
    np.testing.assert_allclose(mean, vectors.mean(axis=0), atol=1e-4)


@FORMS
def test_separate_groups_are_found(compiled: bool) -> None:
    vectors = groups(np.random.default_rng(0), [300, 100, 50, 30])
    assert sorted(one(vectors, 4, compiled=compiled).counts.tolist()) == [30, 50, 100, 300]


@FORMS
def test_the_same_seed_gives_the_same_clusters(compiled: bool) -> None:
    vectors = groups(np.random.default_rng(0), [500, 500])
    first, again = (one(vectors, 20, 7, compiled=compiled) for _ in range(2))
    np.testing.assert_array_equal(first.centroids, again.centroids)


@FORMS
@settings(max_examples=20)
@given(count=st.integers(1, 300), rng_seed=st.integers(0, 2**31))
def test_the_order_of_the_seeds_does_not_matter(count: int, rng_seed: int, compiled: bool) -> None:
    rng = np.random.default_rng(rng_seed)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    found = one(vectors, 20, 3, sample=200, compiled=compiled)
    other = one(vectors[rng.permutation(count)], 20, 3, sample=200, compiled=compiled)
    np.testing.assert_array_equal(found.centroids, other.centroids)
    np.testing.assert_array_equal(found.counts, other.counts)


@FORMS
def test_a_warm_start_is_at_least_as_good_as_its_start(compiled: bool) -> None:
    vectors = groups(np.random.default_rng(3), [400, 400, 400, 400, 400])
    start = one(vectors[:200], 5, compiled=compiled).centroids
    warm = one(vectors, 5, starts=[start], compiled=compiled).centroids
    assert inertia(vectors, warm) <= inertia(vectors, start) * 1.01


@FORMS
@pytest.mark.parametrize("kept", [1, 3, 30])
def test_a_start_of_any_length_will_do(kept: int, compiled: bool) -> None:
    vectors = groups(np.random.default_rng(4), [40] * 6)
    start = np.random.default_rng(5).normal(size=(kept, 8)).astype("f4")
    found = one(vectors, 6, starts=[start], compiled=compiled)
    assert found.counts.sum() == 240
    assert len(found.counts) <= 6


@FORMS
def test_a_start_that_is_not_finite_is_none(compiled: bool) -> None:
    vectors = groups(np.random.default_rng(4), [40] * 6)
    afresh = one(vectors, 6, compiled=compiled)
    found = one(vectors, 6, starts=[np.full((6, 8), np.nan, "f4")], compiled=compiled)
    np.testing.assert_array_equal(found.centroids, afresh.centroids)


@FORMS
def test_a_large_set_is_sampled(compiled: bool) -> None:
    vectors = groups(np.random.default_rng(0), [5000])
    assert one(vectors, 5, sample=1000, compiled=compiled).counts.sum() == 1000


@FORMS
def test_seeds_of_length_1_weigh_alike_however_long_they_were(compiled: bool) -> None:
    rng = np.random.default_rng(8)
    directions = rng.normal(size=(200, 8))
    unit = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype("f4")
    found = one(unit * rng.integers(1, 9, (200, 1)).astype("f4"), 5, unit=True, compiled=compiled)
    mean = (found.centroids * found.counts[:, None]).sum(axis=0) / 200
    np.testing.assert_allclose(mean, unit.mean(axis=0), atol=1e-5)
    assert np.isfinite(one(np.zeros((40, 8), "f4"), 5, unit=True, compiled=compiled).centroids).all()


@pytest.mark.parametrize("vectors", [np.empty((0, 4), np.float32), np.full((3, 4), np.nan, np.float32)])
def test_nothing_or_not_a_number_is_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least one vector and finite"):
        cluster(vectors, 3, rng_seed=0)


@FORMS
@settings(max_examples=15)
@given(st.data())
def test_many_sets_are_clustered_each_as_if_it_were_alone(compiled: bool, data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 90), min_size=1, max_size=6))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    vectors = rng.normal(size=(sum(sizes), 5)).astype("f4")
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    broken = data.draw(st.sampled_from(range(len(sizes))))
    vectors[offsets[broken] : offsets[broken + 1]][:1] = np.inf
    starts = [None if number % 2 else rng.normal(size=(4, 5)).astype("f4") for number in range(len(sizes))]
    found = cluster_many(vectors, offsets, 7, rng_seed=2, starts=starts, sample=60, compiled=compiled)
    for number, clusters in enumerate(found):
        mine = vectors[offsets[number] : offsets[number + 1]]
        if not len(mine) or number == broken:
            assert clusters is None
            continue
        alone = one(mine, 7, 2, starts=[starts[number]], sample=60, compiled=compiled)
        assert clusters is not None
        np.testing.assert_array_equal(clusters.centroids, alone.centroids)
        np.testing.assert_array_equal(clusters.counts, alone.counts)


@pytest.mark.skipif(not is_compiled(), reason="the compiled k-means was not built here")
class TestCompiled:
    @settings(max_examples=40)
    @given(
        n=st.integers(1, 150),
        h=st.integers(1, 40),
        k=st.integers(1, 130),
        kept=st.integers(0, 140),
        rng_seed=st.integers(0, 2**31),
    )
    def test_registers_of_any_width_give_the_same_bits(self, n: int, h: int, k: int, kept: int, rng_seed: int) -> None:
        rng = np.random.default_rng(rng_seed)
        vectors = rng.normal(size=(n, h)).astype("f4")
        starts = [rng.normal(size=(kept, h)).astype("f4")]
        found = [
            cluster_compiled(vectors, np.array([0, n]), k, 1, starts, unit=True, width=width)[0] for width in (4, 8, 16)
        ]
        assert found[0] is not None
        assert found[0].counts.sum() == n
        for other in found[1:]:
            assert other is not None
            np.testing.assert_array_equal(found[0].centroids, other.centroids)
            np.testing.assert_array_equal(found[0].counts, other.counts)

    @pytest.mark.parametrize("seeds", [30, 100, 300, 1000])
    def test_inertia_is_within_2_percent_of_ten_starts_afresh_and_warm_again_and_again(self, seeds: int) -> None:
        """A warm start from a warm start from a ... must not settle in a poor place: a tenth of the seeds is new."""
        rng = np.random.default_rng(1)
        kinds = rng.normal(scale=0.7, size=(40, 32))
        everybody = (kinds[rng.integers(0, 40, 5000)] + rng.normal(size=(5000, 32))).astype("f4")
        afresh, warm = [], []
        for _ in range(4):
            rows = rng.integers(0, 5000, seeds)
            afresh.append(self.over_ten_starts(everybody[rows], None)[0])
            start = None
            for window in range(8):
                rows = np.concatenate([rows[seeds // 10 :], rng.integers(0, 5000, seeds // 10)])
                ratio, start = self.over_ten_starts(everybody[rows], start, judged=window == 7)
            warm.append(ratio)
        assert np.mean(afresh) <= 1.02
        assert np.mean(warm) <= 1.02

    @staticmethod
    def over_ten_starts(
        vectors: np.ndarray, start: np.ndarray | None, *, judged: bool = True
    ) -> tuple[float, np.ndarray]:
        centroids = cluster(vectors, 20, rng_seed=0, start=start).centroids
        best = KMeans(20, n_init=10, random_state=0).fit(vectors).inertia_ if judged else np.inf
        return inertia(vectors, centroids) / best, centroids

    @pytest.mark.parametrize("length", [1e-30, 1e15, 1e25, 1e37])
    def test_vectors_whose_squares_leave_float32_are_clustered_all_the_same(self, length: float) -> None:
        rng = np.random.default_rng(6)
        before = cluster(rng.normal(size=(90, 12)).astype("f4"), 9, rng_seed=0)
        vectors = (rng.normal(size=(90, 12)) * length).astype("f4")
        for start in (None, before.centroids):
            found = cluster(vectors, 9, rng_seed=0, start=start)
            assert found.counts.sum() == 90
            mean = (found.centroids.astype("f8") * found.counts[:, None]).sum(axis=0) / 90
            np.testing.assert_allclose(mean, vectors.astype("f8").mean(axis=0), atol=1e-4 * length)

    def test_each_centroid_is_the_mean_of_its_members(self) -> None:
        vectors = groups(np.random.default_rng(9), [60] * 5, dim=16)
        found = cluster(vectors, 5, rng_seed=0)
        nearest = assign(vectors, found.centroids)
        for number, centroid in enumerate(found.centroids):
            np.testing.assert_allclose(vectors[nearest == number].mean(axis=0), centroid, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 1, 3]])
    def test_what_does_not_fit_is_refused_before_it_is_read(self, offsets: list[int]) -> None:
        with pytest.raises(ValueError, match="do not fit"):
            cluster_compiled(np.zeros((3, 2), "f4"), np.array(offsets), 2, 0, [np.empty((0, 2), "f4")])
