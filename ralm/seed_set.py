"""The seed-set rule: the N distinct users whose clicks on an item are the newest.

A seed set is a rule and not a history. Each user counts once, with the time of its newest click; of all users the
``capacity`` newest stay, newest by (event time, then user key). ``merge`` under this rule is commutative,
associative and idempotent, so clicks may come twice, late or in any order, and two halves merged give the whole.
(Section 4 of the paper keeps "the latest 3 million clicks" of each candidate.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

Users: TypeAlias = NDArray[np.uint64]
Times: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class SeedSet:
    """The seeds of one item, in columns.

    Attributes:
        users: user keys, uint64[n], ascending and distinct.
        times: event time of each user's newest click, int64[n], ms since the epoch.
    """

    users: Users
    times: Times

    @classmethod
    def empty(cls) -> Self:
        """A set of no seeds."""
        return cls(np.empty(0, np.uint64), np.empty(0, np.int64))

    @classmethod
    def of_clicks(cls, users: Users, times: Times, capacity: int) -> Self:
        """Apply the rule to clicks in any order.

        >>> s = SeedSet.of_clicks(np.array([7, 9, 7], np.uint64), np.array([10, 20, 30]), capacity=2)
        >>> s.users.tolist(), s.times.tolist()
        ([7, 9], [30, 20])

        Args:
            users: user keys, uint64[m], repeats allowed.
            times: event times, int64[m], ms.
            capacity: N, the most seeds that are kept.
        """
        order = np.lexsort((times, users))
        users, times = users[order], times[order]
        newest = np.ones(len(users), bool)
        newest[:-1] = users[1:] != users[:-1]
        return cls(users[newest], times[newest]).newest(capacity)

    def __len__(self) -> int:
        return len(self.users)

    def newest(self, capacity: int) -> Self:
        """The ``capacity`` newest seeds, ties in time going to the greater user key."""
        surplus = len(self.users) - capacity
        if surplus <= 0:
            return self
        oldest_kept = np.partition(self.times, surplus)[surplus]
        keep = self.times >= oldest_kept
        # The users that share the oldest time that is kept do not all fit: the smallest keys go.
        tied = np.flatnonzero(self.times == oldest_kept)
        keep[tied[: int(keep.sum()) - capacity]] = False
        return type(self)(self.users[keep], self.times[keep])

    def merge(self, other: "SeedSet", capacity: int) -> Self:
        """The set of both sets' clicks; cheapest when ``other`` is the smaller one.

        Args:
            other: any other set of the same item.
            capacity: N, the most seeds that are kept.
        """
        place = np.searchsorted(self.users, other.users)
        known = np.zeros(len(other.users), bool)
        inside = place < len(self.users)
        known[inside] = self.users[place[inside]] == other.users[inside]
        times = self.times.copy()
        times[place[known]] = np.maximum(times[place[known]], other.times[known])
        users = np.insert(self.users, place[~known], other.users[~known])
        times = np.insert(times, place[~known], other.times[~known])
        return type(self)(users, times).newest(capacity)

    def before(self, time: int) -> Self:
        """The seeds whose newest click is earlier than ``time`` (ms)."""
        earlier = self.times < time
        return self if earlier.all() else type(self)(self.users[earlier], self.times[earlier])


def merge_all(parts: Sequence[SeedSet], capacity: int) -> SeedSet:
    """Merge any number of parts, the large first part cheaply with the many small ones after it."""
    if not parts:
        return SeedSet.empty()
    if len(parts) == 1:
        return parts[0].newest(capacity)
    rest = SeedSet.of_clicks(
        np.concatenate([part.users for part in parts[1:]]),
        np.concatenate([part.times for part in parts[1:]]),
        capacity,
    )
    return parts[0].merge(rest, capacity)


def by_item(items: NDArray[np.int64], users: Users, times: Times, capacity: int) -> Iterator[tuple[int, SeedSet]]:
    """Apply the rule to a batch of many items' clicks at once.

    Args:
        items: item numbers, int64[m].
        users: user keys, uint64[m].
        times: event times, int64[m], ms.
        capacity: N, the most seeds that are kept of one item.

    Yields:
        Each item number of the batch, ascending, with the seed set of its clicks.
    """
    if not len(items):
        return
    order = np.lexsort((times, users, items))
    items, users, times = items[order], users[order], times[order]
    newest = np.ones(len(items), bool)
    newest[:-1] = (items[1:] != items[:-1]) | (users[1:] != users[:-1])
    items, users, times = items[newest], users[newest], times[newest]
    starts = np.flatnonzero(np.r_[True, items[1:] != items[:-1]])
    for start, stop in zip(starts, np.r_[starts[1:], len(items)], strict=True):
        yield int(items[start]), SeedSet(users[start:stop], times[start:stop]).newest(capacity)
