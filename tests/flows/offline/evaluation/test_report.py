"""What a reader is told of a task that is too small to tell models apart."""

import numpy as np
import pytest

from flows.offline.evaluation.report import items_note, judged_note
from ralm.features import Interactions
from ralm.protocol.split import Floors, later_clicks
from ralm.protocol.task import Task


def task_of(users: int, items: int) -> Task:
    """Each user clicks two thirds of the items, half of these before the cut."""
    user, item = (axis.ravel() for axis in np.mgrid[:users, :items])
    clicked = (user + item) % 3 > 0
    user, item = user[clicked], item[clicked]
    nothing = np.zeros((users, 0), np.float32)
    clicks = Interactions(user, item, item * 1000, {}, {}, nothing, np.zeros((items, 1), np.int64), 1)
    return later_clicks("time", clicks, (user + item) % 3 == 1, Floors(clicks=1, seeds=1))


@pytest.mark.parametrize(("items", "says"), [(9, True), (12, False)])
def test_few_items_make_the_best_ten_say_nothing(items: int, says: bool) -> None:
    note = items_note(task_of(30, items))
    assert bool(note) == says
    assert not says or note.startswith("Only 9 items are judged")


@pytest.mark.parametrize(("users", "says"), [(30, True), (300, False)])
def test_few_users_are_said_to_be_too_few(users: int, says: bool) -> None:
    note = judged_note(task_of(users, 12))
    assert note.startswith(f"Only {users} users" if says else f"{users} users are judged.")
    assert ("try --eval-split user and --eval-split items" in note) == says
