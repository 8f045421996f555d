"""What a bundle knows of items: their keys, what a click on each adds to a user's sum, and what people call them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from state.bundle.vectors import places_of
from state.item_keys import item_keys


@dataclass(frozen=True)
class BundleItems:
    """The items by key.

    Attributes:
        keys: uint64[I], ascending and distinct.
        table: e_j, float32 or float16 [I, h]; of an encoder that is not inductive [I, 0].
        titles: their names as UTF-8, one after another, uint8[m].
        title_start: where each name begins, and at last m: uint64[I + 1]; an empty name is none.
    """

    keys: NDArray[np.uint64]
    table: NDArray[Any]
    titles: NDArray[np.uint8]
    title_start: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.keys)

    def rows(self, item_ids: Sequence[str]) -> NDArray[np.int64]:
        """The row of each item, int64[m]; -1 for one that the bundle does not know."""
        return places_of(self.keys, item_keys(item_ids))

    def titles_of(self, item_ids: Sequence[str]) -> list[str]:
        """What people call each item; empty where nothing is known."""
        return [self._title(row) if row >= 0 else "" for row in self.rows(item_ids).tolist()]

    def _title(self, row: int) -> str:
        first, end = int(self.title_start[row]), int(self.title_start[row + 1])
        return bytes(self.titles[first:end]).decode(errors="replace")


def joined_titles(titles: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]:
    """Names as ``BundleItems`` keeps them: bytes uint8[m], and where each begins uint64[n + 1].

    >>> [part.tolist() for part in joined_titles(["a", "", "bc"])]
    [[97, 98, 99], [0, 1, 1, 3]]
    """
    parts = [title.encode() for title in titles]
    start = np.cumsum([0, *(len(part) for part in parts)]).astype(np.uint64)
    return np.frombuffer(b"".join(parts), np.uint8), start
