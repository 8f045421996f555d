"""What is written to a store at once."""

from dataclasses import dataclass, field

from ralm.seed_set import SeedSet
from state.store.layout import CandidateEntry, ItemRecord


@dataclass
class Changes:
    """What one epoch changes; written whole or not at all.

    Attributes:
        retired: items whose seeds, record and centroids go; marked until their tombstones are ``acked``.
        acked: items evicted earlier, whose tombstones have been delivered.
        seeds: new seeds of each touched item.
        items: the touched items' new records.
        centroids: encoded centroids of the items that were clustered.
        candidates: what the candidates topic says; None forgets it.
    """

    retired: list[str] = field(default_factory=list)
    acked: list[str] = field(default_factory=list)
    seeds: list[tuple[str, SeedSet]] = field(default_factory=list)
    items: dict[str, ItemRecord] = field(default_factory=dict)
    centroids: dict[str, bytes] = field(default_factory=dict)
    candidates: dict[str, CandidateEntry | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(vars(self).values())
