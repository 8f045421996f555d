"""What must be true, from the messages in the topics and the rules in the README alone.

Nothing of the project's seed-set code is used here: an item's seeds are a dict of user key and time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from state.user_keys import user_key

Seeds = dict[int, int]
"""Seeds of an item: user key to the time of the user's newest click, ms."""


@dataclass(frozen=True)
class TrueClick:
    """A good click, and the offset that it has in its item's partition."""

    offset: int
    item: str
    user: int
    ts: int


@dataclass
class Oracle:
    """All good clicks by partition, and the rule: the ``capacity`` newest users, by (time, user key)."""

    capacity: int
    clicks: dict[int, list[TrueClick]] = field(default_factory=dict)
    refused: set[tuple[int, int]] = field(default_factory=set)
    """Partition and offset of clicks that the clock made dead letters, and that were sent again."""

    def add(self, partition: int, offset: int, item: str, user: str, ts: int) -> None:
        """Take note of a good click."""
        self.clicks.setdefault(partition, []).append(TrueClick(offset, item, user_key(user), ts))

    def reach(self) -> dict[int, int]:
        """The offset after the last good click of each partition."""
        return {
            partition: max(click.offset for click in clicks if (partition, click.offset) not in self.refused) + 1
            for partition, clicks in self.clicks.items()
            if any((partition, click.offset) not in self.refused for click in clicks)
        }

    def seed_sets(self, positions: Mapping[int, int] | None = None) -> dict[str, Seeds]:
        """Every item's seeds, from the clicks before some positions; from all clicks without any."""
        newest: dict[str, Seeds] = {}
        for partition, clicks in self.clicks.items():
            end = None if positions is None else positions.get(partition, 0)
            for click in clicks:
                if (end is None or click.offset < end) and (partition, click.offset) not in self.refused:
                    seeds = newest.setdefault(click.item, {})
                    seeds[click.user] = max(click.ts, seeds.get(click.user, click.ts))
        return {item: self._newest(seeds) for item, seeds in newest.items()}

    def _newest(self, seeds: Seeds) -> Seeds:
        kept = sorted(seeds.items(), key=lambda seed: (seed[1], seed[0]), reverse=True)[: self.capacity]
        return dict(kept)
