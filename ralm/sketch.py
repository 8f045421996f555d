"""Bottom-k sketches: how many seeds two seed sets share, from a bounded part of each.

A sketch is the ``capacity`` members with the smallest hashes, which is a rule like the seed set's own: neither order
nor repetition changes it, and two sketches merged are the sketch of the union. Hashes are uniform, so that below the
threshold ``tau`` (as a share of all hashes) lies a random part of the set, of the share tau:

``|A and B| ~ members of both sketches below t / t``, ``t = min(tau_A, tau_B)``.

tau is 1 while fewer than ``capacity`` members are known, else the largest hash kept, which itself is not counted: then
the estimate has no bias (given the threshold, each other member is below it with probability tau; Duffield, Lund and
Thorup, 2007). Its variance for n shared members is about ``n (1 - t) / t``; it is exact while both sets are that small.

Hashes have 32 bits, so that 128 of them are 512 bytes an item. Two of an item's n members share a hash with a
probability of ``n / 2^32`` each; they then count once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

SKETCH_CAPACITY = 128
"""Members kept: 512 bytes an item."""
_SPAN = 2.0**32

Hashes: TypeAlias = NDArray[np.uint32]


def hashes_of(keys: NDArray[np.uint64]) -> Hashes:
    """Uniform hashes of keys of any distribution, uint32[n]: the upper half of SplitMix64's finaliser.

    >>> hashes_of(np.array([1, 2], np.uint64)).tolist()
    [1452414493, 3687987351]
    """
    x = keys.astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True)
class Sketch:
    """The members of one set with the smallest hashes.

    Attributes:
        hashes: uint32[at most capacity], ascending and distinct.
        capacity: k, the most that are kept.
    """

    hashes: Hashes
    capacity: int = SKETCH_CAPACITY

    @classmethod
    def of_keys(cls, keys: NDArray[np.uint64], capacity: int = SKETCH_CAPACITY) -> Self:
        """The sketch of keys in any order, repeats allowed, uint64[n].

        >>> Sketch.of_keys(np.array([5, 6, 5], np.uint64), capacity=8).hashes.size
        2
        """
        hashes = hashes_of(keys)
        if len(hashes) > 4 * capacity:  # sort few of many; twice as many as are kept, in case some are equal
            few = np.partition(hashes, 2 * capacity)[: 2 * capacity]
            distinct = np.unique(few)
            if len(distinct) >= capacity:
                return cls(distinct[:capacity], capacity)
        return cls(np.unique(hashes)[:capacity], capacity)

    def merge(self, other: "Sketch") -> Self:
        """The sketch of both sets' union.

        Raises:
            ValueError: when the capacities differ.
        """
        if self.capacity != other.capacity:
            msg = f"sketches of {self.capacity} and of {other.capacity} members cannot be merged"
            raise ValueError(msg)
        return type(self)(np.union1d(self.hashes, other.hashes)[: self.capacity], self.capacity)

    @property
    def tau(self) -> float:
        """The share of all hashes below which the sketch knows every member."""
        return 1.0 if len(self.hashes) < self.capacity else float(self.hashes[-1]) / _SPAN


@dataclass(frozen=True)
class SketchTable:
    """The sketches of I sets as arrays, for the overlaps of many pairs at once.

    Attributes:
        members: 1 for each hash below its set's threshold, CSR float32[I, distinct hashes].
        tau: of each set, float64[I].
    """

    members: csr_array
    tau: NDArray[np.float64]

    @classmethod
    def of(cls, sketches: Sequence[Sketch]) -> Self:
        """From single sketches."""
        counted = [sketch.hashes if sketch.tau == 1.0 else sketch.hashes[:-1] for sketch in sketches]
        start = np.concatenate([[0], np.cumsum([len(hashes) for hashes in counted])]).astype(np.int64)
        every, columns = np.unique(np.concatenate([np.zeros(0, np.uint32), *counted]), return_inverse=True)
        return cls(_ones(columns, start, len(every)), np.array([sketch.tau for sketch in sketches], np.float64))

    @classmethod
    def of_seeds(
        cls,
        users: NDArray[np.int64],
        items: NDArray[np.int64],
        hashes: Hashes,
        count: int,
        capacity: int = SKETCH_CAPACITY,
    ) -> Self:
        """The sketches of ``count`` items at once, from pairs of a user and an item.

        Args:
            users: int64[n].
            items: int64[n], in [0, count); no pair twice.
            hashes: of every user, uint32[users].
            count: I.
            capacity: k.
        """
        order = np.lexsort((hashes[users], items))
        users, items = users[order], items[order]
        start = np.searchsorted(items, np.arange(count + 1))
        sizes = np.diff(start)
        within = np.arange(len(items)) - start[items]
        full = sizes >= capacity
        tau = np.ones(count)
        tau[full] = hashes[users[start[:-1][full] + capacity - 1]] / _SPAN
        kept = within < np.where(full, capacity - 1, capacity)[items]
        start = np.concatenate([[0], np.cumsum(np.bincount(items[kept], minlength=count))])
        return cls(_ones(users[kept], start, len(hashes)), tau)

    def __len__(self) -> int:
        return len(self.tau)

    def take(self, places: NDArray[np.int64]) -> Self:
        """The sketches of some of the sets, int64[A]."""
        return type(self)(self.members[places], self.tau[places])

    def overlaps(self, other: "SketchTable") -> csr_array:
        """Estimates of how many members each of A sets shares with each of B others.

        Args:
            other: of the same hashes: a part of the same table, or a table of the same users.

        Returns:
            CSR float32[A, B].

        Raises:
            ValueError: when the tables are of different hashes.
        """
        if self.members.shape[1] != other.members.shape[1]:
            msg = f"tables of {self.members.shape[1]} and of {other.members.shape[1]} hashes cannot be compared"
            raise ValueError(msg)
        # What is below both thresholds is exactly what both sketches count.
        shared = (self.members @ other.members.T).tocoo()
        shared.data /= np.minimum(self.tau[shared.row], other.tau[shared.col]).astype(np.float32)
        return shared.tocsr()

    def cosines(self, other: "SketchTable", sizes: NDArray[np.int64], other_sizes: NDArray[np.int64]) -> csr_array:
        """``|S_i and S_j| / sqrt(|S_i| |S_j|)`` of the same pairs, CSR float32[A, B].

        Args:
            other: as `overlaps` takes it.
            sizes: how many members the A sets have, int64[A].
            other_sizes: int64[B].
        """
        shared = self.overlaps(other).tocoo()
        lengths = sizes[shared.row].astype(np.float64) * other_sizes[shared.col]
        shared.data /= np.sqrt(np.maximum(lengths, 1)).astype(np.float32)
        return shared.tocsr()


def _ones(columns: NDArray[np.int64], start: NDArray[np.int64], width: int) -> csr_array:
    return csr_array((np.ones(len(columns), np.float32), columns, start), (len(start) - 1, width))
