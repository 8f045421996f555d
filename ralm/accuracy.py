"""How well scores tell who will click (section 6 of the paper): AUC over pairs, and rankings of items for users.

The code is held to scikit-learn's by tests.
"""

import numpy as np
from numpy.typing import NDArray

from ralm.features import Floats, Ints

Doubles = NDArray[np.float64]


def grouped_auc(positive: Floats, negative: Floats, group: Ints) -> Doubles:
    """Area under the ROC curve within each group; a tie counts one half.

    Args:
        positive: scores of the positives, float32[n].
        negative: scores of as many negatives, float32[n]; negative j is in the group of positive j.
        group: int64[n].

    Returns:
        float64[g], in the order of the groups' numbers.

    >>> grouped_auc(np.array([3, 1]), np.array([2, 2]), np.array([0, 0])).tolist()
    [0.5]
    """
    score = np.concatenate([positive, negative])
    of = np.unique(np.concatenate([group, group]), return_inverse=True)[1]
    order = np.lexsort((score, of))
    # Ranks within a group, equal scores sharing the mean of theirs (Mann-Whitney).
    change = np.ones(len(order), bool)
    change[1:] = (of[order][1:] != of[order][:-1]) | (score[order][1:] != score[order][:-1])
    first = np.flatnonzero(change)
    last = np.append(first[1:], len(order)) - 1
    rank = np.empty(len(order))
    rank[order] = np.repeat((first + last) / 2.0, last - first + 1)
    size = np.bincount(of)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    count = size / 2.0
    sums = np.bincount(of[: len(group)], rank[: len(group)] - start[of[: len(group)]], minlength=len(size))
    auc: Doubles = (sums - count * (count - 1) / 2.0) / count**2
    return auc


def top(scores: Floats, seen: NDArray[np.bool_], k: int, rng: np.random.Generator) -> Ints:
    """The best unseen items of each user, best first, -1 where no more are left.

    Args:
        scores: float32[U, I].
        seen: items that are not ranked, bool[U, I].
        k: places.
        rng: orders equally good items, for each user anew. The order of their numbers would be a ranking of its own:
            in many data sets the first are the oldest and most clicked, and a model that cannot tell items apart
            would be credited with that.

    Returns:
        int64[U, min(k, I)].
    """
    values = np.where(seen, np.inf, -scores)
    k = min(k, values.shape[1])
    shuffled = rng.permuted(np.broadcast_to(np.arange(values.shape[1]), values.shape), axis=1)
    places = np.argsort(np.take_along_axis(values, shuffled, axis=1), axis=1, kind="stable")[:, :k]
    best = np.take_along_axis(shuffled, places, axis=1)
    return np.where(np.take_along_axis(seen, best, axis=1), -1, best)


def hits(best: Ints, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the best items (int64[U, k], -1 for none) were wanted (bool[U, I]), bool[U, k]."""
    return np.take_along_axis(wanted, np.maximum(best, 0), axis=1) & (best >= 0)


def hit_rate(hit: NDArray[np.bool_]) -> float:
    """Share of users who wanted any of their K best items: bool[N, K]; NaN of no user."""
    return float(hit.any(axis=1).mean()) if len(hit) else float("nan")


def precisions(hit: NDArray[np.bool_], wanted: Ints) -> Doubles:
    """Of each user what eq. 12 is the mean of, ``size(R_iK ∩ S_i) / min(K, size(S_i))``.

    Args:
        hit: bool[N, K], of the K best items of each user.
        wanted: size(S_i), int64[N], at least 1.

    Returns:
        float64[N].
    """
    each: Doubles = hit.sum(axis=1) / np.minimum(hit.shape[1], wanted)
    return each


def precision(hit: NDArray[np.bool_], wanted: Ints) -> float:
    """Eq. 12: ``prec@K = (1/N) sum_i size(R_iK ∩ S_i) / min(K, size(S_i))``, of the same as `precisions`."""
    return float(precisions(hit, wanted).mean())


def recall(hit: NDArray[np.bool_], wanted: Ints) -> float:
    """The mean share of a user's wanted items that is among its best: bool[N, K], int64[N]."""
    return float((hit.sum(axis=1) / wanted).mean())


def ndcg(hit: NDArray[np.bool_], wanted: Ints) -> float:
    """``DCG@K / ideal DCG@K`` with gain 1 of a wanted item and discount ``1 / log2(place + 1)``, mean over users.

    Args:
        hit: bool[N, K].
        wanted: how many items each user wanted, int64[N], at least 1.
    """
    discount = 1.0 / np.log2(np.arange(hit.shape[1]) + 2.0)
    ideal = np.cumsum(discount)[np.minimum(hit.shape[1], wanted) - 1]
    return float((hit @ discount / ideal).mean())
