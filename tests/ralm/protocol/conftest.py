"""Clicks of users who differ widely in activity, on items that differ widely in popularity."""

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.protocol.split import Floors, item_split, time_split, user_split
from ralm.protocol.task import Task


@pytest.fixture(scope="session")
def crowd() -> Interactions:
    """Taste plays no part: who clicks what follows activity and popularity alone."""
    rng, users, items = np.random.default_rng(0), 400, 150
    activity, popularity = rng.uniform(0.02, 0.6, users), rng.uniform(0.1, 1.0, items)
    user, item = np.nonzero(rng.random((users, items)) < np.outer(activity, popularity))
    time = rng.integers(0, 10**6, len(user))
    order = np.lexsort((item, time, user))
    nothing = np.zeros((users, 0), np.float32)
    return Interactions(user[order], item[order], time[order], {}, {}, nothing, np.zeros((items, 1), np.int64), 1)


@pytest.fixture(scope="session", params=["time", "user", "items"])
def task(request: pytest.FixtureRequest, crowd: Interactions) -> Task:
    """The crowd, split in each of the ways."""
    if request.param == "time":
        return time_split(crowd, 800_000, Floors())
    if request.param == "user":
        return user_split(crowd, 0.8, Floors())
    return item_split(crowd, 0.3, Floors())
