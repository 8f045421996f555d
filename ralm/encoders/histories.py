"""What an encoder sees of a user's clicks: the newest distinct items, and nothing else of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ralm.features import Interactions, Ints

MOST_ITEMS = 300
"""M, the newest distinct items that count, in training as in use."""
LAST_ITEMS = 5
"""A user's newest items that tell what its session is about."""


@dataclass(frozen=True)
class Histories:
    """The histories of U users, one after another.

    Attributes:
        items: int64[n], within a user distinct and the newest first.
        start: where each user's items begin, and at last n: int64[U + 1].
    """

    items: Ints
    start: Ints

    @property
    def users(self) -> int:
        """U, how many users."""
        return len(self.start) - 1

    @property
    def counts(self) -> Ints:
        """Items of each user, int64[U]."""
        return np.diff(self.start)

    @property
    def owners(self) -> Ints:
        """The user of each item, int64[n]."""
        return np.repeat(np.arange(self.users), self.counts)

    def newest(self, most: int) -> "Histories":
        """At most ``most`` items of each user."""
        kept = np.arange(len(self.items)) - self.start[self.owners] < most
        return Histories(self.items[kept], _starts(self.owners[kept], self.users))

    def take(self, users: Ints) -> "Histories":
        """The histories of some users, int64[B], in their order."""
        counts = self.counts[users]
        start = np.concatenate([[0], np.cumsum(counts)])
        place = np.repeat(self.start[users] - start[:-1], counts) + np.arange(start[-1])
        return Histories(self.items[place], start)

    def codes(self) -> Ints:
        """Item numbers + 1, int64[U, longest history], the newest first, padded with 0."""
        codes = np.zeros((self.users, int(self.counts.max(initial=1))), np.int64)
        codes[self.owners, np.arange(len(self.items)) - self.start[self.owners]] = self.items + 1
        return codes

    @classmethod
    def of_clicks(cls, clicks: Interactions, most: int | None = MOST_ITEMS) -> "Histories":
        """The histories of all users; None: however long they are."""
        return _distinct(clicks.clicks_user[::-1], clicks.clicks_item[::-1], clicks.users, most)

    @classmethod
    def of_items(cls, rows: Sequence[Sequence[int] | Ints], most: int | None = MOST_ITEMS) -> "Histories":
        """From the items of each user, the newest first; an item may come more than once.

        >>> Histories.of_items([[3, 1, 3], []]).items.tolist()
        [3, 1]
        """
        owners = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
        items = np.concatenate([np.zeros(0, np.int64), *(np.asarray(row, np.int64) for row in rows)])
        return _distinct(owners, items, len(rows), most)

    @classmethod
    def of_codes(cls, codes: Ints, most: int | None = MOST_ITEMS) -> "Histories":
        """From item numbers + 1, int64[U, width], the newest first, 0 is padding (as `ClickHistories` gives them)."""
        owners, place = np.nonzero(codes)
        return _distinct(owners, codes[owners, place] - 1, len(codes), most)


def _distinct(owners: Ints, items: Ints, users: int, most: int | None) -> Histories:
    """Histories of items that stand newest first within their owner; the newest click on an item is the one kept."""
    span = int(items.max(initial=0)) + 1
    first = np.sort(np.unique(owners * np.int64(span) + items, return_index=True)[1])
    order = first[np.argsort(owners[first], kind="stable")]
    histories = Histories(items[order].astype(np.int64), _starts(owners[order], users))
    return histories if most is None else histories.newest(most)


def _starts(owners: Ints, users: int) -> Ints:
    return np.searchsorted(owners, np.arange(users + 1))
