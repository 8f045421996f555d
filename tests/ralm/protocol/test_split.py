"""What is learned from, who is a seed, who is asked for, and that whatever is left out is counted."""

from dataclasses import replace

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.protocol.judge import judge
from ralm.protocol.split import Floors, item_split, later_clicks, time_split, user_split
from ralm.protocol.task import Task


def clickers(clicks: Interactions) -> np.ndarray:
    clicked = np.zeros((clicks.users, clicks.items), bool)
    clicked[clicks.clicks_user, clicks.clicks_item] = True
    return clicked


def test_positives_are_clickers_who_are_not_seeds(crowd: Interactions, task: Task) -> None:
    clicked = clickers(crowd)[np.ix_(task.users, task.items)]
    assert not (task.seen & task.wanted).any()
    assert np.array_equal(task.seen | task.wanted, clicked)
    assert np.array_equal(task.seen, task.seeds.matrix(task.users, crowd.users))


def test_floors_hold(crowd: Interactions, task: Task) -> None:
    assert (np.bincount(task.train.clicks_user, minlength=crowd.users)[task.users] >= 5).all()
    assert (task.seeds.counts >= 10).all()
    assert task.wanted.any(axis=1).all()


def test_seeds_come_before_positives(crowd: Interactions, task: Task) -> None:
    time = np.full((crowd.users, crowd.items), -1)
    time[crowd.clicks_user, crowd.clicks_item] = crowd.clicks_time
    of = time[np.ix_(task.users, task.items)]
    if task.name == "user":  # before the user's own positives; else before a moment, or the item's positives
        assert (np.where(task.seen, of, -1).max(axis=1) < np.where(task.wanted, of, 2**62).min(axis=1)).all()
    else:
        assert (np.where(task.seen, of, -1).max(axis=0) <= np.where(task.wanted, of, 2**62).min(axis=0)).all()


def test_a_cut_by_time_learns_nothing_of_later(crowd: Interactions) -> None:
    task = time_split(crowd, 700_000, Floors())
    assert task.warm
    assert task.train.clicks_time.max() < 700_000
    assert len(task.train.clicks_time) == (crowd.clicks_time < 700_000).sum()


def test_a_cut_that_leaves_no_negatives_is_refused() -> None:
    """Everybody clicks every item, half of them before the cut: whoever does not is nobody."""
    users, items = 30, 20
    user, item = (axis.ravel() for axis in np.mgrid[:users, :items])
    time = item * 1000 + user
    nothing = np.zeros((users, 0), np.float32)
    clicks = Interactions(user, item, time, {}, {}, nothing, np.zeros((items, 1), np.int64), 1)
    with pytest.raises(ValueError, match="each of the 30 judged users clicks every item that is asked for"):
        later_clicks("user", clicks, item % 2 < (user + item) // 2 % 2, Floors(seeds=1))


def test_nothing_is_learned_of_held_out_items(crowd: Interactions) -> None:
    task = item_split(crowd, 0.3, Floors())
    assert not task.warm
    assert not np.isin(task.train.clicks_item, task.items).any()
    assert len(task.train.clicks_item) == (~np.isin(crowd.clicks_item, task.items)).sum()
    count = clickers(crowd).sum(axis=0)
    assert np.array_equal(task.seeds.counts, count[task.items] // 2)
    assert len(task.items) + task.left_out["items below the floor of seeds"] < (count > 0).sum()
    assert task.left_out["items below the floor of seeds"] == ((count > 0) & (count < 20)).sum()


@pytest.mark.parametrize(
    "floors", [Floors(), Floors(clicks=30, seeds=40), Floors(users=100)], ids=["low", "high", "100"]
)
def test_left_out_counts_add_up(crowd: Interactions, floors: Floors) -> None:
    task = user_split(crowd, 0.8, floors)
    before = clickers(task.train)
    later = clickers(crowd) & ~before
    able = before.sum(axis=0) >= floors.seeds
    askable = later[:, able].any(axis=1)  # no pair comes twice in these data, so that every later click is new
    left = task.left_out
    users_left = left["users below the floor of clicks"] + left.get("users not drawn", 0)
    assert len(task.users) + users_left + left["users without a new click on a judged item"] == askable.sum()
    assert left["items below the floor of seeds"] == later[:, ~able].any(axis=0).sum()
    assert left["later clicks"] + task.wanted.sum() == later.sum()
    assert len(task.users) <= floors.users


def test_a_click_that_comes_again_is_no_positive(crowd: Interactions) -> None:
    order = np.repeat(np.arange(len(crowd.clicks_user)), 2)
    time = np.tile([0, 900_000], len(crowd.clicks_user)) + crowd.clicks_time[order] // 10**5
    again = replace(crowd, clicks_user=crowd.clicks_user[order], clicks_item=crowd.clicks_item[order], clicks_time=time)
    with pytest.raises(ValueError, match="0 users"):
        time_split(again, 500_000, Floors())


def test_refusals_say_what_to_do(crowd: Interactions, task: Task) -> None:
    with pytest.raises(ValueError, match="lower the floors"):
        user_split(crowd, 0.8, Floors(seeds=10**6))
    with pytest.raises(ValueError, match="2000000 clickers or more, of which there are 0: none"):
        item_split(crowd, 0.1, Floors(seeds=10**6))
    with pytest.raises(ValueError, match="0 clicks to learn from"):
        time_split(crowd, -1, Floors(seeds=0, clicks=0))
    scores = np.zeros(task.wanted.shape, np.float32)
    with pytest.raises(ValueError, match="shape"):
        judge(scores[1:], task, 0)
    scores[0, 0] = np.nan
    with pytest.raises(ValueError, match="1 of the scores"):
        judge(scores, task, 0)
