"""A forecast moves items against each other by how much their seeds click, and never the order of users for an item."""

import numpy as np
import pytest

from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.forecast import Forecast, ForecastLookalike
from ralm.seed_lists import SeedLists

USERS, ITEMS = np.arange(20), np.arange(0, 80, 7)


def fitted(clicks: Interactions, prior: float) -> ForecastLookalike:
    model = ForecastLookalike(Forecast(prior, Spectral(4)))
    model.fit(clicks, 0)
    return model


@pytest.mark.parametrize("prior", [0.0, 0.5])
def test_each_item_gets_one_constant_and_none_without_seeds(planted: Interactions, prior: float) -> None:
    plain, model = EncodedLookalike(EncodedConfig(Spectral(4))), fitted(planted, prior)
    plain.fit(planted, 0)
    seeds = SeedLists.of_clicks(planted, ITEMS).first(np.array([0, *[5] * (len(ITEMS) - 1)]))
    more = model.scores_of_seeds(USERS, seeds) - plain.scores_of_seeds(USERS, seeds)
    activity = np.log1p(np.bincount(planted.clicks_user, minlength=planted.users))
    above = [activity[seeds.of(item)].mean() - activity.mean() if item else 0.0 for item in range(len(ITEMS))]
    expected = prior * model.slope * np.array(above)
    np.testing.assert_allclose(more, np.broadcast_to(expected, more.shape), atol=1e-5)


def test_quiet_seeds_promise_clickers_where_it_was_so_before(planted: Interactions) -> None:
    """Every second user clicks the first 20 items and no others: they are the popular ones, and their seeds quieter."""
    clicks = planted.only((planted.clicks_user % 2 == 0) | (planted.clicks_item < 20))
    model = fitted(clicks, 0.5)
    assert model.slope < 0
    popular, other = (model.scores(USERS, items) for items in (np.arange(20), np.arange(20, 80)))
    without = fitted(clicks, 0.0)
    popular_before, other_before = (without.scores(USERS, items) for items in (np.arange(20), np.arange(20, 80)))
    assert (popular - popular_before).mean() > (other - other_before).mean()


def test_too_few_items_tell_no_slope(planted: Interactions) -> None:
    assert fitted(planted.only(planted.clicks_item < 19), 0.5).slope == 0.0
