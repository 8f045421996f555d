"""All that is known of users as one sparse matrix, for models that are linear in features.

Columns: one for each code of each profile field, one for each continuous field, one for each item of the history, one
for each category of the history's items. The history is bounded as the user tower's is: the most recent clicks.

A seed of an item has that item in its history by definition. A model of the item that saw it would only repeat the
seed set, so ``rows`` leaves the item out as if the user had never clicked it: its own column and its part in the
categories. That is for learning; who is asked about later is no seed, and has nothing to leave out.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix, hstack

from ralm.click_matrix import Csr
from ralm.features import END_OF_TIME, ClickHistories, Floats, Interactions, Ints


@dataclass(frozen=True)
class UserMatrix:
    """Features of all users.

    Attributes:
        counts: CSR float32[users, features]; ``categories`` are numbers of history items, the rest is final.
        blocks: the columns of each block by name: the profile fields' names, ``continuous``, ``items``, ``categories``.
        lengths: items in the history of each user, int64[users].
        item_categories: float32[items, categories], 1 where an item has a category.
    """

    counts: Csr
    blocks: dict[str, slice]
    lengths: Ints
    item_categories: Floats

    @property
    def users(self) -> int:
        """How many users."""
        return len(self.lengths)

    def column_of(self, items: Ints) -> Ints:
        """The columns of items, int64[I]."""
        first: int = self.blocks["items"].start
        return first + items

    def rows(self, users: Ints, without: int | None = None) -> Csr:
        """Features of users, with categories as shares of the history.

        Args:
            users: int64[B].
            without: an item that is left out, as if no user had clicked it.

        Returns:
            CSR float32[B, features].
        """
        rows = self.counts[users]
        lengths = self.lengths[users]
        of = np.repeat(np.arange(len(users)), np.diff(rows.indptr))
        place = rows.indices - self.blocks["categories"].start
        category = (place >= 0) & (rows.indices < self.blocks["categories"].stop)
        if without is not None:
            own = rows.indices == self.column_of(np.array(without))
            had = np.zeros(len(users), bool)
            had[of[own]] = True
            rows.data[own] = 0
            lengths = lengths - had
            rows.data[category] -= had[of[category]] * self.item_categories[without, place[category]]
        rows.data[category] /= np.maximum(lengths, 1)[of[category]]
        rows.eliminate_zeros()
        return rows

    @staticmethod
    def of_clicks(clicks: Interactions, history: int, *, bins: int = 0) -> "UserMatrix":
        """Features after all clicks of ``clicks``.

        Args:
            clicks: users, items and clicks.
            history: most past clicks of a user that are looked at, the most recent.
            bins: 0 takes continuous fields as they are; else each becomes so many binary columns, equally wide parts
                of [0, 1].
        """
        users = np.arange(clicks.users)
        items = _held(
            ClickHistories(clicks, history).items_before(users, np.full(clicks.users, END_OF_TIME)), clicks.items
        )
        has = _categories(clicks)
        parts = {
            **{name: _held(codes[:, None], count - 1) for name, (codes, count) in clicks.categorical.items()},
            **{name: _held(codes, count - 1) for name, (codes, count) in clicks.multivalent.items()},
            "continuous": _binned(clicks.continuous, bins) if bins else csr_matrix(clicks.continuous),
            "items": items,
            "categories": csr_matrix(items @ has),
        }
        edges = np.cumsum([0, *(part.shape[1] for part in parts.values())]).tolist()
        blocks = {name: slice(a, b) for name, a, b in zip(parts, edges, edges[1:], strict=False)}
        counts = hstack(list(parts.values()), format="csr", dtype=np.float32)
        return UserMatrix(counts, blocks, np.diff(items.indptr).astype(np.int64), has)


def _held(codes: Ints, count: int) -> Csr:
    """1 where a row of codes, int64[n, width], holds a code of 1 to ``count``; CSR float32[n, count]."""
    row, place = np.nonzero(codes)
    ones = np.ones(len(row), np.float32)
    held = csr_matrix((ones, (row, codes[row, place] - 1)), shape=(len(codes), count))
    held.sum_duplicates()
    held.data[:] = 1
    return held


def _categories(clicks: Interactions) -> Floats:
    has: Floats = _held(clicks.item_categories, clicks.category_count - 1).toarray()
    return has


def _binned(continuous: Floats, bins: int) -> Csr:
    bin_of = np.clip((continuous * bins).astype(np.int64), 0, bins - 1)
    fields = continuous.shape[1]
    return _held(bin_of + bins * np.arange(fields) + 1, bins * fields)
