"""Which items are candidates, as the candidates topic says: the last message on an item decides.

It decides what is served, never what is kept: an item's seeds follow from the clicks alone. A message that retires an
item, a tombstone, or one whose ``expires_at`` has passed holds until the next message on the item, however long ago.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

from flows.messages.batches import CandidateChange
from flows.seed_sets.item_table import NOT_NAMED, ItemTable
from ralm.features import Ints
from state.store.layout import FOR_EVER, RETIRED
from state.store.seed_store import CandidateEntry

ItemEnd: TypeAlias = Literal["idle", "retired", "expired", "unlisted", "over_capacity", "forgotten"]
"""Why an item is served no more: see ``monitoring.metrics.ITEM_ENDS``."""

Mask: TypeAlias = "np.ndarray[tuple[int], np.dtype[np.bool_]]"


class CandidateRegistry:
    """What the candidates topic says of a partition's items.

    At most ``most`` items are known: those with the newest messages, so that a compacted topic read anew says the same.

    Args:
        known: what the store has.
        most: how many items are known at most.
    """

    def __init__(self, known: Iterable[tuple[str, CandidateEntry]], most: int) -> None:
        self._most = most
        oldest_first = sorted(known, key=lambda entry: (entry[1].offset, entry[0]))
        self._expires_at = OrderedDict((item_id, entry.expires_at) for item_id, entry in oldest_first)

    def apply(self, change: CandidateChange) -> dict[str, CandidateEntry | None]:
        """Apply a message of the candidates topic; returns what the store gets: its item, and what is forgotten."""
        expires_at = FOR_EVER if change.expires_at is None else change.expires_at
        entry = CandidateEntry(RETIRED if change.retired else expires_at, change.offset)
        self._expires_at[change.item_id] = entry.expires_at
        self._expires_at.move_to_end(change.item_id)
        return {change.item_id: entry, **dict.fromkeys(self.forget())}

    def forget(self) -> list[str]:
        """Forget what is too much, the oldest messages first; returns their items."""
        return [self._expires_at.popitem(last=False)[0] for _ in range(len(self._expires_at) - self._most)]

    def expires_at(self, item_id: str) -> int:
        """Event time until which the item is a candidate, ms; or ``FOR_EVER``, ``RETIRED``, ``NOT_NAMED``."""
        return self._expires_at.get(item_id, NOT_NAMED)

    def __len__(self) -> int:
        return len(self._expires_at)


class ServingRule:
    """Which items are served: it follows from an item's last candidate message, two settings, and its last click.

    One that is away is served by the partition to which its clicks come now.

    Args:
        only_listed: whether an item that no message names is not served.
        item_ttl: how long after its last click one that no message names is served, ms; 0: for ever.
    """

    def __init__(self, *, only_listed: bool, item_ttl: int) -> None:
        self._only_listed = only_listed
        self._item_ttl = item_ttl

    def served(self, items: ItemTable, numbers: Ints, now: int) -> Mask:
        """Whether items (int64[n]) are served as of an event time (ms): bool[n]."""
        expires_at = items.expires_at[numbers]
        served: Mask = expires_at > now
        if not self._only_listed:
            oldest = now - self._item_ttl if self._item_ttl else -1
            served |= (expires_at == NOT_NAMED) & (items.last_click[numbers] >= oldest)
        return served & ~items.away[numbers]

    def reason(self, expires_at: int) -> ItemEnd:
        """Why an item that a message says this of (``CandidateRegistry.expires_at``) is not served."""
        if expires_at == NOT_NAMED:
            return "unlisted" if self._only_listed else "idle"
        return "retired" if expires_at == RETIRED else "expired"
