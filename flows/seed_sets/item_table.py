"""What a partition keeps in memory of each of its items, in columns: 53 bytes an item and its name."""

from collections.abc import Iterable
from itertools import repeat
from typing import Final

import numpy as np

from ralm.features import Ints

NEVER = np.iinfo(np.int64).max
"""Window of an item that nothing has touched since its last clustering."""
NOT_NAMED: Final = -1
"""``expires_at`` of an item that no message of the candidates topic has named."""


class ItemTable:
    """Items by number, with their last click, their seeds and the windows that touched them.

    Attributes:
        last_click: event time of the newest click, int64[capacity], ms.
        seeds: seeds at the last merge, int64[capacity].
        emitted: the least window end that its next message may say, int64[capacity], ms: that as of which it was last
            clustered, or 1 ms after that of its last tombstone; or 0.
        expires_at: what the candidates topic says of it, int64[capacity]: see ``CandidateRegistry.expires_at``.
        withdrawn: whether it is served no more, bool[capacity].
        away: whether its clicks come to another partition now, to which its seeds will move, bool[capacity].
        unsure: whether the topic may hold centroids of it that the store does not know of, bool[capacity].
        dirty_from: end of the first window that touched the item since it was clustered, int64[capacity]; or NEVER.
        dirty_to: end of the last such window, int64[capacity]; 0 when there is none.
        changed: whether its record is to be written, bool[capacity].
        live: whether the number is in use, bool[capacity].
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names: list[str] = []
        self._free: list[int] = []
        self.last_click = np.zeros(0, np.int64)
        self.seeds = np.zeros(0, np.int64)
        self.emitted = np.zeros(0, np.int64)
        self.expires_at = np.zeros(0, np.int64)
        self.withdrawn = np.zeros(0, bool)
        self.away = np.zeros(0, bool)
        self.unsure = np.zeros(0, bool)
        self.dirty_from = np.full(0, NEVER)
        self.dirty_to = np.zeros(0, np.int64)
        self.changed = np.zeros(0, bool)
        self.live = np.zeros(0, bool)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._numbers

    def number(self, item_id: str) -> int:
        """The item's number, a new one if it is not known."""
        known = self._numbers.get(item_id)
        if known is not None:
            return known
        if self._free:
            number = self._free.pop()
            self._names[number] = item_id
        else:
            number = len(self._names)
            self._names.append(item_id)
            if number == len(self.live):
                self._grow()
        self._numbers[item_id] = number
        self.last_click[number], self.seeds[number] = 0, 0
        self.emitted[number], self.expires_at[number], self.withdrawn[number] = 0, NOT_NAMED, False
        self.away[number], self.unsure[number], self.changed[number] = False, False, False
        self.dirty_from[number], self.dirty_to[number] = NEVER, 0
        self.live[number] = True
        return number

    def find(self, item_ids: Iterable[str]) -> Ints:
        """The numbers of several items, -1 for those that are not known: int64[n]."""
        return np.fromiter(map(self._numbers.get, item_ids, repeat(-1)), np.int64)

    def name(self, number: int) -> str:
        """The item's identifier."""
        return self._names[number]

    def forget(self, item_id: str) -> None:
        """Give the item's number back."""
        number = self._numbers.pop(item_id)
        self.live[number], self.changed[number] = False, False
        self.dirty_from[number] = NEVER
        self._free.append(number)

    def click(self, numbers: Ints, times: Ints) -> None:
        """Note the times of clicks: int64[n] each."""
        np.maximum.at(self.last_click, numbers, times)

    def mark(self, numbers: Ints, windows: Ints) -> None:
        """Note that windows (their ends, ms) touched items: int64[n] each."""
        np.minimum.at(self.dirty_from, numbers, windows)
        np.maximum.at(self.dirty_to, numbers, windows)

    def dirty(self) -> Ints:
        """The numbers of the items that await clustering, int64[n]."""
        return np.flatnonzero(self.dirty_from != NEVER)

    def touched_until(self, closed: int) -> tuple[Ints, Ints]:
        """Take the items that a closed window touched; what later windows touched stays dirty.

        Args:
            closed: end of the last closed window, ms.

        Returns:
            Their numbers, oldest window first, and for each the end of the last closed window that touched it:
            int64[n] each. (Of several windows that close at once, as in a backlog, only the last is clustered.)
        """
        taken = np.flatnonzero(self.dirty_from <= closed)
        taken = taken[np.argsort(self.dirty_from[taken], kind="stable")]
        windows = np.minimum(self.dirty_to[taken], closed)
        later = self.dirty_to[taken] > closed
        self.dirty_from[taken] = np.where(later, self.dirty_to[taken], NEVER)
        self.dirty_to[taken[~later]] = 0
        return taken, windows

    def idle_since(self, time: int) -> list[str]:
        """The items without a click since ``time`` (ms)."""
        return [self._names[number] for number in np.flatnonzero(self.live & (self.last_click < time)).tolist()]

    def longest_idle(self, count: int) -> list[str]:
        """So many of the items, those whose last clicks are the oldest; of equal ones the first by name."""
        numbers = np.flatnonzero(self.live)
        if count >= len(numbers):
            return [self._names[number] for number in numbers.tolist()]
        last = self.last_click[numbers]
        oldest = np.partition(last, count - 1)[count - 1]
        found = [self._names[number] for number in numbers[last < oldest].tolist()]
        tied = sorted(self._names[number] for number in numbers[last == oldest].tolist())
        return found + tied[: count - len(found)]

    def _grow(self) -> None:
        more = max(1024, len(self.live))
        self.last_click = np.concatenate([self.last_click, np.zeros(more, np.int64)])
        self.seeds = np.concatenate([self.seeds, np.zeros(more, np.int64)])
        self.emitted = np.concatenate([self.emitted, np.zeros(more, np.int64)])
        self.expires_at = np.concatenate([self.expires_at, np.zeros(more, np.int64)])
        self.withdrawn = np.concatenate([self.withdrawn, np.zeros(more, bool)])
        self.away = np.concatenate([self.away, np.zeros(more, bool)])
        self.unsure = np.concatenate([self.unsure, np.zeros(more, bool)])
        self.dirty_from = np.concatenate([self.dirty_from, np.full(more, NEVER)])
        self.dirty_to = np.concatenate([self.dirty_to, np.zeros(more, np.int64)])
        self.changed = np.concatenate([self.changed, np.zeros(more, bool)])
        self.live = np.concatenate([self.live, np.zeros(more, bool)])
