"""Which items are candidates, as the topic of candidates says.

An item that was retired (a tombstone) or whose ``expires_at`` has passed is gone: its seeds go and no click on it is
taken. A later candidate message lists it anew, and then only clicks after that message count. So what an item's seeds
are follows from what the two topics hold, in whatever order the two are read.
"""

from collections.abc import Iterable

import numpy as np

from flows.messages.batches import CandidateChange
from ralm.features import Ints
from state.store.seed_store import Listing

FOR_EVER = int(np.iinfo(np.int64).max)
_NOTHING = Listing(FOR_EVER)


class Listings:
    """What the topic of candidates says of a partition's items.

    Args:
        known: what the store has.
        only_listed: whether an item that is not listed is no candidate.
        remember: how long a gone item is remembered, ms of event time.
    """

    def __init__(self, known: Iterable[tuple[str, Listing]], *, only_listed: bool, remember: int) -> None:
        self._known = dict(known)
        self._only_listed = only_listed
        self._remember = remember

    def take(self, change: CandidateChange) -> Listing:
        """Take a message in; returns what is known of its item then."""
        before = self._known.get(change.item_id, _NOTHING)
        since = before.since
        if change.retired:
            at = max(1, change.sent)  # 0 means that it is not
            listing = Listing(FOR_EVER, at, at)
        else:
            if before.retired_at:
                since = change.sent
            elif before.expires_at <= change.sent:
                since = before.expires_at
            expires_at = FOR_EVER if change.expires_at is None else change.expires_at
            listing = Listing(expires_at, since)
        self._known[change.item_id] = listing
        return listing

    def is_listed(self, item_id: str) -> bool:
        """Whether the item is in the list, and not retired."""
        listing = self._known.get(item_id)
        return listing is not None and not listing.retired_at

    def is_retired(self, item_id: str) -> bool:
        """Whether a tombstone has retired the item."""
        listing = self._known.get(item_id)
        return listing is not None and listing.retired_at > 0

    def is_candidate(self, item_id: str) -> bool:
        """Whether the item may be clustered and served."""
        listing = self._known.get(item_id)
        return not self._only_listed if listing is None else not listing.retired_at

    def is_gone(self, item_id: str, now: int) -> bool:
        """Whether the item was retired or has expired by ``now`` (event time, ms)."""
        listing = self._known.get(item_id)
        return listing is not None and _gone_at(listing) <= now

    def floors(self, item_ids: list[str], now: int) -> Ints | None:
        """The times up to which clicks on the items are not taken, int64[n], ms; None when all clicks are.

        Args:
            item_ids: the items.
            now: event time, ms.
        """
        found = [self._known.get(item_id) for item_id in item_ids]
        if not any(found):
            return None
        return np.array([_floor(listing, now) for listing in found])

    def gone(self, now: int) -> list[str]:
        """The items that are gone by ``now`` (event time, ms)."""
        return [item_id for item_id, listing in self._known.items() if _gone_at(listing) <= now]

    def forget(self, now: int) -> list[str]:
        """Forget what went so long ago that nobody clicks it any more; returns the items."""
        old = [
            item_id
            for item_id, listing in self._known.items()
            if (listing.retired_at or listing.expires_at) + self._remember <= now
        ]
        for item_id in old:
            del self._known[item_id]
        return old

    def __len__(self) -> int:
        return len(self._known)


def _floor(listing: Listing | None, now: int) -> int:
    if listing is None:
        return -1
    return FOR_EVER if _gone_at(listing) <= now else listing.since or -1


def _gone_at(listing: Listing) -> int:
    # A retirement holds from when it is known, whatever the event time: 0 is before every time.
    return 0 if listing.retired_at else listing.expires_at
