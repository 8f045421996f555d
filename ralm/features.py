"""What is known of a user, as numbers: the profile, and what past clicks say (section 5.1 of the paper).

Codes are 1 and up; 0 means unknown or padding. The fields that clicks give (items read, categories of interest) are
multivalent, most recent first, bounded, and hold only clicks strictly earlier than a given time: never the click that
is being predicted, nor one of the same moment.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Interactions:
    """Users, items and clicks as dense numbers.

    Attributes:
        clicks_user: int64[n], ascending; then by time.
        clicks_item: int64[n].
        clicks_time: int64[n], ms.
        categorical: of each profile field, codes int64[users] and the number of codes (0 included).
        multivalent: of each profile field, codes int64[users, width] padded with 0, and the number of codes.
        continuous: float32[users, c], normalised to [0, 1].
        item_categories: int64[items, width], padded with 0.
        category_count: number of category codes (0 included).
    """

    clicks_user: Ints
    clicks_item: Ints
    clicks_time: Ints
    categorical: dict[str, tuple[Ints, int]]
    multivalent: dict[str, tuple[Ints, int]]
    continuous: Floats
    item_categories: Ints
    category_count: int

    @property
    def users(self) -> int:
        """How many users."""
        return len(self.continuous)

    @property
    def items(self) -> int:
        """How many items."""
        return len(self.item_categories)

    def only(self, clicks: NDArray[np.bool_]) -> "Interactions":
        """The same with only some of the clicks, bool[n]."""
        return replace(
            self,
            clicks_user=self.clicks_user[clicks],
            clicks_item=self.clicks_item[clicks],
            clicks_time=self.clicks_time[clicks],
        )

    def first_of_each_user(self, share: float) -> NDArray[np.bool_]:
        """The earlier clicks of each user: a share of them, rounded up; clicks of one moment stay together.

        Returns:
            bool[n], true for the earlier part.
        """
        start = np.searchsorted(self.clicks_user, self.clicks_user)
        count = np.searchsorted(self.clicks_user, self.clicks_user, side="right") - start
        last = start + np.ceil(count * share).astype(np.int64) - 1
        earlier: NDArray[np.bool_] = self.clicks_time <= self.clicks_time[last]
        return earlier


END_OF_TIME = 2**62
"""Later than every click."""


@dataclass(frozen=True)
class FeatureBatch:
    """Features of B users, as the user tower takes them.

    Attributes:
        categorical: of each field, int64[B].
        multivalent: of each field, int64[B, width], 0 is padding; ``items`` and ``categories`` come from clicks.
        continuous: float32[B, c].
    """

    categorical: dict[str, Ints]
    multivalent: dict[str, Ints]
    continuous: Floats


class ClickHistories:
    """Looks up what users had clicked before a time.

    Args:
        interactions: the data.
        length: most past clicks that are looked at.
    """

    def __init__(self, interactions: Interactions, length: int) -> None:
        self._data = interactions
        self._length = length
        # Ranks instead of times: however far apart these are, user * span + rank stays within int64.
        self._times, rank = np.unique(interactions.clicks_time, return_inverse=True)
        self._span = len(self._times) + 1
        self._order = interactions.clicks_user * self._span + rank  # ascending

    def items_before(self, users: Ints, times: Ints) -> Ints:
        """The items that users clicked strictly before times, most recent first.

        Args:
            users: int64[B].
            times: int64[B], ms.

        Returns:
            Item number + 1, int64[B, length], padded with 0.
        """
        since = np.searchsorted(self._times, times)  # how many different times lie before
        stop = np.searchsorted(self._order, users * self._span + since)  # the first click at or after the time
        start = np.searchsorted(self._order, users * self._span)
        place = stop[:, None] - 1 - np.arange(self._length)  # (B, length)
        known = place >= start[:, None]
        if not len(self._order):
            return np.zeros(place.shape, np.int64)
        return np.where(known, self._data.clicks_item[np.where(known, place, 0)] + 1, 0)

    def features(self, users: Ints, times: Ints, *, forget: NDArray[np.bool_] | None = None) -> FeatureBatch:
        """The features of users as of times.

        Args:
            users: int64[B].
            times: int64[B], ms.
            forget: bool[B]; users whose past clicks are left out, as if they were new.
        """
        data = self._data
        items = self.items_before(users, times)
        if forget is not None:
            items[forget] = 0
        categories = np.concatenate([np.zeros_like(data.item_categories[:1]), data.item_categories])[items]
        return FeatureBatch(
            {name: codes[users] for name, (codes, _) in data.categorical.items()},
            {
                **{name: codes[users] for name, (codes, _) in data.multivalent.items()},
                "items": items,
                "categories": categories.reshape(len(users), -1),
            },
            data.continuous[users],
        )
