"""Where items are stored, and what that shows about the partitioner of those who produce their clicks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.seed_sets.partitioners import KEY_HASHES, PARTITIONERS, Partitioner
from flows.support.errors import RalmError
from flows.support.text import counted

_BY_CHANCE = 1e-3
"""The greatest probability with which a partitioner may be taken for the producers' that is not theirs."""


@dataclass(frozen=True)
class ItemPlaces:
    """The items of every store, as they were found after the clicks topic got another number of partitions.

    Two questions are asked of them. To move the items that are there, it is enough that the partitioners that explain
    their places agree on each of them. To say where any other item belongs, one alone must explain them.

    Attributes:
        items: the items' names, by the partition whose store has them.
        counts: the numbers of partitions that the topic had, in order.
        now: the number that it has now.
    """

    items: Mapping[int, Sequence[str]]
    counts: Sequence[int]
    now: int

    def partitioner_of_these(self) -> Partitioner | None:
        """The partitioner by which these items can be moved; None if none explains where they are.

        A few items may be by chance where another partitioner would have put them, and all would then be moved to where
        no click comes. So chance must be unlikely, or the operator has to name the partitioner.

        Raises:
            RalmError: when several explain it and would send an item to different partitions, as after there was only
                one partition, or when there are too few items to tell.
        """
        keys = self._keys()
        at_home = self._fitting([self.now])
        if at_home and self.now ** -len(keys) <= _BY_CHANCE:
            return PARTITIONERS[at_home[0]]
        # Where none fits, the topic may have grown in steps between two starts, and clicks have come in each.
        known, between = list(self.counts), range(min(self.counts), max(self.counts) + 1)
        fitting = self._fitting(known)
        if not fitting:
            known, fitting = list(between), self._fitting(between)
        several = any(len({PARTITIONERS[name](key, self.now) for name in fitting}) > 1 for key in keys)
        if several or (fitting and not at_home and self._chance(fitting[0], known) > _BY_CHANCE):
            few = counted(len(keys), "item is", "items are")
            why = "" if several else f": {few} too few to tell"
            msg = (
                f"the clicks topic has {self.now} partitions now, and the current places of the items do not show how "
                f"its producers choose an item's partition{why}. Say it: --partitioner crc32 for librdkafka's default "
                "(clients in C, Python, Go, .NET), --partitioner murmur2 for Java's, --partitioner other if it is none "
                "of these: then no item is moved."
            )
            raise RalmError(msg)
        return PARTITIONERS[fitting[0]] if fitting else None

    def partitioner_of_all(self) -> Partitioner | None:
        """The partitioner that decides on items that are in no store, too; None if these do not prove which it is."""
        known = sorted({*self.counts, self.now})
        fitting = self._fitting(known)
        if len(fitting) == 1 and self._chance(fitting[0], known) <= _BY_CHANCE:
            return PARTITIONERS[fitting[0]]
        return None

    def _keys(self) -> list[bytes]:
        return [name.encode() for names in self.items.values() for name in names]

    def _chance(self, partitioner: str, counts: Sequence[int]) -> float:
        """How likely a partitioner, with one of these counts, would explain items in random places."""
        hashed = map(KEY_HASHES[partitioner], self._keys())
        return math.prod(len({each % count for count in counts}) / max(counts) for each in hashed)

    def _fitting(self, counts: Sequence[int]) -> list[str]:
        """The partitioners that may have put the items where they are, with one of these counts of partitions."""
        return [
            name
            for name, hashed in KEY_HASHES.items()
            if all(
                any(each % count == partition for count in counts)
                for partition, names in self.items.items()
                for each in map(hashed, map(str.encode, names))
            )
        ]
