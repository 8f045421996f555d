"""What was tried is what it says: each trial at 0 is the plain model, and its formula holds."""

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

import torch

from ralm.encoders.histories import Histories
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.trials import SpectralStart, Trial, TrialLookalike
from ralm.seed_lists import SeedLists

USERS, ITEMS = np.arange(20), np.arange(0, 80, 7)
Fit = Callable[..., TrialLookalike]


@pytest.fixture(scope="module")
def fit(planted: Interactions) -> Fit:
    def fitted(**changes: object) -> TrialLookalike:
        model = TrialLookalike(Trial(Spectral(4), **changes))  # type: ignore[arg-type]
        model.fit(planted, 0)
        return model

    return fitted


@pytest.mark.parametrize(
    "changes", [{"targets": "own-mean"}, {"targets": "short"}, {"means": "age"}, {"means": "leave-out"}]
)
def test_at_zero_each_is_the_plain_model(planted: Interactions, fit: Fit, changes: dict[str, str]) -> None:
    plain = EncodedLookalike(EncodedConfig(Spectral(4)))
    plain.fit(planted, 0)
    model, seeds = fit(**changes), SeedLists.of_clicks(planted, ITEMS)
    np.testing.assert_allclose(model.scores(USERS, ITEMS), plain.scores(USERS, ITEMS), atol=1e-5)
    np.testing.assert_allclose(model.scores_of_seeds(USERS, seeds), plain.scores_of_seeds(USERS, seeds), atol=1e-5)


def test_an_unknown_item_draws_its_clickers_to_its_seeds(planted: Interactions, fit: Fit) -> None:
    seeds = SeedLists.of_clicks(planted, np.array([7, 8]))
    plain, drawn = (fit(targets="own-mean", parameters=(p,)).scores_of_seeds(USERS, seeds) for p in (0.0, 20.0))
    member = seeds.matrix(USERS, planted.users)
    assert (drawn > plain)[member].mean() > 0.8
    assert np.allclose(drawn[~member.any(axis=1)], plain[~member.any(axis=1)])


def test_leaving_out_is_encoding_without_the_item(planted: Interactions, fit: Fit) -> None:
    model = fit(means="leave-out", parameters=(1.0,))
    item, encoder = 7, model._fitted.encoder
    seeds = SeedLists.of_clicks(planted, np.array([item]))
    without = planted.only(planted.clicks_item != item)
    vectors = encoder.encode(Histories.of_clicks(without), model._fitted.profiles)[seeds.users]
    mean = vectors.sum(axis=0)
    expected = model._fitted.vectors[USERS] @ (mean / np.linalg.norm(mean))
    np.testing.assert_allclose(model.scores(USERS, np.array([item]))[:, 0], expected, atol=1e-5)


def test_newer_seeds_weigh_more(planted: Interactions, fit: Fit) -> None:
    model, seeds = fit(means="age", parameters=(5000.0,)), SeedLists.of_clicks(planted, ITEMS)
    newest = seeds.users[seeds.start[1:] - 1]
    expected = model._fitted.vectors[USERS] @ model._fitted.vectors[newest].T
    np.testing.assert_allclose(model.scores(USERS, ITEMS), expected, atol=1e-3)


def test_parameters_are_chosen_among_those_given(fit: Fit) -> None:
    assert fit(targets="short", parameters=(0.0, 0.3)).parameter in (0.0, 0.3)
    assert fit(targets="own-mean", parameters=(0.0, 1.0)).parameter in (0.0, 1.0)


def test_training_begins_with_the_closed_form(planted: Interactions) -> None:
    items = torch.nn.Parameter(torch.zeros(planted.items, 8))
    SpectralStart(dim=8).start(items, planted)
    begun, table = items.detach().numpy(), Spectral(8).fit(planted, Profiles.of_clicks(planted)).item_table
    np.testing.assert_allclose(begun / np.linalg.norm(begun), table / np.linalg.norm(table), atol=1e-5)
    assert np.sqrt((begun**2).mean()) == pytest.approx(0.3 * 8**-0.5, rel=1e-4)
