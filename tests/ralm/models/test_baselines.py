"""What every baseline keeps: it finds planted groups, the same each time, for new items and new users too."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ralm.encoders.both import Both
from ralm.encoders.learned import Learned
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions, Ints
from ralm.models.activity import Activity
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.factorisation import MatrixFactorisation
from ralm.models.item_knn import ItemKnn
from ralm.models.logistic import LogisticLookalike
from ralm.models.model import SeedModel
from ralm.models.popularity import Popularity
from ralm.models.yahoo import YahooLookalike
from ralm.seed_lists import SeedLists

Make = Callable[[], SeedModel]
QUICK = Learned(dim=16, steps=60, items=20, seeds=(5, 20))
ENCODED = [
    lambda: EncodedLookalike(EncodedConfig(Spectral(8))),
    lambda: EncodedLookalike(EncodedConfig(QUICK, alpha=0.5, beta=0.5, clusters=5)),
    lambda: EncodedLookalike(EncodedConfig(Both(QUICK, Spectral(8), weights=(0.5,)))),
]
LEARNED = [ItemKnn, lambda: MatrixFactorisation(8), LogisticLookalike, YahooLookalike, *ENCODED]
ALL = [*LEARNED, Popularity, Activity]


def names(make: Make) -> str:
    model = make()
    return type(model.config.encoder if isinstance(model, EncodedLookalike) else model).__name__


def fitted(make: Make, clicks: Interactions) -> SeedModel:
    model = make()
    model.fit(clicks, 0)
    return model


def pairs(clicks: Interactions) -> np.ndarray:
    clicked = np.zeros((clicks.users, clicks.items), bool)
    clicked[clicks.clicks_user, clicks.clicks_item] = True
    return clicked


def everyone(clicks: Interactions) -> tuple[Ints, Ints]:
    return np.arange(clicks.users), np.arange(clicks.items)


@pytest.mark.parametrize("make", LEARNED, ids=names)
def test_later_clicks_are_ranked_above_chance(planted: Interactions, make: Make) -> None:
    before = planted.only(planted.first_of_each_user(0.7))
    scores = fitted(make, before).scores(*everyone(planted))
    assert scores.dtype == np.float32
    unseen = ~pairs(before)
    # Nine clicks of ten are on the own group's items, so that the planted order has an AUC of about 0.93.
    assert roc_auc_score(pairs(planted)[unseen], scores[unseen]) > 0.85


@pytest.mark.parametrize("make", LEARNED, ids=names)
def test_an_item_never_seen_is_known_by_its_seeds(planted: Interactions, make: Make) -> None:
    new = planted.clicks_item < 12
    seeds = SeedLists.of_clicks(planted.only(new & (planted.clicks_user % 8 < 4)), np.arange(12))
    model = fitted(make, planted.only(~new))
    others = np.flatnonzero(np.arange(planted.users) % 8 >= 4)
    scores = model.scores_of_seeds(others, seeds)
    assert scores.shape == (len(others), 12)
    assert roc_auc_score(pairs(planted)[others, :12].ravel(), scores.ravel()) > 0.8


@pytest.mark.parametrize("make", ALL, ids=names)
def test_an_item_and_its_seeds_are_answered_alike(planted: Interactions, make: Make) -> None:
    model, (users, items) = fitted(make, planted), everyone(planted)
    own = model.scores(users, items)
    folded = model.scores_of_seeds(users, SeedLists.of_clicks(planted, items))
    unseen = ~pairs(planted)
    assert np.corrcoef(own[unseen], folded[unseen])[0, 1] > 0.97


@pytest.mark.parametrize("make", ALL, ids=names)
def test_the_same_seed_gives_the_same_scores(planted: Interactions, make: Make) -> None:
    one, other = (fitted(make, planted).scores(*everyone(planted)) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("make", ALL, ids=names)
def test_a_score_does_not_depend_on_who_else_is_asked_for(planted: Interactions, make: Make) -> None:
    model = fitted(make, planted)
    users, items = np.array([17, 3, 200]), np.array([40, 7])
    some = model.scores(users, items)
    np.testing.assert_allclose(some, model.scores(*everyone(planted))[np.ix_(users, items)], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", ALL, ids=names)
def test_the_order_of_the_seeds_does_not_matter(planted: Interactions, make: Make) -> None:
    model, users = fitted(make, planted), np.arange(planted.users)
    seeds = SeedLists.of_clicks(planted, np.array([8]))
    turned = SeedLists(seeds.users[::-1].copy(), seeds.start)
    np.testing.assert_array_equal(model.scores_of_seeds(users, seeds), model.scores_of_seeds(users, turned))


@pytest.mark.parametrize("make", ALL, ids=names)
def test_users_without_clicks_and_items_without_seeds_have_finite_scores(planted: Interactions, make: Make) -> None:
    model = fitted(make, planted.only((planted.clicks_user >= 9) & (planted.clicks_item >= 5)))
    assert np.isfinite(model.scores(*everyone(planted))).all()
    some = SeedLists(np.arange(240), np.array([0, 0, 3, 3, 240]))  # none, three, none, nearly everybody
    everybody = SeedLists(np.arange(240), np.array([0, 240]))
    for seeds in (some, everybody, SeedLists(np.zeros(0, int), np.zeros(1, int))):
        scores = model.scores_of_seeds(np.arange(20), seeds)
        assert scores.shape == (20, seeds.items)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize("make", [ItemKnn, LogisticLookalike], ids=names)
def test_an_item_is_left_out_of_what_is_learned_of_it(planted: Interactions, make: Make) -> None:
    """The item's own clicks tell who its seeds are and nothing more: without them the other users score the same."""
    for item in (0, 33):
        with_it = fitted(make, planted)
        without = fitted(make, planted.only(planted.clicks_item != item))
        others = np.flatnonzero(~pairs(planted)[:, item])
        seeds = SeedLists.of_clicks(planted, np.array([item]))
        np.testing.assert_allclose(
            with_it.scores(others, np.array([item])), without.scores_of_seeds(others, seeds), rtol=1e-3, atol=1e-3
        )


def test_popularity_counts_the_clickers_of_an_item_once(planted: Interactions) -> None:
    twice = replace(
        planted,
        clicks_user=np.repeat(planted.clicks_user, 2),
        clicks_item=np.repeat(planted.clicks_item, 2),
        clicks_time=np.repeat(planted.clicks_time, 2),
    )
    users, items = everyone(planted)
    scores = fitted(Popularity, twice).scores(users, items)
    np.testing.assert_array_equal(scores, np.broadcast_to(pairs(planted).sum(axis=0), scores.shape))


def test_activity_counts_the_clicks_of_a_user(planted: Interactions) -> None:
    users, items = everyone(planted)
    scores = fitted(Activity, planted).scores(users, items)
    counts = [int((planted.clicks_user == user).sum()) for user in users]
    np.testing.assert_array_equal(scores, np.repeat(np.array(counts)[:, None], len(items), axis=1))
