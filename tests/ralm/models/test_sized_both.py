"""The trial of the closed form's size is `Both` where the size is given, and chooses among the sizes that it has."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from ralm.encoders.both import Both
from ralm.encoders.learned import Learned
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.sized_both import SizedBoth, SizedBothLookalike
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
