"""How varied a user's best items are: the diversity of categories and tags (section 6 of the paper, online table).

The paper counts the distinct categories and tags among what a user is shown and gives no formula. Our data sets have
one list of categories for each item (genres; with brands or cities among them), so that both are one figure here.
"""

import numpy as np

from ralm.accuracy import Doubles
from ralm.features import Ints


def category_counts(best: Ints, categories: Ints) -> Ints:
    """How many distinct categories each user's best items have.

    Args:
        best: int64[U, k], -1 for none.
        categories: codes of each item's categories, int64[I, width], padded with 0.

    Returns:
        int64[U].

    >>> category_counts(np.array([[0, 1], [1, -1]]), np.array([[1, 2], [2, 0]])).tolist()
    [2, 1]
    """
    codes = np.sort(_codes(best, categories).reshape(len(best), -1), axis=1)  # (U, k * width), 0 for none
    new = codes[:, 1:] != codes[:, :-1]
    counts: Ints = new.sum(axis=1) + (codes[:, 0] > 0)
    return counts


def category_entropies(best: Ints, categories: Ints, count: int) -> Doubles:
    """Entropy of the categories of each user's best items, ``H = -sum_c p_c log2 p_c``, bits.

    p_c is the share of category c among the items that have any; one with n categories counts 1/n for each of them. 0:
    one category has it all; a user whose best items have none has 0 too.

    Args:
        best: int64[U, k], -1 for none.
        categories: codes of each item's categories, int64[I, width], padded with 0.
        count: how many codes there are, 0 included.

    Returns:
        float64[U].

    >>> category_entropies(np.array([[0, 1], [1, -1]]), np.array([[1, 0], [2, 0]]), 3).tolist()
    [1.0, 0.0]
    """
    codes = _codes(best, categories)  # (U, k, width)
    weight = (codes > 0) / np.maximum((codes > 0).sum(axis=2, keepdims=True), 1)
    place = np.arange(len(best))[:, None, None] * count + codes
    share = np.bincount(place.ravel(), weight.ravel(), minlength=len(best) * count).reshape(len(best), count)
    p = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-12)  # (U, count)
    entropies: Doubles = -(p * np.log2(np.where(p > 0, p, 1.0))).sum(axis=1) + 0.0
    return entropies


def _codes(best: Ints, categories: Ints) -> Ints:
    """The codes of the best items, int64[U, k, width]; 0 where there is no item."""
    codes: Ints = np.where((best >= 0)[:, :, None], categories[np.maximum(best, 0)], 0)
    return codes
