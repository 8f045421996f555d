"""What tests of the learning share: clicks with planted groups."""

import numpy as np
import pytest

from ralm.features import Interactions


@pytest.fixture(scope="session")
def planted() -> Interactions:
    """Four groups of users, told by their profile, who click almost only on their own group's items."""
    rng, users, items = np.random.default_rng(0), 240, 80
    user = np.repeat(np.arange(users), 24)
    own = rng.random(len(user)) < 0.9
    item = np.where(own, user % 4 + 4 * rng.integers(0, items // 4, len(user)), rng.integers(0, items, len(user)))
    time = np.tile(np.arange(24), users) * 1000
    keep = np.unique(np.stack([user, item], axis=1), axis=0, return_index=True)[1]
    keep = keep[np.lexsort((item[keep], time[keep], user[keep]))]
    return Interactions(
        user[keep],
        item[keep],
        time[keep],
        {"group": (np.arange(users) % 4 + 1, 5), "noise": (rng.integers(1, 6, users), 6)},
        {},
        rng.random((users, 1)).astype(np.float32),
        rng.integers(1, 4, (items, 1)),
        4,
    )
