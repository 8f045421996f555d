"""Neighbours: a user looks like an item's seeds also by the items that both clicked.

``nbr[u, i] = sum over the user's newest 20 items j of |S_i and S_j| / sqrt(|S_i| |S_j|)``, the overlaps estimated from
bounded sketches of the seed sets, and divided by the user's greatest among the items that it had not clicked.
"""

import numpy as np
from scipy.sparse import csr_array

from ralm.click_matrix import seed_matrix
from ralm.encoders.histories import Histories
from ralm.features import Floats, Interactions, Ints
from ralm.live_sketches import NEWEST_ITEMS, greatest_is_one
from ralm.seed_lists import SeedLists
from ralm.sketch import SKETCH_CAPACITY, SketchTable, hashes_of

_CHUNK = 1 << 23
"""Numbers in one dense intermediate array: 32 MiB of float32."""


class Neighbours:
    """What seed sets say beyond vectors.

    Args:
        clicks: whose items are compared, by their clickers, with the items that are asked for.
        capacity: k of the sketches.
    """

    def __init__(self, clicks: Interactions, capacity: int = SKETCH_CAPACITY) -> None:
        self._users, self._capacity = clicks.users, capacity
        self._hashes = hashes_of(np.arange(clicks.users, dtype=np.uint64))
        known = SeedLists.of_clicks(clicks, np.arange(clicks.items))
        self._known, self._sizes = self._sketched(known), known.counts
        self._newest = Histories.of_clicks(clicks, NEWEST_ITEMS)

    def near(self, users: Ints, seeds: SeedLists) -> Floats:
        """``nbr`` of users (int64[U]) for items given by their seeds, float32[U, I]; at most 1 where asked."""
        similar, seen = self._similar(seeds), seed_matrix(seeds, self._users).T.tocsr()
        near = np.empty((len(users), seeds.items), np.float32)
        rows = max(1, _CHUNK // max(1, seeds.items))
        for first in range(0, len(users), rows):
            some = users[first : first + rows]
            near[first : first + rows] = self._of(some, similar, seen[some].toarray() > 0)
        return near

    def near_pairs(self, users: Ints, items: Ints, seeds: SeedLists) -> Floats:
        """The same for pairs of a user and an item (its place among the I), float32[n] of int64[n] each."""
        similar, seen = self._similar(seeds), seed_matrix(seeds, self._users).T.tocsr()
        near = np.empty(len(users), np.float32)
        order = np.argsort(users, kind="stable")
        rows = max(1, _CHUNK // max(1, seeds.items))
        for first in range(0, len(order), rows):
            pairs = order[first : first + rows]
            some, place = np.unique(users[pairs], return_inverse=True)
            near[pairs] = self._of(some, similar, seen[some].toarray() > 0)[place, items[pairs]]
        return near

    def _sketched(self, seeds: SeedLists) -> SketchTable:
        items = np.repeat(np.arange(seeds.items), seeds.counts)
        return SketchTable.of_seeds(seeds.users, items, self._hashes, seeds.items, self._capacity)

    def _similar(self, seeds: SeedLists) -> csr_array:
        """The cosines of the known items with those given, CSR float32[known, I]."""
        return self._known.cosines(self._sketched(seeds), self._sizes, seeds.counts)

    def _of(self, users: Ints, similar: csr_array, seen: np.ndarray) -> Floats:
        newest = self._newest.take(users)
        ones = np.ones(len(newest.items), np.float32)
        clicked = csr_array((ones, newest.items, newest.start), (len(users), similar.shape[0]))
        return greatest_is_one((clicked @ similar).toarray(), ~seen)
