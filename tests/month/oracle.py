"""What must be kept and served at the end of a month, from the messages and the rules in the documents alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from state.user_keys import user_key
from tests.faults.checks import wrong_emission
from tests.faults.journal import Journal
from tests.faults.oracle import Oracle, Seeds, TrueClick

from .cast import Notice
from .plan import ITEM_TTL, LATENESS, MAX_SEEDS, RETENTION, WINDOW


@dataclass
class MonthOracle(Oracle):
    """The rule of the faults' oracle, and besides: sets end at gaps, are forgotten, and are served or not.

    Attributes:
        partitions: of the clicks topic now.
        max_listings: items of a partition of which the candidates topic is remembered.
        notices: the last message of each item in the candidates topic, in the order of these messages.
    """

    capacity: int = MAX_SEEDS
    partitions: int = 0
    max_listings: int = 0
    notices: dict[str, Notice] = field(default_factory=dict)

    def note(self, notice: Notice) -> None:
        """Take note of a message about a candidate."""
        self.notices.pop(notice.item, None)
        self.notices[notice.item] = notice

    def remembered(self) -> dict[str, Notice]:
        """The last messages on those items of each partition that have the newest ones."""
        homes: dict[int, list[Notice]] = {}
        for notice in self.notices.values():
            homes.setdefault(self.home(notice.item), []).append(notice)
        return {each.item: each for notices in homes.values() for each in notices[-self.max_listings :]}

    def seed_sets(self, positions: Mapping[int, int] | None = None) -> dict[str, Seeds]:
        """Every item's seeds, from the clicks before some positions; from all clicks without any."""
        closed, found = self.closed(positions), {}
        for item, clicks in self._by_item(positions).items():
            clicks.sort(key=lambda click: click.ts)
            if clicks[-1].ts < closed.get(self.home(item), 0) - RETENTION:
                continue
            first = max((n for n in range(1, len(clicks)) if clicks[n].ts - clicks[n - 1].ts > ITEM_TTL), default=0)
            newest = {click.user: click.ts for click in clicks[first:]}  # the newest is the last that is written
            found[item] = self._newest(newest)
        return found

    def closed(self, positions: Mapping[int, int] | None = None) -> dict[int, int]:
        """The end of the last window that each partition's clicks have closed."""
        ends = {}
        for partition, clicks in self.clicks.items():
            times = [click.ts for click in clicks if _before(click, partition, positions)]
            if times:
                ends[partition] = (max(times) - LATENESS) // WINDOW * WINDOW
        return ends

    def home(self, item: str) -> int:
        """The partition that an item's clicks come to, as librdkafka chooses it."""
        return crc32(item.encode()) % self.partitions

    @staticmethod
    def is_served(said: Notice | None, seeds: Seeds, now: int) -> bool:
        """Whether an item of which that was said is served as of an event time."""
        if said is None:
            return max(seeds.values()) >= now - ITEM_TTL
        expires = said.body and said.body.get("expires_at", now + 1)
        return said.body is not None and "retired" not in said.body and isinstance(expires, int) and expires > now

    def _by_item(self, positions: Mapping[int, int] | None) -> dict[str, list[TrueClick]]:
        found: dict[str, list[TrueClick]] = {}
        for partition, clicks in self.clicks.items():
            for click in clicks:
                if _before(click, partition, positions):
                    found.setdefault(click.item, []).append(click)
        return found


def _before(click: TrueClick, partition: int, positions: Mapping[int, int] | None) -> bool:
    return positions is None or click.offset < positions.get(partition, 0)


def wrong_served(
    journal: Journal,
    oracle: MonthOracle,
    users: list[str],
    vectors: NDArray[np.float32],
    versions: list[str],
    least: int,
) -> list[str]:
    """Items that are served and should not be, or the other way round, or with wrong centroids; keys left behind.

    Args:
        journal: what the topics hold.
        oracle: what should be.
        users: those whom the bundle knows.
        vectors: theirs, float32[users, h].
        versions: of all bundles, the newest last; of the one before it, centroids of items with seeds may be left.
        least: seeds with a vector that an item must have.
    """
    rows = {user_key(user): row for row, user in enumerate(users)}
    closed, kept, notices = oracle.closed(), oracle.seed_sets(), oracle.remembered()
    wrong, expected = [], set()
    for item, seeds in kept.items():
        members = [rows[user] for user in seeds if user in rows]
        if len(members) < least or not oracle.is_served(notices.get(item), seeds, closed[oracle.home(item)]):
            continue
        expected.add(f"{versions[-1]}/{item}".encode())
        problem = wrong_emission(journal.last.get(item), seeds, vectors[members].astype(np.float64))
        if problem:
            wrong.append(f"item {item!r}: {problem}")
    before = {f"{version}/{item}".encode() for version in versions[-2:-1] for item in kept}
    surplus = sorted(journal.held - expected - before)
    wrong += [f"{key.decode()} has centroids, and should not be served" for key in surplus]
    return wrong + [f"{key.decode()} has no centroids" for key in sorted(expected - journal.held)]
