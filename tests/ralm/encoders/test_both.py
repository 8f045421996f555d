"""Two encoders side by side: what the weight means, and that validation chooses it."""

import numpy as np
import pytest

from ralm.encoders.both import Both
from ralm.encoders.held_out_clicks import HeldOutClicks
from ralm.encoders.histories import Histories
from ralm.encoders.learned import Learned
from ralm.encoders.profiles import Profiles
from ralm.encoders.spectral import Spectral
from ralm.features import Interactions

QUICK = Learned(dim=16, steps=40, items=20, seeds=(5, 20))


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_cosine_is_the_weighted_mean_of_both_cosines(planted: Interactions, weight: float) -> None:
    profiles, histories = Profiles.of_clicks(planted), Histories.of_clicks(planted)
    both = Both(QUICK, Spectral(8), weights=(weight,)).fit(planted, profiles).encode(histories, profiles)
    one, other = (recipe.fit(planted, profiles).encode(histories, profiles) for recipe in (QUICK, Spectral(8)))
    expected = (one @ one.T + weight**2 * (other @ other.T)) / (1 + weight**2)
    np.testing.assert_allclose(both @ both.T, expected, atol=1e-5)


def test_a_half_of_weight_0_is_left_out(planted: Interactions) -> None:
    assert Both(QUICK, Spectral(8), weights=(0.0,)).fit(planted, Profiles.of_clicks(planted)).dim == 16


def test_validation_takes_the_half_that_tells_tastes_apart(planted: Interactions) -> None:
    """A trained half that hardly learns is outweighed by the closed form, if it may be."""
    profiles = Profiles.of_clicks(planted)
    stages: list[str] = []
    recipe = Both(Learned(dim=16, steps=1, items=40), Spectral(8), weights=(0.0, 3.0))
    both = recipe.fit(planted, profiles, 0, lambda stage, *_: stages.append(stage))
    assert [part.weight for part in both.parts] == [1.0, 3.0]
    assert "spectral weighs 3" in stages


def test_nothing_of_the_held_out_clicks_is_fitted_on(planted: Interactions) -> None:
    held_out = HeldOutClicks.of(planted, np.random.default_rng(0))
    train = held_out.train
    unseen = np.flatnonzero(np.bincount(train.clicks_item, minlength=planted.items) == 0)
    assert len(unseen) == held_out.unseen.seeds.items == 16
    clicked, learned = (np.zeros((planted.users, planted.items), bool) for _ in range(2))
    clicked[planted.clicks_user, planted.clicks_item] = True
    learned[train.clicks_user, train.clicks_item] = True
    for questions, items in ((held_out.unseen, unseen), (held_out.seen, np.arange(planted.items))):
        item = items[questions.item]
        assert len(item) > 100
        assert clicked[questions.clicker, item].all()
        assert not learned[questions.clicker, item].any()
        assert not clicked[questions.other, item].any()
        for place, user in zip(questions.item[:50], questions.clicker[:50], strict=True):
            assert user not in questions.seeds.of(int(place))


def test_held_out_clicks_judge_taste(planted: Interactions) -> None:
    held_out = HeldOutClicks.of(planted, np.random.default_rng(0))
    taste = np.eye(4, dtype=np.float32)[np.arange(240) % 4]
    assert held_out.value(taste) > 0.85
    assert held_out.value(np.ones((240, 4), np.float32)) == pytest.approx(0.5)
    nothing = HeldOutClicks.of(planted.only(planted.clicks_user < 3), np.random.default_rng(0))
    assert np.isnan(nothing.value(taste))


def test_too_few_clicks_to_choose_by_take_the_first_weight(planted: Interactions) -> None:
    few = planted.only((planted.clicks_user < 8) & (planted.clicks_item < 8))
    both = Both(Learned(dim=4, steps=2), Spectral(2), weights=(0.5, 0.0)).fit(few, Profiles.of_clicks(few))
    assert [part.weight for part in both.parts] == [1.0, 0.5]
