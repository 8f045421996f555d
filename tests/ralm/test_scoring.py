"""The scoring kernel against both forms written out plainly in float64."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.encoders.encoder import unit
from ralm.scoring import AttentionWeights, CountedForm, ItemBlock, ScoreForm, global_embedding, score

H = 16


def weights(rng: np.random.Generator, temperature: float = 1.0) -> AttentionWeights:
    return AttentionWeights(
        rng.normal(scale=0.3, size=(H, H)).astype("f4"),
        rng.normal(scale=0.3, size=(6, H)).astype("f4"),
        rng.normal(size=6).astype("f4"),
        local_temperature=temperature,
    )


def none(items: list) -> np.ndarray:
    """No seeds for each of some items: nothing for the prior to add."""
    return np.zeros(len(items), np.int64)


def plain(u: np.ndarray, C: np.ndarray, w: ScoreForm, n: np.ndarray | None = None) -> float:
    """Symbol by symbol: eq. 2, 9 and 10, or the counted form with the seeds n that each cluster stands for."""
    u, C = u.astype("f8"), C.astype("f8")

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()

    def cosine(x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-12))

    if isinstance(w, CountedForm):
        assert n is not None
        e_local = softmax(C @ u / w.local_temperature + np.log(n)) @ C
        e_global = np.repeat(C, n, axis=0).mean(axis=0)
    else:
        e_local = softmax(np.tanh(C @ w.w_local @ u) / w.local_temperature) @ C
        e_global = softmax(np.tanh(C @ w.w_global.T) @ w.v_global) @ C
    return w.alpha * cosine(u, e_global) + w.beta * cosine(u, e_local)


def block_of(items: list, w: ScoreForm, counts: list | None = None, seeds: np.ndarray | None = None) -> ItemBlock:
    numbers = counts or [np.ones(len(c), np.int64) for c in items]
    globals_ = [global_embedding(c, w, n) for c, n in zip(items, numbers, strict=True)]
    return ItemBlock.of(items, globals_, w, none(items) if seeds is None else seeds, counts)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.3, 0.05]), st.booleans(), st.sampled_from([0.0, 0.4]))
def test_the_kernel_is_the_formula(rng_seed: int, temperature: float, paper: bool, beta: float) -> None:
    rng = np.random.default_rng(rng_seed)
    w: ScoreForm = replace(weights(rng, temperature) if paper else CountedForm(H, 0.6, 0.4, temperature), beta=beta)
    items = [unit(rng.normal(size=(rng.integers(1, 8), H))) * rng.uniform(0.2, 1) for _ in range(9)]
    counts = [rng.integers(1, 500, len(c)) for c in items]
    users, seeds = unit(rng.normal(size=(5, H))), rng.integers(0, 1000, len(items))
    prior, activity = rng.uniform(0, 1, 5).astype("f4"), rng.uniform(0, 1, 5).astype("f4")
    found = score(users, block_of(items, w, counts, seeds), w, prior, activity)
    expected = np.array([[plain(u, c, w, n) for c, n in zip(items, counts, strict=True)] for u in users])
    expected += prior[:, None] * np.log1p(seeds) + activity[:, None]
    np.testing.assert_allclose(found.score, expected, atol=1e-5)
    assert {part.dtype for part in found} == {np.dtype("f4")}


def test_without_a_local_part_no_centroid_is_kept_and_none_is_looked_at() -> None:
    rng = np.random.default_rng(0)
    for w in (CountedForm(H, 1.0, 0.0), replace(weights(rng), beta=0.0)):
        block = block_of([rng.normal(size=(4, H)).astype("f4") for _ in range(3)], w)
        assert (block.centroids.size, block.gram.size, block.local_keys.size) == (0, 0, 0)
        assert not score(unit(rng.normal(size=(2, H))), block, w).local_part.any()
        joined = ItemBlock.concatenate(
            [block.take(np.array([1])), block.with_rows(np.array([0]), block.take(np.array([2])))]
        )
        assert len(joined) == 4


def test_a_straggler_counts_as_the_one_seed_that_it_is() -> None:
    crowd, straggler = np.eye(H, dtype="f4")[0], np.eye(H, dtype="f4")[1]
    items, counts = [np.stack([crowd, straggler])], [np.array([999, 1])]
    w, user = CountedForm(H), crowd[None]
    found = score(user, block_of(items, w, counts), w)
    assert found.local_part[0, 0] > 0.999
    assert found.global_part[0, 0] > 0.999
    evenly = score(user, block_of(items, w, [np.array([1, 1])]), w)
    assert evenly.global_part[0, 0] == pytest.approx(0.5**0.5, abs=1e-6)


def test_one_cluster_has_no_choice_and_scores_as_the_mean_does() -> None:
    rng = np.random.default_rng(3)
    items, w = [unit(rng.normal(size=(1, H))) for _ in range(5)], CountedForm(H)
    found = score(unit(rng.normal(size=(4, H))), block_of(items, w), w)
    np.testing.assert_allclose(found.local_part, found.global_part, atol=1e-6)


@pytest.fixture
def few() -> tuple[AttentionWeights, list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(5)
    return weights(rng), [rng.normal(size=(k, H)).astype("f4") for k in (3, 5, 1)], rng.normal(size=(4, H)).astype("f4")


def test_the_order_of_an_items_clusters_does_not_matter(few: tuple) -> None:
    w, items, users = few
    turned = [c[::-1].copy() for c in items]
    one, other = (block_of(cs, w) for cs in (items, turned))
    np.testing.assert_allclose(score(users, one, w).score, score(users, other, w).score, atol=1e-6)


def test_padding_and_neighbours_do_not_matter(few: tuple) -> None:
    w, items, users = few
    block = block_of(items, w)
    together = score(users, block, w).score
    for place, c in enumerate(items):
        alone = score(users, block_of([c], w), w).score
        np.testing.assert_allclose(together[:, place], alone[:, 0], atol=1e-6)
    taken = score(users, block.take(np.array([2, 0])), w).score
    np.testing.assert_allclose(taken, together[:, [2, 0]], atol=1e-6)


def test_rows_are_replaced_in_a_copy(few: tuple) -> None:
    w, items, users = few
    block = block_of(items[:1] * 3, w)
    before = score(users, block, w).score
    changed = block.with_rows(np.array([1]), block_of(items[1:2], w))
    np.testing.assert_array_equal(score(users, block, w).score, before)
    after = score(users, changed, w).score
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-6)
    joined = ItemBlock.concatenate([block.take(np.array([0])), changed.take(np.array([1]))])
    np.testing.assert_allclose(score(users, joined, w).score, after[:, :2], atol=1e-6)


def test_a_zero_vector_scores_zero(few: tuple) -> None:
    w, items, _ = few
    block = block_of(items, w)
    np.testing.assert_array_equal(score(np.zeros((1, H), np.float32), block, w).score, np.zeros((1, 3)))


def test_many_items_are_scored_in_tiles_as_one() -> None:
    rng = np.random.default_rng(1)
    w = weights(rng)
    items = [rng.normal(size=(20, H)).astype("f4") for _ in range(300)]
    users = rng.normal(size=(70, H)).astype("f4")
    block = block_of(items, w)
    found = score(users, block, w).score
    assert found.shape == (70, 300)
    for i, j in [(0, 0), (69, 299), (33, 187), (12, 188)]:
        assert found[i, j] == pytest.approx(plain(users[i], items[j], w), abs=1e-5)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        AttentionWeights(np.zeros((4, 4), np.float32), np.zeros((2, 3), np.float32), np.zeros(2, np.float32))
    for temperature in (0.001, np.nan):
        with pytest.raises(ValueError, match="local_temperature"):
            weights(np.random.default_rng(0), temperature=temperature)
        with pytest.raises(ValueError, match="local_temperature"):
            CountedForm(H, local_temperature=temperature)
