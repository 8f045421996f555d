"""The weight of the prior is the one that ranks held-out clicks best, and the score is otherwise the encoder's."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models.chosen_prior import ChosenPrior, ChosenPriorLookalike
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.seed_lists import SeedLists

USERS, ITEMS = np.arange(20), np.arange(0, 80, 7)
SPECTRAL = Spectral(4)


def fitted(clicks: Interactions, *priors: float, by_time: bool = True) -> ChosenPriorLookalike:
    model = ChosenPriorLookalike(ChosenPrior(priors, SPECTRAL, by_time))
    model.fit(clicks, 0)
    return model


def popular_only(clicks: Interactions, rng: np.random.Generator) -> Interactions:
    """The same clickers; what they click hangs on how many click it alone."""
    share = 1.0 / np.arange(1, clicks.items + 1) ** 1.5
    return replace(clicks, clicks_item=rng.choice(clicks.items, len(clicks.clicks_item), p=share / share.sum()))


@pytest.mark.parametrize("prior", [0.0, 0.2])
def test_scores_are_those_of_the_encoder_with_the_chosen_prior(planted: Interactions, prior: float) -> None:
    model, plain = fitted(planted, prior), EncodedLookalike(EncodedConfig(SPECTRAL, prior=prior))
    plain.fit(planted, 0)
    seeds = SeedLists.of_clicks(planted, ITEMS)
    assert model.prior == prior
    np.testing.assert_array_equal(model.scores(USERS, ITEMS), plain.scores(USERS, ITEMS))
    np.testing.assert_array_equal(model.scores_of_seeds(USERS, seeds), plain.scores_of_seeds(USERS, seeds))


@pytest.mark.parametrize("by_time", [True, False])
def test_it_weighs_most_where_popularity_is_all_there_is(planted: Interactions, by_time: bool) -> None:
    assert fitted(popular_only(planted, np.random.default_rng(0)), 0.0, 5.0, by_time=by_time).prior == 5.0
    assert fitted(planted, 0.0, 5.0, by_time=by_time).prior == 0.0


def test_the_first_is_taken_where_nothing_can_be_held_out(planted: Interactions) -> None:
    few = planted.only(np.arange(len(planted.clicks_user)) % 60 == 0)  # no item has enough seeds
    model = ChosenPriorLookalike(ChosenPrior((0.3, 0.1), SPECTRAL))
    assert model._chosen(few, 0, lambda *_: None) == 0.3
