"""Which items are candidates, as the candidates topic says.

An item that was retired (a tombstone) or whose ``expires_at`` has passed is expired: its seeds are removed and clicks
on it are refused. A later candidate message lists it again, and then only clicks after that message count. So an item's
seeds follow from what the two topics hold, in whatever order they are read.
"""

from collections.abc import Iterable

import numpy as np

from flows.messages.batches import CandidateChange
from ralm.features import Ints
from state.store.seed_store import CandidateEntry

FOR_EVER = int(np.iinfo(np.int64).max)
_NOTHING = CandidateEntry(FOR_EVER)


class CandidateRegistry:
    """What the candidates topic says of a partition's items.

    Args:
        known: what the store has.
        only_listed: whether an item that is not listed is no candidate.
        remember: how long an expired item is remembered, ms of event time.
    """

    def __init__(self, known: Iterable[tuple[str, CandidateEntry]], *, only_listed: bool, remember: int) -> None:
        self._entries = dict(known)
        self._only_listed = only_listed
        self._remember = remember

    def apply(self, change: CandidateChange) -> CandidateEntry:
        """Apply a message of the candidates topic; returns its item's entry then."""
        before = self._entries.get(change.item_id, _NOTHING)
        since = before.since
        if change.retired:
            at = max(1, change.sent)  # 0 means that it is not
            entry = CandidateEntry(FOR_EVER, at, at)
        else:
            if before.retired_at:
                since = change.sent
            elif before.expires_at <= change.sent:
                since = before.expires_at
            expires_at = FOR_EVER if change.expires_at is None else change.expires_at
            entry = CandidateEntry(expires_at, since)
        self._entries[change.item_id] = entry
        return entry

    def is_listed(self, item_id: str) -> bool:
        """Whether the item is in the list, and not retired."""
        entry = self._entries.get(item_id)
        return entry is not None and not entry.retired_at

    def is_retired(self, item_id: str) -> bool:
        """Whether a tombstone has retired the item."""
        entry = self._entries.get(item_id)
        return entry is not None and entry.retired_at > 0

    def is_candidate(self, item_id: str) -> bool:
        """Whether the item may be clustered and served."""
        entry = self._entries.get(item_id)
        return not self._only_listed if entry is None else not entry.retired_at

    def is_expired(self, item_id: str, now: int) -> bool:
        """Whether the item was retired or has expired by ``now`` (event time, ms)."""
        entry = self._entries.get(item_id)
        return entry is not None and _expires_at(entry) <= now

    def ignore_before(self, item_ids: list[str], now: int) -> Ints | None:
        """The times up to which clicks on the items are not taken, int64[n], ms; None when all clicks are.

        Args:
            item_ids: the items.
            now: event time, ms.
        """
        found = [self._entries.get(item_id) for item_id in item_ids]
        if not any(found):
            return None
        return np.array([_ignored_until(entry, now) for entry in found])

    def expired(self, now: int) -> list[str]:
        """The items that are expired by ``now`` (event time, ms)."""
        return [item_id for item_id, entry in self._entries.items() if _expires_at(entry) <= now]

    def forget(self, now: int) -> list[str]:
        """Forget items that expired longer ago than ``remember``; returns them."""
        old = [
            item_id
            for item_id, entry in self._entries.items()
            if (entry.retired_at or entry.expires_at) + self._remember <= now
        ]
        for item_id in old:
            del self._entries[item_id]
        return old

    def __len__(self) -> int:
        return len(self._entries)


def _ignored_until(entry: CandidateEntry | None, now: int) -> int:
    if entry is None:
        return -1
    return FOR_EVER if _expires_at(entry) <= now else entry.since or -1


def _expires_at(entry: CandidateEntry) -> int:
    # A retirement holds from when it is known, whatever the event time: 0 is before every time.
    return 0 if entry.retired_at else entry.expires_at
