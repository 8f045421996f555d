"""The seed sets of many items as one array, for training and for the experiment."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ralm.features import Interactions, Ints


@dataclass(frozen=True)
class SeedLists:
    """The seed sets of I items, one after another.

    Attributes:
        users: the seeds of all items, int64[n]; within an item the earliest click first.
        start: where each item's seeds begin, and at last n: int64[I + 1].
    """

    users: Ints
    start: Ints

    @property
    def items(self) -> int:
        """I, how many items."""
        return len(self.start) - 1

    @property
    def counts(self) -> Ints:
        """Seeds of each item, int64[I]."""
        return np.diff(self.start)

    def of(self, item: int) -> Ints:
        """The seeds of one item (its place among the I), int64."""
        return self.users[self.start[item] : self.start[item + 1]]

    def first(self, most: Ints) -> "SeedLists":
        """The first seeds of each item, at most ``most`` of them, int64[I]."""
        within = np.arange(len(self.users)) - np.repeat(self.start[:-1], self.counts)
        kept = within < np.repeat(most, self.counts)
        return SeedLists(self.users[kept], np.concatenate([[0], np.cumsum(np.minimum(self.counts, most))]))

    def matrix(self, users: Ints, count: int) -> NDArray[np.bool_]:
        """Which of some users (int64[U], of ``count`` in all) is a seed of which item, bool[U, I]."""
        place = np.full(count, -1)
        place[users] = np.arange(len(users))
        of = np.repeat(np.arange(self.items), self.counts)
        known = place[self.users] >= 0
        member = np.zeros((len(users), self.items), bool)
        member[place[self.users[known]], of[known]] = True
        return member

    @staticmethod
    def of_clicks(clicks: Interactions, items: Ints) -> "SeedLists":
        """The distinct clickers of items in order of their first click.

        >>> none = np.zeros((2, 0), "f4")
        >>> clicks = Interactions(
        ...     np.array([0, 1]), np.array([5, 5]), np.array([20, 10]), {}, {}, none, np.zeros((6, 1), int), 1
        ... )
        >>> SeedLists.of_clicks(clicks, np.array([5, 4])).of(0).tolist()
        [1, 0]
        """
        place = np.full(clicks.items, -1)
        place[items] = np.arange(len(items))
        of = place[clicks.clicks_item]
        rows = np.flatnonzero(of >= 0)
        order = rows[np.lexsort((clicks.clicks_user[rows], clicks.clicks_time[rows], of[rows]))]
        pair = of[order] * np.int64(clicks.users) + clicks.clicks_user[order]
        first = np.sort(np.unique(pair, return_index=True)[1])
        order = order[first]
        start = np.searchsorted(of[order], np.arange(len(items) + 1))
        return SeedLists(clicks.clicks_user[order], start)
