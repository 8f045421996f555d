"""Diversity by hand, and its laws."""

import numpy as np
import pytest

from ralm.protocol.diversity import category_counts, category_entropies

CATEGORIES = np.array([[1, 2], [2, 0], [3, 0], [0, 0]])


def test_counts_and_entropies_by_hand() -> None:
    best = np.array([[0, 1, 2], [1, 1, -1], [3, -1, -1]])
    assert category_counts(best, CATEGORIES).tolist() == [3, 1, 0]
    # The first user's shares: category 1 has half an item, 2 has one and a half, 3 has one.
    p = np.array([0.5, 1.5, 1.0]) / 3
    assert category_entropies(best, CATEGORIES, 4).tolist() == pytest.approx([-(p * np.log2(p)).sum(), 0, 0])


def test_neither_order_nor_places_left_empty_matter() -> None:
    rng = np.random.default_rng(0)
    categories = rng.integers(0, 9, (50, 3))
    best = rng.integers(0, 50, (20, 10))
    longer = np.concatenate([rng.permuted(best, axis=1), np.full((20, 2), -1)], axis=1)
    assert np.array_equal(category_counts(best, categories), category_counts(longer, categories))
    np.testing.assert_allclose(category_entropies(best, categories, 9), category_entropies(longer, categories, 9))
    assert (
        category_entropies(best, categories, 9) <= np.log2(np.maximum(category_counts(best, categories), 1)) + 1e-9
    ).all()
