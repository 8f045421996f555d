"""The clicks of a stream as columns: histories of users and seeds of items as of any moment."""

from functools import cached_property

import numpy as np
from scipy.sparse import csr_array

from ralm.encoders.histories import MOST_ITEMS, Histories
from ralm.features import Interactions, Ints


class ClickLog:
    """Looks up what was clicked strictly before a time; clicks of one moment know nothing of one another.

    Args:
        clicks: each pair of a user and an item once.

    Attributes:
        users, items: how many.
    """

    def __init__(self, clicks: Interactions) -> None:
        self.users, self.items = clicks.users, clicks.items
        order = np.lexsort((clicks.clicks_item, clicks.clicks_user, clicks.clicks_time))
        self._user, self._item = clicks.clicks_user[order], clicks.clicks_item[order]
        self._time = clicks.clicks_time[order]
        self._first = int(self._time[0])
        self._span = int(self._time[-1]) - self._first + 2

    def until(self, time: int) -> int:
        """How many clicks are earlier than a time, ms."""
        return int(np.searchsorted(self._time, time))

    def seeds(self, time: int) -> tuple[Ints, Ints]:
        """Users and items of all clicks earlier than a time: int64[n] each, in the order of time."""
        end = self.until(time)
        return self._user[:end], self._item[:end]

    def seed_times(self, time: int) -> Ints:
        """The times of the same clicks, ms, int64[n]."""
        return self._time[: self.until(time)]

    def seed_matrix(self, time: int) -> csr_array:
        """Who clicked what earlier than a time, CSR float32[items, users]."""
        users, items = self.seeds(time)
        return csr_array((np.ones(len(users), np.float32), (items, users)), shape=(self.items, self.users))

    def clicks_before(self, items: Ints, times: Ints) -> Ints:
        """Clicks on items earlier than times, int64[n] of both int64[n]."""
        ordered = np.sort(self._item * self._span + (self._time - self._first))
        found: Ints = np.searchsorted(ordered, self._key(items, times)) - np.searchsorted(ordered, items * self._span)
        return found

    def histories(self, users: Ints, times: Ints, most: int = MOST_ITEMS) -> Histories:
        """What users (int64[B]) had clicked before times (int64[B], ms), the newest ``most`` first."""
        start = np.searchsorted(self._user_key, users * self._span)
        end = np.searchsorted(self._user_key, self._key(users, times))
        counts = np.minimum(end - start, most)
        places = np.concatenate([[0], np.cumsum(counts)])
        back = np.arange(places[-1]) - np.repeat(places[:-1], counts)
        return Histories(self._of_user[np.repeat(end, counts) - 1 - back], places)

    def next_items(self, users: Ints, times: Ints, most: int) -> csr_array:
        """The ``most`` clicks of each user from a time on, CSR bool[B, items]."""
        start = np.searchsorted(self._user_key, self._key(users, times))
        end = np.searchsorted(self._user_key, (users + 1) * self._span)
        counts = np.minimum(end - start, most)
        places = np.concatenate([[0], np.cumsum(counts)])
        items = self._of_user[np.repeat(start - places[:-1], counts) + np.arange(places[-1])]
        return csr_array((np.ones(len(items), bool), items, places), (len(users), self.items))

    def moments(self, since: int) -> tuple[Ints, Ints, Ints]:
        """Each user's distinct times of clicks from ``since`` on, and how many of the user's are between.

        Returns:
            Users, times (ms) and clicks since then and before that time, int64[n] each; by user, then time.
        """
        late = self._user_key % self._span >= max(0, since - self._first)
        keys, first = np.unique(self._user_key[late], return_index=True)
        users = keys // self._span
        return users, keys % self._span + self._first, first - first[np.searchsorted(users, users)]

    @cached_property
    def _by_user(self) -> Ints:
        return np.lexsort((self._time, self._user))

    @cached_property
    def _of_user(self) -> Ints:
        return self._item[self._by_user]

    @cached_property
    def _user_key(self) -> Ints:
        return self._key(self._user, self._time)[self._by_user]

    def _key(self, owners: Ints, times: Ints) -> Ints:
        """Ascending in (owner, time); times outside the log's are taken for its ends."""
        return owners * self._span + np.clip(times - self._first, 0, self._span - 1)
