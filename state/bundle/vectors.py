"""Every user's look-alike vector, memory-mapped: only the pages that are asked for are read."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UserVectors:
    """Look-alike vectors by user key.

    Attributes:
        keys: uint64[n], ascending and distinct.
        vectors: float32[n, h], the same order.
    """

    keys: NDArray[np.uint64]
    vectors: NDArray[np.float32]

    @property
    def dim(self) -> int:
        """h, the length of a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The row of each key, uint64[m] to int64[m]; -1 for a user without a vector."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[place] == keys, place, -1)

    def gather(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """A copy of some rows, int64[m] to float32[m, h]; all must be 0 or above."""
        return np.asarray(self.vectors[rows])
