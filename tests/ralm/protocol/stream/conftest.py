"""A stream of ten days with two tastes: of each item's clickers nine of ten have its own."""

import numpy as np
import pytest

from ralm.features import Interactions
from ralm.protocol.stream.cut import StreamCut, cut_stream

DAY = 86_400_000


@pytest.fixture(scope="session")
def tastes() -> Interactions:
    rng, users, items = np.random.default_rng(3), 120, 100
    own = (np.arange(users)[:, None] + np.arange(items)) % 2 == 0
    user, item = np.nonzero(rng.random((users, items)) < np.where(own, 0.45, 0.05))
    time = rng.integers(0, 10 * DAY // 1000, len(user)) * 1000
    order = np.lexsort((item, time, user))
    nothing = np.zeros((users, 0), np.float32)
    return Interactions(user[order], item[order], time[order], {}, {}, nothing, np.zeros((items, 1), np.int64), 1)


@pytest.fixture(scope="session")
def cut(tastes: Interactions) -> StreamCut:
    return cut_stream(tastes, 0.6, draw=0)
