"""The trained encoder: what a step sees, and that leaving the own item out is what it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ralm.encoders import learned as learned_module
from ralm.encoders.histories import Histories
from ralm.encoders.learned import Learned, _finish, _first_times, _Training
from ralm.encoders.profiles import Profiles
from ralm.features import Interactions

OPTIONS = Learned(dim=16, steps=60, items=30, seeds=(5, 12))


def training(clicks: Interactions, options: Learned = OPTIONS) -> _Training:
    return _Training(options, clicks, Profiles.of_clicks(clicks), torch.Generator().manual_seed(4))


def test_the_loss_falls_and_who_likes_the_same_is_near(planted: Interactions) -> None:
    losses: list[float] = []
    profiles = Profiles.of_clicks(planted)
    encoder = OPTIONS.fit(planted, profiles, 0, lambda _stage, _done, _total, loss: losses.append(loss))
    assert losses[-1] < losses[1] - 0.1
    vectors = encoder.encode(Histories.of_clicks(planted), profiles)
    cosines, same = vectors @ vectors.T, np.equal.outer(np.arange(240) % 4, np.arange(240) % 4)
    assert cosines[same].mean() > cosines[~same].mean() + 0.3


def test_a_step_draws_clickers_and_says_what_is_kept_of_them(
    planted: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learned_module, "MOST_ITEMS", 10)
    clicked = np.zeros((planted.users, planted.items), bool)
    clicked[planted.clicks_user, planted.clicks_item] = True
    whole = training(planted, replace(OPTIONS, keep=(1.0, 1.0), no_history=0.0))
    for _ in range(5):
        drawn = whole._draw()
        users, items = drawn.users.numpy(), drawn.items.numpy()
        assert clicked[users[drawn.at.numpy()], items[:, None]].all()
        np.testing.assert_array_equal(drawn.clicked.numpy(), clicked[np.ix_(users, items)])
        newest = Histories.of_clicks(planted, 10).take(users)
        assert drawn.kept.tolist() == newest.items.tolist()
        assert drawn.counts.tolist() == newest.counts.tolist()
        within = np.zeros((len(users), planted.items))
        within[newest.owners, newest.items] = 1
        np.testing.assert_array_equal(drawn.own.numpy(), within[drawn.at.numpy(), items[:, None]])


def test_seeds_and_targets_are_as_if_they_had_never_clicked_the_item(planted: Interactions) -> None:
    model = training(planted)
    part = model.parameters.part()
    histories, profiles = Histories.of_clicks(planted), Profiles.of_clicks(planted)
    table, profile = torch.from_numpy(part.table), torch.from_numpy(part.profile.of(profiles))
    for user in (0, 17, 99):
        items = histories.items[histories.start[user] : histories.start[user + 1]]
        own = items[3]
        without = _finish(
            table[items].sum(0, keepdim=True) - table[own],
            torch.tensor([float(len(items) - 1)]),
            profile[user : user + 1],
        )
        others = Histories.of_items([items[items != own]])
        sums = part.table[others.items].sum(axis=0, keepdims=True).astype(np.float64)
        encoded = part.finish(sums, others.counts, part.profile.of(profiles.take(np.array([user]))))
        np.testing.assert_allclose(without.numpy(), encoded, atol=1e-6)


def test_keeping_the_own_item_is_another_loss(planted: Interactions) -> None:
    honest, leaking = training(planted), training(planted, replace(OPTIONS, leave_out=False))
    drawn = honest._draw()
    assert leaking._loss(drawn).item() < honest._loss(drawn).item()


def test_a_user_that_stands_twice_counts_once() -> None:
    assert _first_times(torch.tensor([[5, 3, 5, 5, 3], [1, 2, 3, 4, 0]])).tolist() == [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 1, 1],
    ]


def test_items_of_few_clickers_can_be_learned_from(planted: Interactions) -> None:
    few = planted.only(planted.clicks_user < 6)
    encoder = replace(OPTIONS, steps=3).fit(few, Profiles.of_clicks(few))
    assert np.isfinite(encoder.item_table).all()


def test_an_item_that_nobody_clicked_has_the_vector_of_its_categories(planted: Interactions) -> None:
    kept = planted.only(planted.clicks_item >= 2)
    same = replace(kept, item_categories=np.ones((80, 1), np.int64), category_count=2)
    encoder = replace(OPTIONS, steps=3).fit(same, Profiles.of_clicks(same))
    np.testing.assert_array_equal(encoder.item_table[0], encoder.item_table[1])
    assert (encoder.item_table[0] != encoder.item_table[2]).any()


def test_too_few_clicks_and_a_loss_that_is_not_finite_are_refused(planted: Interactions) -> None:
    alone = planted.only(planted.clicks_user == 0)
    with pytest.raises(ValueError, match="2 clickers"):
        OPTIONS.fit(alone, Profiles.of_clicks(alone))
    with pytest.raises(ValueError, match="smaller learning rate"):
        replace(OPTIONS, learning_rate=1e30).fit(planted, Profiles.of_clicks(planted))
