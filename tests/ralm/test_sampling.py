"""Eq. 3 and the bound on positives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ralm.sampling import NegativeSampler, bounded_positives, log_uniform_probability


@given(st.integers(1, 5000))
def test_the_probabilities_of_eq_3_sum_to_one(count: int) -> None:
    assert np.isclose(log_uniform_probability(np.arange(count), count).sum(), 1.0)


def test_draws_follow_eq_3() -> None:
    clicked = np.repeat(np.arange(20), np.arange(20))  # item 19 is the most frequent, item 0 was never clicked
    sampler = NegativeSampler.of_clicks(clicked, 20)
    assert sampler.by_rank.tolist() == list(range(19, -1, -1))
    drawn = sampler.draw(np.random.default_rng(0), (400_000,))
    shares = np.bincount(drawn, minlength=20)[::-1] / len(drawn)
    np.testing.assert_allclose(shares, log_uniform_probability(np.arange(20), 20), atol=4e-3)


@given(st.lists(st.integers(0, 5), max_size=80).map(sorted), st.integers(1, 9))
def test_no_user_has_more_positives_than_the_bound(users: list[int], most: int) -> None:
    array = np.array(users, np.int64)
    chosen = bounded_positives(np.random.default_rng(0), array, most)
    assert len(set(chosen.tolist())) == len(chosen)
    for user in set(users):
        assert (array[chosen] == user).sum() == min(most, users.count(user))
