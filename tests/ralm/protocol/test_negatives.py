"""Negatives never clicked; matched ones take from activity all that it can tell."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.protocol.judge import judge
from ralm.protocol.negatives import NEGATIVE_KINDS, negatives
from ralm.protocol.task import Task


@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_negatives_never_clicked_and_every_positive_has_one(crowd: Interactions, task: Task, kind: str) -> None:
    user, item, negative = negatives(task, kind, 0)
    clicked = np.zeros((crowd.users, crowd.items), bool)
    clicked[crowd.clicks_user, crowd.clicks_item] = True
    assert not clicked[task.users[negative], task.items[item]].any()
    assert np.array_equal(np.stack([user, item]), np.nonzero(task.wanted))


def test_matched_negatives_are_near_in_activity(task: Task) -> None:
    user, _, negative = negatives(task, "matched", 0)
    order = np.sort(task.activity)
    low, high = np.searchsorted(order, task.activity), np.searchsorted(order, task.activity, side="right")
    apart = np.maximum(0, np.maximum(low[user] - high[negative], low[negative] - high[user]))
    assert np.quantile(apart, 0.9) <= 10
    uniform = negatives(task, "uniform", 0)
    assert np.abs(task.activity[user] - task.activity[negative]).mean() < 0.2 * (
        np.abs(task.activity[uniform[0]] - task.activity[uniform[2]]).mean()
    )


def test_activity_tells_nothing_of_matched_negatives(task: Task) -> None:
    scores = np.repeat(task.activity[:, None].astype(np.float32), len(task.items), axis=1)
    figures = judge(scores, task, 0).figures
    assert figures.auc["matched"] == pytest.approx(0.5, abs=0.03)
    assert figures.auc["uniform"] > 0.6


@pytest.mark.parametrize("kind", NEGATIVE_KINDS)
def test_draws_follow_the_seed(task: Task, kind: str) -> None:
    first, again, other = (negatives(task, kind, rng_seed)[2] for rng_seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_an_item_that_everybody_clicked_has_no_negatives(task: Task) -> None:
    wanted = task.wanted.copy()
    wanted[:, 0] = ~task.seen[:, 0]
    _, item, _ = negatives(replace(task, wanted=wanted), "uniform", 0)
    assert 0 not in item
    with pytest.raises(ValueError, match="no negatives"):
        judge(np.zeros(wanted.shape, np.float32), replace(task, wanted=~task.seen), 0)
