"""The figures of a bundle, on vectors whose answer is known."""

import math

import numpy as np

from ralm.features import Interactions
from ralm.protocol.held_out import HeldOut, judge_held_out
from ralm.scoring import AttentionWeights

WEIGHTS = AttentionWeights(np.eye(4, dtype=np.float32), np.ones((2, 4), np.float32), np.ones(2, np.float32))


def groups_as_vectors(users: int) -> np.ndarray:
    """Each planted group of users has a direction of its own."""
    return np.eye(4, dtype=np.float32)[np.arange(users) % 4]


def test_vectors_that_know_the_groups_beat_both_baselines(planted: Interactions) -> None:
    learned = planted.first_of_each_user(0.7)
    vectors = groups_as_vectors(planted.users)
    figures = judge_held_out(planted, vectors, WEIGHTS, learned=learned, clusters=1, rng_seed=0)
    assert figures.positives <= (~learned).sum()
    assert figures.items <= planted.items
    assert figures.auc > 0.8
    assert abs(figures.auc_activity - 0.5) < 0.1
    assert figures.hit_rate > figures.hit_rate_popularity
    assert 0 < figures.users <= planted.users
    assert 0 < figures.hit_rate_error < 0.5
    assert figures == judge_held_out(planted, vectors, WEIGHTS, learned=learned, clusters=1, rng_seed=0)


def test_equal_vectors_are_at_chance(planted: Interactions) -> None:
    vectors = np.ones((planted.users, 4), np.float32)
    learned = planted.first_of_each_user(0.7)
    assert judge_held_out(planted, vectors, WEIGHTS, learned=learned, clusters=1, rng_seed=0).auc == 0.5


def test_too_little_to_judge_gives_no_figures(planted: Interactions) -> None:
    nothing_held_out = np.ones(len(planted.clicks_user), bool)
    vectors = groups_as_vectors(planted.users)
    figures = judge_held_out(planted, vectors, WEIGHTS, learned=nothing_held_out, clusters=3, rng_seed=0)
    assert (figures.positives, figures.items) == (0, 0)
    assert math.isnan(figures.auc)
    assert math.isnan(HeldOut().hit_rate)
