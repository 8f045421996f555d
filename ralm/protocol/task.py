"""A task: what is learned from, and what is then asked (the protocol that every model follows).

Clicks before the cut are learned from. An item's seeds are its clickers before the cut. Positives are later clickers
who are not seeds. Users and items below a floor are left out and counted.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions, Ints
from ralm.seed_lists import SeedLists


@dataclass(frozen=True)
class Task:
    """One split of a data set.

    Attributes:
        name: of the split, for the table: ``time``, ``user`` or ``items``.
        train: the clicks that are learned from; users and items keep their numbers.
        users: the judged users, int64[U].
        items: the judged items, int64[I].
        seeds: the seed sets of the judged items.
        seen: who is a seed of what, bool[U, I].
        wanted: who clicks what later without being its seed, bool[U, I].
        warm: whether the judged items have clicks in ``train``; if not, only their seeds tell of them.
        left_out: how many users, items and later clicks were below a floor, by what was below.
    """

    name: str
    train: Interactions
    users: Ints
    items: Ints
    seeds: SeedLists
    seen: NDArray[np.bool_]
    wanted: NDArray[np.bool_]
    warm: bool
    left_out: dict[str, int]

    @property
    def activity(self) -> Ints:
        """Clicks of each judged user before the cut, int64[U]: the control beside every figure."""
        return np.bincount(self.train.clicks_user, minlength=self.train.users)[self.users]
