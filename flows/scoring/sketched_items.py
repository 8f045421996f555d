"""The live items' sketches by slot, and where the items of users' histories are: what neighbours are made from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints
from ralm.live_sketches import NEWEST_ITEMS, LiveSketches, greatest_is_one
from ralm.sketch import Sketch
from state.bundle.vectors import places_of
from state.item_keys import item_keys


@dataclass(frozen=True)
class SketchedItems:
    """The live items at one moment; never changed once made.

    Attributes:
        sketches: of each slot.
        key_of: of each slot the item's key, uint64[S].
        live: bool[S].
        keys: of the live items, ascending, uint64[m].
        slots: and their slots, int64[m].
    """

    sketches: LiveSketches
    key_of: NDArray[np.uint64]
    live: NDArray[np.bool_]
    keys: NDArray[np.uint64]
    slots: Ints

    @classmethod
    def empty(cls) -> Self:
        """No items."""
        nothing = np.zeros(0, np.uint64)
        return cls(LiveSketches.empty(), nothing, np.zeros(0, bool), nothing, np.zeros(0, np.int64))

    @property
    def without_sketch(self) -> int:
        """Live items whose centroids have no sketch."""
        return int((self.sketches.counted[self.live] == 0).sum())

    def changed(
        self,
        slots: Ints,
        item_ids: Sequence[str | None],
        sketches: Sequence[Sketch | None],
        seeds: Ints,
        count: int,
    ) -> Self:
        """A copy in which some slots have other items.

        Args:
            slots: int64[n], distinct.
            item_ids: their items; None: none.
            sketches: of these; None: none.
            seeds: of these, int64[n].
            count: slots of the copy, no fewer than now.
        """
        key_of, live = np.zeros(count, np.uint64), np.zeros(count, bool)
        key_of[: len(self.key_of)], live[: len(self.live)] = self.key_of, self.live
        live[slots] = [item_id is not None for item_id in item_ids]
        key_of[slots] = item_keys([item_id or "" for item_id in item_ids])
        found = np.flatnonzero(live)
        found = found[np.argsort(key_of[found])]
        return type(self)(self.sketches.changed(slots, sketches, seeds, count), key_of, live, key_of[found], found)

    def near(self, histories: NDArray[np.uint64], start: Ints, targets: Ints) -> Floats:
        """How many seeds items share with users' newest items (``nbr`` of ``ralm/live_sketches.py``).

        Args:
            histories: keys of the items that the users clicked, one user after another and the newest first, uint64[m].
            start: where each user's begin, and at last m: int64[R + 1].
            targets: the slots of the items, int64[n], distinct.

        Returns:
            float32[R, n]; of each user's targets that it had not clicked the greatest is 1, unless all are 0.
        """
        owners = np.repeat(np.arange(len(start) - 1), np.diff(start))
        slots = self._slots_of(histories)
        newest = (np.arange(len(owners)) - start[owners] < NEWEST_ITEMS) & (slots >= 0)
        near = self.sketches.near(slots[newest], np.searchsorted(owners[newest], np.arange(len(start))), targets)
        return greatest_is_one(near, ~self._clicked(owners, slots, targets, near.shape))

    def _slots_of(self, keys: NDArray[np.uint64]) -> Ints:
        """The slot of each item, int64[m]; -1 where it is not live."""
        places = places_of(self.keys, keys)
        return np.where(places >= 0, self.slots[places] if len(self.slots) else -1, -1)

    def _clicked(self, owners: Ints, slots: Ints, targets: Ints, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which targets each user had clicked, bool[shape]."""
        column = np.full(len(self.live), -1, np.int64)
        column[targets] = np.arange(len(targets))
        columns = np.where(slots >= 0, column[slots] if len(column) else -1, -1)
        clicked = np.zeros(shape, bool)
        clicked[owners[columns >= 0], columns[columns >= 0]] = True
        return clicked
