"""Clicks and seeds as sparse matrices: who clicked what, each pair once."""

from typing import Any, TypeAlias

import numpy as np
from scipy.sparse import csr_matrix

from ralm.features import Interactions, Ints
from ralm.seed_lists import SeedLists

Csr: TypeAlias = Any
"""``scipy.sparse.csr_matrix``, which has no types; implicit takes it and not ``csr_array``."""


def click_matrix(clicks: Interactions) -> Csr:
    """Which user clicked which item, however often: 1 for each pair, CSR float32[users, items].

    >>> none = np.zeros((2, 0), "f4")
    >>> clicks = Interactions(
    ...     np.array([0, 0, 1]), np.array([2, 2, 0]), np.arange(3), {}, {}, none, np.zeros((3, 1), int), 1
    ... )
    >>> click_matrix(clicks).toarray().tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return _ones(clicks.clicks_user, clicks.clicks_item, (clicks.users, clicks.items))


def seed_matrix(seeds: SeedLists, users: int) -> Csr:
    """Which of ``users`` users is a seed of which of I items, CSR float32[I, users]."""
    return _ones(np.repeat(np.arange(seeds.items), seeds.counts), seeds.users, (seeds.items, users))


def _ones(rows: Ints, columns: Ints, shape: tuple[int, int]) -> Csr:
    matrix = csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix
