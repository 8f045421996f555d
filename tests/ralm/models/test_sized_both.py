"""The trial of the closed form's size is `Both` where the size is given, and chooses among the sizes that it has."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from ralm.encoders.both import Both
from ralm.encoders.encoder import TableEncoder
from ralm.encoders.histories import Histories
from ralm.encoders.learned import Learned
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.sized_both import SizedBoth, SizedBothLookalike, with_first
from ralm.seed_lists import SeedLists

USERS, ITEMS = np.arange(20), np.arange(0, 80, 7)
BOTH = Both(Learned(dim=8, steps=20), Spectral(4), weights=(1.0, 0.5), trial_steps=10)


def fitted(clicks: Interactions, *dims: int) -> SizedBothLookalike:
    model = SizedBothLookalike(SizedBoth(dims, BOTH))
    model.fit(clicks, 0)
    return model


def test_with_one_size_it_is_both(planted: Interactions) -> None:
    plain, model = EncodedLookalike(EncodedConfig(BOTH)), fitted(planted, 4)
    plain.fit(planted, 0)
    seeds = SeedLists.of_clicks(planted, ITEMS)
    np.testing.assert_allclose(model.scores(USERS, ITEMS), plain.scores(USERS, ITEMS), atol=1e-5)
    np.testing.assert_allclose(model.scores_of_seeds(USERS, seeds), plain.scores_of_seeds(USERS, seeds), atol=1e-5)


def test_size_and_weight_are_chosen_together(planted: Interactions) -> None:
    model = fitted(planted, 2, 4, 6)
    assert model.dim in (2, 4, 6)
    assert model.weight in BOTH.weights
    np.testing.assert_allclose(model.scores(USERS, ITEMS), fitted(planted, model.dim).scores(USERS, ITEMS), atol=1e-6)


def test_the_first_direction_is_chosen_too_and_is_that_of_a_scaled_table(planted: Interactions) -> None:
    model = SizedBothLookalike(SizedBoth((4,), BOTH, firsts=(0.5,)))
    model.fit(planted, 0)
    assert model.first == 0.5
    spectral = Spectral(4).fit(planted, Profiles.of_clicks(planted))
    scaled = replace(spectral.parts[0], table=spectral.parts[0].table * np.array([0.5, 1, 1, 1], np.float32))
    vectors = TableEncoder((scaled,)).encode(Histories.of_clicks(planted), Profiles.of_clicks(planted))
    plain = spectral.encode(Histories.of_clicks(planted), Profiles.of_clicks(planted))
    np.testing.assert_allclose(with_first(plain, 0.5), vectors, atol=1e-6)
