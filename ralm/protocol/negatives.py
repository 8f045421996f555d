"""Who did not click: for each positive one user who never clicked its item (the protocol's two kinds).

A user who clicks much looks like everybody's seed: ranking users by their activity alone does well against negatives
that are drawn uniformly. Against negatives who are as active as the positive it can do nothing; what is left then is
how well a model tells users apart by their taste.
"""

import numpy as np

from ralm.features import Ints
from ralm.protocol.task import Task

NEGATIVE_KINDS = ("uniform", "matched")
_NEAR = 10
"""Places in the order of activity, up and down, among which a matched negative is drawn at first."""
_TRIES = 40
"""Draws before a positive is left without a negative; the range of a matched one doubles every fourth."""


def negatives(task: Task, kind: str, rng_seed: int) -> tuple[Ints, Ints, Ints]:
    """Draw a negative for each positive of a task.

    Args:
        task: the task.
        kind: ``uniform`` over the judged users, or ``matched``: near the positive in the order of activity.
        rng_seed: fixes the draws.

    Returns:
        Rows of users, columns of items, and rows of the negatives, int64[n] each; a positive whose item was clicked
        by every user that was drawn is left out.
    """
    rng = np.random.default_rng([rng_seed, NEGATIVE_KINDS.index(kind)])
    clicked = task.seen | task.wanted
    user, item = np.nonzero(task.wanted)
    # Equally active users stand in random order.
    order = np.lexsort((rng.random(len(task.users)), task.activity))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    negative = np.full(len(user), -1)
    left = np.arange(len(user))
    for attempt in range(_TRIES):
        near = len(order) if kind == "uniform" else _NEAR << (attempt // 4)
        low, high = np.maximum(rank[user[left]] - near, 0), np.minimum(rank[user[left]] + near, len(order) - 1)
        drawn = order[rng.integers(low, high + 1)]
        good = ~clicked[drawn, item[left]]
        negative[left[good]] = drawn[good]
        left = left[~good]
    kept = negative >= 0
    return user[kept], item[kept], negative[kept]
