"""Neighbours of items: the library's cosines, the nearest only, shrunk on request."""

import numpy as np
import pytest
from implicit.nearest_neighbours import CosineRecommender

from ralm.click_matrix import click_matrix
from ralm.features import Interactions
from ralm.models.item_knn import ItemKnn


def similarities(planted: Interactions, model: ItemKnn) -> np.ndarray:
    model.fit(planted, 0)
    return model.similarities(click_matrix(planted).T.tocsr(), np.arange(planted.items))


def test_similarities_are_those_of_implicit(planted: Interactions) -> None:
    library = CosineRecommender(K=planted.items)
    library.fit(click_matrix(planted).astype(np.float64), show_progress=False)
    expected = library.similarity.toarray()
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(similarities(planted, ItemKnn(planted.items)), expected, rtol=1e-5, atol=1e-6)


def test_only_the_nearest_count(planted: Interactions) -> None:
    every, few = (similarities(planted, ItemKnn(most)) for most in (planted.items, 7))
    assert ((few > 0).sum(axis=1) == 7).all()
    np.testing.assert_array_equal(np.sort(few, axis=1)[:, -7:], np.sort(every, axis=1)[:, -7:])


def test_a_score_is_the_sum_over_the_clicked_items(planted: Interactions) -> None:
    model = ItemKnn(10, shrinkage=5.0)
    similar = similarities(planted, model)
    clicked = planted.clicks_item[planted.clicks_user == 5]
    np.testing.assert_allclose(
        model.scores(np.array([5]), np.arange(planted.items))[0], similar[:, clicked].sum(axis=1), rtol=1e-5
    )


def test_shrinkage_pulls_down_what_rests_on_few(planted: Interactions) -> None:
    plain, shrunk = (similarities(planted, ItemKnn(planted.items, shrinkage)) for shrinkage in (0.0, 20.0))
    clickers = np.bincount(planted.clicks_item)
    length = np.sqrt(np.outer(clickers, clickers))
    np.testing.assert_allclose(shrunk, plain * length / (length + 20), rtol=1e-5)


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="neighbours >= 1"):
        ItemKnn(0)
    with pytest.raises(ValueError, match="shrinkage >= 0"):
        ItemKnn(shrinkage=-1)
