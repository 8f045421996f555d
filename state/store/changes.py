"""What is written to a store at once."""

from dataclasses import dataclass, field

from ralm.seed_set import SeedSet, WindowClicks
from state.store.layout import CandidateEntry, ItemRecord


@dataclass
class Changes:
    """What one epoch changes; written whole or not at all.

    Attributes:
        evicted: items whose seeds, record and centroids go; marked until their tombstones are ``acked``.
        moved: items of which all goes, and no mark stays: they are in another store.
        withdrawn: items whose centroids go, and nothing else; marked likewise.
        acked: items evicted or withdrawn earlier, whose tombstones have been delivered.
        windows: clicks of open windows, of each touched item.
        seeds: seeds of closed windows: part of the items' sets at once.
        since: of items that are moved here since when their clicks count, ms.
        items: the touched items' new records.
        centroids: encoded centroids of the items that were clustered.
        candidates: what the candidates topic says; None forgets it.
    """

    evicted: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)
    windows: list[tuple[str, WindowClicks]] = field(default_factory=list)
    seeds: list[tuple[str, SeedSet]] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)
    items: dict[str, ItemRecord] = field(default_factory=dict)
    centroids: dict[str, bytes] = field(default_factory=dict)
    candidates: dict[str, CandidateEntry | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())
