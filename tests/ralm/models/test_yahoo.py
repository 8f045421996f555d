"""Yahoo's look-alike: collisions as often as sets are alike, weights as the formula has them, candidates first."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from ralm.click_matrix import click_matrix, seed_matrix
from ralm.features import Interactions
from ralm.models.min_hash import band_buckets
from ralm.models.yahoo import YahooLookalike
from ralm.seed_lists import SeedLists


def test_users_collide_as_often_as_their_sets_are_alike() -> None:
    sets = np.zeros((4, 300), np.float32)
    sets[0, :100], sets[1, 50:150], sets[2, 150:200] = 1, 1, 1  # Jaccard similarity of 0 and 1: a third
    one, two, three, none = band_buckets(csr_matrix(sets), 3000, 1, np.random.default_rng(0)).T
    assert (one == two).mean() == pytest.approx(1 / 3, abs=0.04)
    assert (one == three).mean() == 0
    assert (none == -1).all()
    one, two, _, _ = band_buckets(csr_matrix(sets), 3000, 2, np.random.default_rng(0)).T
    assert (one == two).mean() == pytest.approx(1 / 9, abs=0.03)


def test_nobody_with_features_collides_with_nobody() -> None:
    assert (band_buckets(csr_matrix((3, 5), dtype=np.float32), 2, 2, np.random.default_rng(0)) == -1).all()


def test_weights_are_the_information_value_of_what_seeds_have_more_often(planted: Interactions) -> None:
    model = YahooLookalike(smoothing=0.5)
    model.fit(planted, 0)
    seeds = SeedLists(np.arange(0, 120, 4), np.array([0, 30]))  # of the first group, 30 of its 60
    group = model.weights(seed_matrix(seeds, 240), None)[0, model._users.blocks["group"]]
    p, q = 30.5 / 31, 30.5 / 211
    np.testing.assert_allclose(group, [(p - q) * np.log(p / q), 0, 0, 0], rtol=1e-5)


def test_an_item_is_left_out_of_its_own_weights(planted: Interactions) -> None:
    """As if nobody had clicked it: also the categories that a seed has only by it."""
    leaked = False
    for item in (0, 33):
        model, without = YahooLookalike(), YahooLookalike()
        model.fit(planted, 0)
        without.fit(planted.only(planted.clicks_item != item), 0)
        seeds = click_matrix(planted).T.tocsr()[[item]]
        expected = without.weights(seeds, None)
        np.testing.assert_allclose(model.weights(seeds, np.array([item])), expected, rtol=1e-5, atol=1e-7)
        leaked |= not np.allclose(model.weights(seeds, None), expected)
    assert leaked


def test_items_need_no_categories(planted: Interactions) -> None:
    for categories in (np.zeros((planted.items, 1), np.int64), np.zeros((planted.items, 0), np.int64)):
        model = YahooLookalike()
        model.fit(replace(planted, item_categories=categories, category_count=1), 0)
        assert np.isfinite(model.scores(np.arange(20), np.arange(planted.items))).all()


def test_categories_known_only_by_the_item_are_left_out() -> None:
    # Users 0 and 1 clicked item 0, of category 1; user 0 another of that category too; 2 and 3 item 2 of another.
    clicks = Interactions(
        np.array([0, 0, 1, 1, 2, 3]),
        np.array([0, 1, 0, 2, 2, 2]),
        np.arange(6),
        {},
        {},
        np.zeros((4, 0), np.float32),
        np.array([[1], [1], [2]]),
        3,
    )
    model = YahooLookalike(smoothing=0.5)
    model.fit(clicks, 0)
    weights = model.weights(click_matrix(clicks).T.tocsr()[[0]], np.array([0]))[0]
    p, q = 1.5 / 3, 0.5 / 3  # one of two seeds has category 1 otherwise
    assert weights[model._users.blocks["categories"]].tolist() == [pytest.approx((p - q) * np.log(p / q)), 0]
    assert weights[model._users.blocks["items"]][0] == 0


def test_candidates_come_before_all_others(planted: Interactions) -> None:
    model = YahooLookalike(bands=2, band_rows=3)
    model.fit(planted, 0)
    users = np.arange(planted.users)
    seeds = SeedLists(np.array([0, 4, 9, 33]), np.array([0, 2, 4]))
    candidates, scores = model.candidates(users, seed_matrix(seeds, 240)), model.scores_of_seeds(users, seeds)
    for item in range(2):
        among = candidates[:, item]
        assert 2 <= among.sum() < 240
        assert among[seeds.of(item)].all()
        assert scores[among, item].min() >= 0 > scores[~among, item].max()


def test_nonsense_is_refused() -> None:
    for options in ({"bands": 0}, {"band_rows": 0}, {"smoothing": 0.0}):
        with pytest.raises(ValueError, match="bands >= 1"):
            YahooLookalike(**options)
