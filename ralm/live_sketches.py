"""Sketches of items that come and go, ready for the overlaps of users' newest items with all others at once.

``nbr[u, i] = sum over the user's newest 20 items j of |S_i and S_j| / sqrt(|S_i| |S_j|)``

A hash that stands in both sketches below both thresholds is a shared member (``ralm/sketch.py``). So that no sketch is
compared with each other one, all counted hashes lie in one ascending list with the slots that have them: those of the
users' items are looked up in it, and a sparse product counts what is found by slot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ralm.features import Floats, Ints
from ralm.sketch import SKETCH_CAPACITY, Sketch

NEWEST_ITEMS = 20
"""A user's items that are compared with an item; all of them gain nothing."""
_MOST_NUMBERS = 1 << 22
"""Numbers in one intermediate matrix: 32 MiB with their columns."""
_DENSE = 0.1
"""A sparse matrix with a greater share of its numbers is added up faster as a dense one."""
_LOW = np.uint64(0xFFFFFFFF)
_UP = np.uint64(32)


@dataclass(frozen=True)
class LiveSketches:
    """The sketches in S slots; never changed once made. About 1.5 KiB a slot.

    Attributes:
        hashes: the counted ones of each slot, ascending, then zeros: uint32[S, capacity].
        counted: how many, int64[S]; 0 where there is no sketch.
        tau: thresholds, float64[S].
        sizes: members of each whole set, int64[S].
        places: of every counted hash ``hash << 32 | slot``, ascending: uint64[n].
    """

    hashes: NDArray[np.uint32]
    counted: Ints
    tau: NDArray[np.float64]
    sizes: Ints
    places: NDArray[np.uint64]

    @classmethod
    def empty(cls) -> Self:
        """No slots."""
        nothing = np.zeros(0, np.int64)
        hashes = np.zeros((0, SKETCH_CAPACITY), np.uint32)
        return cls(hashes, nothing, np.zeros(0), nothing, np.zeros(0, np.uint64))

    def __len__(self) -> int:
        return len(self.counted)

    def changed(self, slots: Ints, sketches: Sequence[Sketch | None], sizes: Ints, count: int) -> Self:
        """A copy in which some slots are of other sets; what is not touched is not sorted again.

        Args:
            slots: int64[n], distinct.
            sketches: their new sketches; None: without one.
            sizes: members of each set, int64[n].
            count: slots of the copy, no fewer than now.
        """
        hashes, counted, all_sizes = (_grown(column, count) for column in (self.hashes, self.counted, self.sizes))
        tau = _grown(self.tau, count, 1.0)
        hashes[slots], counted[slots], tau[slots], all_sizes[slots] = 0, 0, 1.0, sizes
        for slot, sketch in zip(slots.tolist(), sketches, strict=True):
            if sketch is not None:
                kept = sketch.hashes if sketch.tau == 1.0 else sketch.hashes[:-1]
                hashes[slot, : len(kept)], counted[slot], tau[slot] = kept, len(kept), sketch.tau
        touched = np.zeros(count, bool)
        touched[slots] = True
        stay = self.places[~touched[(self.places & _LOW).astype(np.int64)]]
        flat, owner = _ragged(hashes[slots], counted[slots])
        fresh = np.sort(flat.astype(np.uint64) << _UP | slots[owner].astype(np.uint64))
        places = np.insert(stay, np.searchsorted(stay, fresh), fresh)
        return type(self)(hashes, counted, tau, all_sizes, places)

    def near(self, newest: Ints, start: Ints, targets: Ints) -> Floats:
        """``nbr`` of users for items.

        Args:
            newest: the slots of the users' newest items, one user after another, int64[m].
            start: where each user's begin, and at last m: int64[R + 1].
            targets: the items' slots, int64[n], distinct.

        Returns:
            float32[R, n]; 0 where either has no sketch.
        """
        users, wide = len(start) - 1, len(targets)
        near = np.zeros((users, wide), np.float32)
        if not wide or not len(newest):
            return near
        items, which = np.unique(newest, return_inverse=True)  # (J)
        clicked = csr_array((np.ones(len(which), np.float32), which, start), (users, len(items))).tocsc()
        flat = _ragged(self.hashes[items], self.counted[items])[0]
        wanted, place = np.unique(flat, return_inverse=True)  # (W)
        known = np.concatenate([[0], np.cumsum(self.counted[items])])
        of_items = csr_array((np.ones(len(flat), np.float32), place, known), (len(items), len(wanted)))
        of_targets = self._holders(wanted, targets)  # (W, n)
        for part in _parts(np.minimum(of_items @ np.diff(of_targets.indptr), wide)):
            similar = self._cosines(of_items[part] @ of_targets, items[part], targets)  # (J, n)
            dense = similar.nnz > _DENSE * len(items[part]) * wide
            near += clicked[:, part] @ similar.toarray() if dense else (clicked[:, part] @ similar).toarray()
        return near

    def _holders(self, wanted: NDArray[np.uint32], targets: Ints) -> csr_array:
        """Which targets hold each of W hashes: CSR float32[W, n]."""
        column = np.full(len(self), -1, np.int32)
        column[targets] = np.arange(len(targets))
        low = wanted.astype(np.uint64) << _UP
        first, end = np.searchsorted(self.places, low), np.searchsorted(self.places, low | _LOW, side="right")
        counts = end - first
        start = np.concatenate([[0], np.cumsum(counts)])
        at = np.repeat(first - start[:-1], counts) + np.arange(start[-1])
        columns = column[(self.places[at] & _LOW).astype(np.int64)]
        held = columns >= 0
        start = np.concatenate([[0], np.cumsum(held)])[start]
        columns = columns[held]
        return csr_array((np.ones(len(columns), np.float32), columns, start), (len(wanted), len(targets)))

    def _cosines(self, shared: csr_array, items: Ints, targets: Ints) -> csr_array:
        """``|S_i and S_j| / sqrt(|S_i| |S_j|)`` from how many counted hashes are shared, CSR float32[J, n]."""
        rows = np.repeat(np.arange(len(items)), np.diff(shared.indptr))
        tau_j, tau_i = self.tau[items].astype(np.float32), self.tau[targets].astype(np.float32)
        length_j, length_i = (np.sqrt(np.maximum(self.sizes[s], 1)).astype(np.float32) for s in (items, targets))
        shared.data /= np.minimum(tau_j[rows], tau_i[shared.indices])
        shared.data /= length_j[rows]
        shared.data /= length_i[shared.indices]
        return shared


def greatest_is_one(near: np.ndarray, allowed: np.ndarray) -> Floats:
    """Rows divided by their greatest allowed value, float32[R, L]; rows without one stay."""
    greatest = np.where(allowed, near, 0.0).max(axis=1, initial=0.0, keepdims=True)
    scaled: Floats = (near / np.where(greatest > 0, greatest, 1.0)).astype(np.float32)
    return scaled


def _grown(column: np.ndarray, count: int, value: float = 0) -> np.ndarray:
    grown = np.full((count, *column.shape[1:]), value, column.dtype)
    grown[: len(column)] = column
    return grown


def _ragged(hashes: NDArray[np.uint32], counted: Ints) -> tuple[NDArray[np.uint32], Ints]:
    """The counted hashes of some rows one after another, and the row of each."""
    held = np.arange(hashes.shape[1]) < counted[:, None]
    return hashes[held], np.repeat(np.arange(len(counted)), counted)


def _parts(sizes: NDArray[np.floating]) -> list[slice]:
    """Consecutive items whose sizes together stay below the most numbers, or single ones."""
    parts, first, total = [], 0, 0.0
    for item, size in enumerate(sizes.tolist()):
        if item > first and total + size > _MOST_NUMBERS:
            parts.append(slice(first, item))
            first, total = item, 0.0
        total += size
    if len(sizes):
        parts.append(slice(first, len(sizes)))
    return parts
