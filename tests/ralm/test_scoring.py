"""The scoring kernel against the formula written out plainly in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ralm.scoring import AttentionWeights, ItemBlock, global_embedding, score

H = 16


def weights(rng: np.random.Generator, temperature: float = 1.0) -> AttentionWeights:
    return AttentionWeights(
        rng.normal(scale=0.3, size=(H, H)).astype("f4"),
        rng.normal(scale=0.3, size=(6, H)).astype("f4"),
        rng.normal(size=6).astype("f4"),
        local_temperature=temperature,
        prior=0.07,
    )


def none(items: list) -> np.ndarray:
    """No seeds for each of some items: nothing for the prior to add."""
    return np.zeros(len(items), np.int64)


def plain(u: np.ndarray, C: np.ndarray, w: AttentionWeights, seeds: int = 0) -> float:
    """Eq. 2, 9 and 10, symbol by symbol, and the prior."""
    u, C = u.astype("f8"), C.astype("f8")

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x - x.max()) / np.exp(x - x.max()).sum()

    def cosine(x: np.ndarray, y: np.ndarray) -> float:
        return float(x @ y / max(np.linalg.norm(x) * np.linalg.norm(y), 1e-12))

    e_local = softmax(np.tanh(C @ w.w_local @ u) / w.local_temperature) @ C
    e_global = softmax(np.tanh(C @ w.w_global.T) @ w.v_global) @ C
    return w.alpha * cosine(u, e_global) + w.beta * cosine(u, e_local) + w.prior * np.log1p(seeds)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.3, 0.05]))
def test_the_kernel_is_the_formula(rng_seed: int, temperature: float) -> None:
    rng = np.random.default_rng(rng_seed)
    w = weights(rng, temperature)
    items = [rng.normal(size=(rng.integers(1, 8), H)).astype("f4") for _ in range(9)]
    users = rng.normal(size=(5, H)).astype("f4")
    seeds = rng.integers(0, 1000, len(items))
    block = ItemBlock.of(items, [global_embedding(c, w) for c in items], w, seeds)
    expected = [[plain(u, c, w, n) for c, n in zip(items, seeds, strict=True)] for u in users]
    np.testing.assert_allclose(score(users, block, w).score, expected, atol=1e-5)


@pytest.fixture
def few() -> tuple[AttentionWeights, list[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(5)
    return weights(rng), [rng.normal(size=(k, H)).astype("f4") for k in (3, 5, 1)], rng.normal(size=(4, H)).astype("f4")


def test_the_order_of_an_items_clusters_does_not_matter(few: tuple) -> None:
    w, items, users = few
    turned = [c[::-1].copy() for c in items]
    one, other = (ItemBlock.of(cs, [global_embedding(c, w) for c in cs], w, none(cs)) for cs in (items, turned))
    np.testing.assert_allclose(score(users, one, w).score, score(users, other, w).score, atol=1e-6)


def test_padding_and_neighbours_do_not_matter(few: tuple) -> None:
    w, items, users = few
    block = ItemBlock.of(items, [global_embedding(c, w) for c in items], w, none(items))
    together = score(users, block, w).score
    for place, c in enumerate(items):
        alone = score(users, ItemBlock.of([c], [global_embedding(c, w)], w, none([c])), w).score
        np.testing.assert_allclose(together[:, place], alone[:, 0], atol=1e-6)
    taken = score(users, block.take(np.array([2, 0])), w).score
    np.testing.assert_allclose(taken, together[:, [2, 0]], atol=1e-6)


def test_rows_are_replaced_in_a_copy(few: tuple) -> None:
    w, items, users = few
    block = ItemBlock.of(items[:1] * 3, [global_embedding(items[0], w)] * 3, w, none(items))
    before = score(users, block, w).score
    changed = block.with_rows(np.array([1]), ItemBlock.of(items[1:2], [global_embedding(items[1], w)], w, none([1])))
    np.testing.assert_array_equal(score(users, block, w).score, before)
    after = score(users, changed, w).score
    np.testing.assert_allclose(after[:, [0, 2]], before[:, [0, 2]], atol=1e-6)
    joined = ItemBlock.concatenate([block.take(np.array([0])), changed.take(np.array([1]))])
    np.testing.assert_allclose(score(users, joined, w).score, after[:, :2], atol=1e-6)


def test_a_zero_vector_scores_zero(few: tuple) -> None:
    w, items, _ = few
    block = ItemBlock.of(items, [global_embedding(c, w) for c in items], w, none(items))
    np.testing.assert_array_equal(score(np.zeros((1, H), np.float32), block, w).score, np.zeros((1, 3)))


def test_many_items_are_scored_in_tiles_as_one() -> None:
    rng = np.random.default_rng(1)
    w = weights(rng)
    items = [rng.normal(size=(20, H)).astype("f4") for _ in range(300)]
    users = rng.normal(size=(70, H)).astype("f4")
    block = ItemBlock.of(items, [global_embedding(c, w) for c in items], w, none(items))
    found = score(users, block, w).score
    assert found.shape == (70, 300)
    for i, j in [(0, 0), (69, 299), (33, 187), (12, 188)]:
        assert found[i, j] == pytest.approx(plain(users[i], items[j], w), abs=1e-5)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        AttentionWeights(np.zeros((4, 4), np.float32), np.zeros((2, 3), np.float32), np.zeros(2, np.float32))
    with pytest.raises(ValueError, match="local_temperature"):
        weights(np.random.default_rng(0), temperature=0.001)
