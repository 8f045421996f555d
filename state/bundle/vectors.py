"""What a bundle knows of its users, memory-mapped: only the pages that are asked for are read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def places_of(keys: NDArray[np.uint64], wanted: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where each wanted key, uint64[m], is among ascending ones: int64[m], -1 where it is not."""
    if not len(keys):
        return np.full(len(wanted), -1, np.int64)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, place, -1)


@dataclass(frozen=True)
class UserVectors:
    """Look-alike vectors by user key.

    Attributes:
        keys: uint64[n], ascending and distinct.
        vectors: float32[n, h], the same order.
        clicks: distinct items that each user's vector was made from, uint32[n].
    """

    keys: NDArray[np.uint64]
    vectors: NDArray[np.float32]
    clicks: NDArray[np.uint32]

    @property
    def dim(self) -> int:
        """h, the length of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The row of each key, uint64[m] to int64[m]; -1 for a user without a vector."""
        return places_of(self.keys, keys)

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """A copy of some rows, int64[m] to float32[m, h]; all must be 0 or above."""
        return np.asarray(self.vectors[rows])


@dataclass(frozen=True)
class UserSums:
    """What the vectors of an inductive encoder were made from, so that they can follow further clicks.

    ``encoder.finish(sums, clicks, profiles)`` is the vector again.

    Attributes:
        sums: of the item vectors of each user's history, float32[n, h].
        profiles: P_u, float32[n, h]; float32[n, 0] where the encoder makes nothing of profiles.
        history: rows of the items in the item table, user by user and the newest first, int32[m].
        history_start: where each user's items begin, and at last m: uint64[n + 1].
    """

    sums: NDArray[np.float32]
    profiles: NDArray[np.float32]
    history: NDArray[np.int32]
    history_start: NDArray[np.uint64]

    def take(self, rows: NDArray[np.int64]) -> "UserSums":
        """Those of some users, in their order."""
        history, start = self.histories(rows)
        return UserSums(self.sums[rows], self.profiles[rows], history, start.astype(np.uint64))

    def histories(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """The items of some users, int64[m], one after another, and where each user's begin, int64[m + 1]."""
        first = self.history_start[rows].astype(np.int64)
        counts = self.history_start[rows + 1].astype(np.int64) - first
        start = np.concatenate([[0], np.cumsum(counts)])
        return self.history[np.repeat(first - start[:-1], counts) + np.arange(start[-1])], start

    def history_of(self, row: int) -> NDArray[np.int32]:
        """The items of one user, the newest first."""
        return np.asarray(self.history[int(self.history_start[row]) : int(self.history_start[row + 1])])
