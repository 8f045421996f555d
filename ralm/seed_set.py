"""The seed-set rule: the N distinct users whose clicks on an item are the newest.

A seed set is a rule and not a history. Each user counts once, with the time of its newest click; of all users the
``capacity`` newest stay, newest by (event time, then user key). ``merge`` under this rule is commutative,
associative and idempotent, so clicks may come twice, late or in any order, and two halves merged give the whole.
(Section 4 of the paper keeps "the latest 3 million clicks" of each candidate.)

Clicks are folded in window by window (``fold``): the set as of a window's end is what was folded and what lies before
that end, whatever came later. Where more than a gap lies between an item's clicks, its set ends and begins anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, TypeAlias

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

    def since(self, time: int) -> Self:
        """The seeds whose newest click is not before a time, ms."""
        keep = self.times >= time
        return self if keep.all() else type(self)(self.users[keep], self.times[keep])

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


@dataclass(frozen=True)
class WindowClicks:
    """An item's clicks of one window, while they are kept apart.

    Attributes:
        closes: end of the window with whose close they are folded in, ms: their own, or of late clicks the first that
            closes after they came.
        window: end of their own window, ms; the clicks lie before it.
        first: the earliest of them, ms, also if its user clicked again.
        seeds: the rule applied to them.
    """

    closes: int
    window: int
    first: int
    seeds: SeedSet


class FoldedSet(NamedTuple):
    """What comes of folding windows into a set.

    Attributes:
        seeds: the set.
        ended: whether nothing that was folded before is in it, since a gap ended that.
        since: clicks before this time are of a set that has ended, ms; 0: none are.
    """

    seeds: SeedSet
    ended: bool
    since: int


def fold(
    folded: Sequence[SeedSet], windows: Iterable[WindowClicks], capacity: int, max_gap: int = 0, since: int = 0
) -> FoldedSet:
    """Fold windows into a set, in the order in which they close; of those that close at once the earlier window first.

    A window whose first click comes more than ``max_gap`` after the newest click of the set begins the set anew. What
    comes later of clicks from before that gap, late or read again, is of the set that has ended and stays out. All
    clicks of one (closes, window) count together, whatever parts they come in, so the result follows from the clicks
    and where windows closed, and from no order within a window.

    Args:
        folded: the set as of the last close, in any parts; the large one first is cheapest.
        windows: what comes after it; several parts of a window may come.
        capacity: N, the most seeds that are kept.
        max_gap: ms; 0: no gap ends a set.
        since: as in what folding ``folded`` came to.
    """
    groups: dict[tuple[int, int], list[WindowClicks]] = {}
    for part in windows:
        groups.setdefault((part.closes, part.window), []).append(part)
    # A moved item may have come with seeds from before a gap that its other part has seen.
    parts, ended = [part.since(since) for part in folded] if since else list(folded), False
    newest = max((int(part.times.max()) for part in parts if len(part)), default=None)
    for key in sorted(groups):
        first = min(part.first for part in groups[key])
        if max_gap and newest is not None and first - newest > max_gap:
            parts, ended, since = [], True, first - max_gap
        group = [seeds for part in groups[key] if len(seeds := part.seeds.since(since))]
        parts += group
        newest = max([int(seeds.times.max()) for seeds in group] + ([] if newest is None else [newest]), default=None)
    return FoldedSet(merge_all(parts, capacity), ended, since)


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
    """Apply the rule to a batch of many items' clicks at once; see ``by_group``.

    Yields:
        Each item number of the batch, ascending, with the seed set of its clicks.
    """
    for item, _, seeds in by_group(items, users, times, capacity):
        yield item, seeds


def by_group(
    groups: NDArray[np.int64], users: Users, times: Times, capacity: int
) -> Iterator[tuple[int, int, SeedSet]]:
    """Apply the rule to each group of clicks, of one item or one item and window.

    Args:
        groups: numbers of the groups, int64[m], not negative.
        users: user keys, uint64[m].
        times: event times, int64[m], ms.
        capacity: N, the most seeds that are kept of one group.

    Yields:
        Each group's number, ascending, the earliest time of its clicks, and their seed set.
    """
    if not len(groups):
        return
    order = _order(groups, users)
    groups, users, times = groups[order], users[order], times[order]
    begins = np.r_[True, groups[1:] != groups[:-1]]
    starts = np.flatnonzero(begins)
    names, firsts = groups[starts].tolist(), np.minimum.reduceat(times, starts).tolist()
    begins[1:] |= users[1:] != users[:-1]
    seeds = np.flatnonzero(begins)  # where each group's next user begins
    users, times = users[seeds], np.maximum.reduceat(times, seeds)
    cuts = [*np.searchsorted(seeds, starts).tolist(), len(seeds)]
    for number, name in enumerate(names):
        start, stop = cuts[number : number + 2]
        found = SeedSet(users[start:stop], times[start:stop])
        yield name, firsts[number], found if stop - start <= capacity else found.newest(capacity)


def _order(groups: NDArray[np.int64], users: Users) -> NDArray[np.int64]:
    """The order by group, then user.

    Sorted by user, then by 16 bits of the group at a time, which numpy does by counting: a quarter of ``np.lexsort``.
    """
    order = np.argsort(users)
    most = int(groups.max())
    for shift in range(0, most.bit_length(), 16):
        digits = (groups[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
    return order
