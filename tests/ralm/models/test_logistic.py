"""Regressions of items: the library's, on odds that the sampling of negatives does not bend."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from ralm.features import Interactions
from ralm.models.logistic import LogisticLookalike
from ralm.models.user_matrix import UserMatrix
from ralm.seed_lists import SeedLists


def log_odds(planted: Interactions, users: np.ndarray, **options: int) -> np.ndarray:
    model = LogisticLookalike(**options)
    model.fit(planted, 0)
    return model.scores_of_seeds(users, SeedLists(np.arange(0, 80, 4), np.array([0, 20])))[:, 0]


def test_with_all_others_as_negatives_it_is_the_plain_regression(planted: Interactions) -> None:
    users = np.arange(planted.users)
    features = UserMatrix.of_clicks(planted, 50).rows(users)
    plain = LogisticRegression(C=1 / 3).fit(features, np.isin(users, np.arange(0, 80, 4)))
    expected = plain.decision_function(features)
    np.testing.assert_allclose(log_odds(planted, users), expected, rtol=0.01, atol=0.01)


def test_sampling_does_not_bend_the_odds(planted: Interactions) -> None:
    users = np.arange(planted.users)
    for options in ({"negatives": 2, "least_negatives": 40}, {"most_rows": 90}):
        share = 1 / (1 + np.exp(-log_odds(planted, users, **options)))
        assert 12 < share.sum() < 32  # 20 seeds; without the correction a third of all 240 users


def test_the_own_column_has_no_weight(planted: Interactions) -> None:
    model = LogisticLookalike()
    model.fit(planted, 0)
    item = 6
    seeds = SeedLists.of_clicks(planted, np.array([item])).of(0)
    column = int(model._users.column_of(np.array([item]))[0])
    assert model._regression(seeds, item)[0][column] == 0
    assert model._regression(seeds, None)[0][column] > 0.2  # what a leak looks like
