"""Overlaps of seed sets as a term of the score, against a slow form; and the choice of its weight."""

import numpy as np
import pytest

from ralm.encoders.spectral import Spectral
from ralm.features import Interactions
from ralm.live_sketches import NEWEST_ITEMS
from ralm.models.encoded import EncodedConfig, EncodedLookalike
from ralm.models.neighbours import Neighbours
from ralm.seed_lists import SeedLists

ITEMS = np.array([3, 4, 50])


def slow(clicks: Interactions, users: np.ndarray, seeds: SeedLists) -> np.ndarray:
    clickers = [set(clicks.clicks_user[clicks.clicks_item == item].tolist()) for item in range(clicks.items)]
    near = np.zeros((len(users), seeds.items))
    for row, user in enumerate(users):
        mine = np.flatnonzero(clicks.clicks_user == user)
        newest = clicks.clicks_item[mine[np.argsort(clicks.clicks_time[mine], kind="stable")]][::-1][:NEWEST_ITEMS]
        for place in range(seeds.items):
            given = set(seeds.of(place).tolist())
            near[row, place] = sum(
                len(given & clickers[j]) / np.sqrt(max(1, len(given)) * len(clickers[j])) for j in newest
            )
        new = [place for place in range(seeds.items) if user not in seeds.of(place)]
        near[row] /= max(near[row, new], default=1.0) or 1.0
    return near


@pytest.fixture(scope="module")
def neighbours(planted: Interactions) -> Neighbours:
    return Neighbours(planted)


def test_neighbours_are_summed_cosines_of_seed_sets(planted: Interactions, neighbours: Neighbours) -> None:
    users = np.array([0, 1, 17])
    seeds = SeedLists.of_clicks(planted, ITEMS).first(np.array([20, 0, 60]))
    expected = slow(planted, users, seeds)
    np.testing.assert_allclose(neighbours.near(users, seeds), expected, rtol=1e-4, atol=1e-6)
    pairs, items = np.array([17, 0, 17]), np.array([0, 2, 2])
    found = neighbours.near_pairs(pairs, items, seeds)
    np.testing.assert_allclose(found, expected[[2, 0, 2], items], rtol=1e-4, atol=1e-6)


def test_the_weight_is_chosen_and_counts(planted: Interactions) -> None:
    users, seeds = np.arange(12), SeedLists.of_clicks(planted, ITEMS)
    plain, chosen, heavy = (
        EncodedLookalike(EncodedConfig(Spectral(4), neighbours=weights)) for weights in ((), (0.0, 0.3), (0.3,))
    )
    for model in (plain, chosen, heavy):
        model.fit(planted, 0)
    gained = heavy.scores_of_seeds(users, seeds) - plain.scores_of_seeds(users, seeds)
    np.testing.assert_allclose(gained, 0.3 * Neighbours(planted).near(users, seeds), atol=1e-5)
    assert (plain.log, [line["stage"] for line in heavy.log]) == ([], ["lambda 0.3"])
    scores = chosen.scores_of_seeds(users, seeds)
    assert any(np.allclose(scores, other.scores_of_seeds(users, seeds)) for other in (plain, heavy))
